"""Ax: an experiment behind a client, registries of classes, and remarks that nobody can act on.

Ax's JSON files have no public way to hold classes of others: a client takes a registry of one's own
only together with a database. Without registries of these names a client searches as ever, and Ax
refuses to store it; `AxSampler` stores nothing in Ax.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ax.api.client import Client
    from ax.core.experiment import Experiment

TYPE = 7401  # how a database tells our metrics and runners from others
REMARKS = (  # how warnings begin
    "TypeDecorator JSONEncodedText",  # a type of column that SQLAlchemy cannot cache
    "`sort_values` is not specified",  # a default that Ax takes when it decodes
)


def experiment_of(client: Client) -> Experiment:
    """The experiment of a client, with all that Ax knows of its trials."""
    return client._experiment


def leave_out_remarks() -> None:
    """Hide Ax's remarks on its own use of a database; in other words they are shown."""
    for remark in REMARKS:
        warnings.filterwarnings("ignore", remark)


def register(
    metric: type[Any],
    runner: type[Any],
    node: type[Any],
    *,
    to_dict: Callable[[Any], dict[str, Any]],
    from_dict: Callable[[dict[str, Any]], Any],
    not_stored: str,
) -> bool:
    """Tell Ax of classes, so that JSON files and databases hold them.

    Args:
        metric: The class of a metric.
        runner: The class of a runner.
        node: The class of a generation node.
        to_dict: What Ax stores of a node.
        from_dict: Its inverse.
        not_stored: Attribute of a runner in which Ax must not look for rows.

    Returns:
        Whether Ax has such registries.
    """
    try:
        from ax.storage.json_store.encoders import metric_to_dict, runner_to_dict
        from ax.storage.json_store.registry import (
            CORE_CLASS_DECODER_REGISTRY,
            CORE_DECODER_REGISTRY,
            CORE_ENCODER_REGISTRY,
        )
        from ax.storage.metric_registry import CORE_METRIC_REGISTRY
        from ax.storage.runner_registry import CORE_RUNNER_REGISTRY
        from ax.storage.sqa_store.utils import COPY_DB_IDS_ATTRS_TO_SKIP
    except ImportError:
        return False
    CORE_METRIC_REGISTRY[metric] = TYPE
    CORE_RUNNER_REGISTRY[runner] = TYPE
    CORE_ENCODER_REGISTRY[metric] = metric_to_dict
    CORE_ENCODER_REGISTRY[runner] = runner_to_dict
    CORE_ENCODER_REGISTRY[node] = to_dict
    CORE_DECODER_REGISTRY[metric.__name__] = metric
    CORE_DECODER_REGISTRY[runner.__name__] = runner
    CORE_CLASS_DECODER_REGISTRY[node.__name__] = from_dict
    COPY_DB_IDS_ATTRS_TO_SKIP.add(not_stored)
    return True
