"""Registers our classes with Ax, so that its JSON files and databases can store them."""

from __future__ import annotations

import warnings
from functools import cache

from ax.api.configs import StorageConfig
from ax.exceptions.core import AxParameterWarning
from ax.storage.json_store.encoders import metric_to_dict, runner_to_dict
from ax.storage.json_store.registry import (
    CORE_CLASS_DECODER_REGISTRY,
    CORE_DECODER_REGISTRY,
    CORE_ENCODER_REGISTRY,
)
from ax.storage.metric_registry import CORE_METRIC_REGISTRY
from ax.storage.runner_registry import CORE_RUNNER_REGISTRY
from ax.storage.sqa_store.db import create_all_tables, get_engine, init_engine_and_session_factory
from ax.storage.sqa_store.utils import COPY_DB_IDS_ATTRS_TO_SKIP
from sqlalchemy.exc import SAWarning, SQLAlchemyError

from nasrec_opt.ax._evaluation import ObjectiveMetric, ObjectiveRunner
from nasrec_opt.ax._node import PoolNode, node_from_dict, node_to_dict
from nasrec_opt.errors import StudyError

_TYPE = 7401  # the numbers of our metrics and runners in a database


@cache
def register() -> None:
    """Register our classes in Ax's global registries.

    Ax's JSON files allow no other way: a client accepts its own registry only with a database.
    """
    CORE_METRIC_REGISTRY[ObjectiveMetric] = _TYPE
    CORE_RUNNER_REGISTRY[ObjectiveRunner] = _TYPE
    CORE_ENCODER_REGISTRY[ObjectiveMetric] = metric_to_dict
    CORE_ENCODER_REGISTRY[ObjectiveRunner] = runner_to_dict
    CORE_ENCODER_REGISTRY[PoolNode] = node_to_dict
    CORE_DECODER_REGISTRY[ObjectiveMetric.__name__] = ObjectiveMetric
    CORE_DECODER_REGISTRY[ObjectiveRunner.__name__] = ObjectiveRunner
    CORE_CLASS_DECODER_REGISTRY[PoolNode.__name__] = node_from_dict
    # of a runner: otherwise Ax would look for table rows inside it
    COPY_DB_IDS_ATTRS_TO_SKIP.add("_objective")


def database(url: str) -> StorageConfig:
    """Open Ax's tables in a database, and create them if they are missing.

    Ax has one database at a time for a whole process: the last one opened.

    Raises:
        StudyError: It cannot be opened.
    """
    register()
    # Ax's own business: a column type that SQLAlchemy cannot cache, a default when it decodes.
    warnings.filterwarnings("ignore", "TypeDecorator JSONEncodedText", SAWarning)
    warnings.filterwarnings("ignore", "`sort_values` is not specified", AxParameterWarning)
    try:
        init_engine_and_session_factory(url=url, force_init=True)
        create_all_tables(get_engine())
    except (SQLAlchemyError, ValueError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StudyError(f"{url}: expected a database for Ax, got: {reason}") from error
    return StorageConfig(url=url)
