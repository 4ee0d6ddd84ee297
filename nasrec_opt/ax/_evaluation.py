"""An objective as Ax's runner and metrics: a trial's parameters become a genotype, then metrics."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from ax.api.protocols import IMetric, IRunner
from ax.core.trial_status import TrialStatus

from hw import DescriptionError
from nasrec_opt.ax._parameters import Encoding, genotype_of
from nasrec_opt.errors import StudyError, TrialError
from nasrec_opt.objective import FAILED, Objective

logger = logging.getLogger(__name__)


class ObjectiveRunner(IRunner):
    """Evaluates a trial while Ax waits; the run's metadata are the genotype and all metrics.

    Only the encoding is saved with an experiment, since an oracle has no JSON form. `load_client`
    gives the runner its objective again.

    Args:
        objective: What evaluates genotypes; None means that this runner cannot run.
        encoding: How parameters are read.
    """

    def __init__(self, objective: Objective | None = None, encoding: Encoding = "tree") -> None:
        super().__init__()
        self._objective = objective
        self.encoding = encoding

    def run_trial(self, trial_index: int, parameterization: Mapping[str, Any]) -> dict[str, Any]:
        """Compute the metrics of the trial's genotype, or the reason why it has none.

        Raises:
            StudyError: The runner was loaded and has no objective.
        """
        if self._objective is None:
            raise StudyError(
                f"trial {trial_index}: expected an objective to evaluate it, got a runner loaded "
                "without one; load with load_client(objective, ...)"
            )
        genotype = genotype_of(self._objective.space, parameterization, self.encoding)
        try:
            metrics = self._objective.metrics(genotype)
        except DescriptionError as error:
            return {"genotype": genotype.to_json(), "infeasible": str(error)}
        except TrialError as error:
            logger.warning("trial %d failed: %s", trial_index, error)
            return {"genotype": genotype.to_json(), FAILED: str(error)}
        return {
            "genotype": genotype.to_json(),
            "metrics": {name: float(value) for name, value in metrics.items()},
        }

    def poll_trial(self, trial_index: int, trial_metadata: Mapping[str, Any]) -> TrialStatus:
        """Completed, abandoned if the accelerator refuses the genotype, or else failed.

        A trial fails if its oracle or cost model fails, if this runner never ran it, or if the
        process was killed during it.
        """
        if "infeasible" in trial_metadata:
            return TrialStatus.ABANDONED
        return TrialStatus.COMPLETED if "metrics" in trial_metadata else TrialStatus.FAILED

    def stop_trial(self, trial_index: int, trial_metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Do nothing: no trial runs in the background."""
        return {}

    @classmethod
    def serialize_init_args(cls, obj: Any) -> dict[str, Any]:
        """All arguments except the objective."""
        return {"encoding": obj.encoding}


class ObjectiveMetric(IMetric):
    """One metric of `nasrec_opt.objective.METRICS`, as `ObjectiveRunner` stored it in the trial.

    Args:
        name: Name of the metric; smaller values are better for all of them.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.lower_is_better = True

    def fetch(self, trial_index: int, trial_metadata: Mapping[str, Any]) -> tuple[int, float]:
        """The value of the metric, one for each trial."""
        return 0, float(trial_metadata["metrics"][self.name])

    @classmethod
    def serialize_init_args(cls, obj: Any) -> dict[str, Any]:
        """Its name."""
        return {"name": obj.name}
