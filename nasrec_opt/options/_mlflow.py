"""Options of what is logged to MLflow: `[mlflow]` of a study file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from nasrec_opt._addresses import VARIABLE, require_no_secret
from nasrec_opt.errors import StudyError


@dataclass(frozen=True, slots=True, kw_only=True)
class MLflowConfig:
    """Where runs are logged; no stage depends on it: `[mlflow]` of a study file.

    Args:
        uri: Tracking URI, such as a server's address; the server's artifact store is used too. Log
            in with MLflow's environment variables, or with a password that `${NAME}` in the URI
            takes from the environment. None means `mlflow.db` in the run folder.
        experiment: Name of the experiment. None means the study's.
        tags: Table of tags of all runs.
        reference_point: Table of the hypervolume's reference point, a value for each objective.
            None means the experiment's, which its first study sets.
        register: Whether the best model of a run is registered under the study's name, with the
            alias `champion`.

    Raises:
        StudyError: An option is no address, no name or no number.
    """

    uri: str | None = None
    experiment: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    reference_point: Mapping[str, float] | None = None
    register: bool = True

    def __post_init__(self) -> None:
        if self.uri is not None:
            require_no_secret("uri", self.uri)
            is_named = self.uri == "databricks" or VARIABLE.fullmatch(self.uri)
            if not is_named and "://" not in self.uri:
                raise StudyError(
                    "uri: expected the address of an MLflow store, such as "
                    f"'http://mlflow.example:5000', got {self.uri!r}"
                )
        if self.experiment == "":
            raise StudyError("experiment: expected a name, got an empty one")
        for name, value in (self.reference_point or {}).items():
            if not math.isfinite(value):
                raise StudyError(f"reference_point: {name}: expected a finite number, got {value}")
