"""Registers our classes with Ax, so that its JSON files and databases can store them."""

from __future__ import annotations

from functools import cache

from ax.api.configs import StorageConfig
from ax.storage.sqa_store.db import create_all_tables, get_engine, init_engine_and_session_factory
from sqlalchemy.exc import SQLAlchemyError

from nasrec_opt._foreign import ax as foreign
from nasrec_opt.ax._evaluation import ObjectiveMetric, ObjectiveRunner
from nasrec_opt.ax._node import PoolNode, node_from_dict, node_to_dict
from nasrec_opt.errors import StudyError


@cache
def register() -> None:
    """Register our classes in Ax's global registries.

    Ax's JSON files allow no other way: a client accepts its own registry only with a database.
    """
    foreign.register(
        ObjectiveMetric,
        ObjectiveRunner,
        PoolNode,
        to_dict=node_to_dict,
        from_dict=node_from_dict,
        not_stored="_objective",
    )


def database(url: str) -> StorageConfig:
    """Open Ax's tables in a database, and create them if they are missing.

    Ax has one database at a time for a whole process: the last one opened.

    Raises:
        StudyError: It cannot be opened.
    """
    register()
    foreign.leave_out_remarks()
    try:
        init_engine_and_session_factory(url=url, force_init=True)
        create_all_tables(get_engine())
    except (SQLAlchemyError, ValueError, ImportError) as error:
        reason = str(getattr(error, "orig", None) or error).splitlines()[0]
        raise StudyError(f"{url}: expected a database for Ax, got: {reason}") from error
    return StorageConfig(url=url)
