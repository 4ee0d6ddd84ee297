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
    """Evaluates a trial while Ax waits; its metadata are the genotype and all metrics.

    Saved with an experiment, it keeps the encoding alone: an oracle is no JSON. `load_client` gives
    it the objective again.

    Args:
        objective: What evaluates genotypes; None means that this runner cannot run.
        encoding: How parameters are read.
    """

    def __init__(self, objective: Objective | None = None, encoding: Encoding = "tree") -> None:
        super().__init__()
        self._objective = objective
        self.encoding = encoding

    def run_trial(self, trial_index: int, parameterization: Mapping[str, Any]) -> dict[str, Any]:
        """Metrics of the trial's genotype, or why it has none.

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
        """Completed, abandoned where the accelerator refuses the genotype, or else failed.

        A trial fails whose oracle or cost model fails, which this runner never ran, or during which
        it was killed.
        """
        if "infeasible" in trial_metadata:
            return TrialStatus.ABANDONED
        return TrialStatus.COMPLETED if "metrics" in trial_metadata else TrialStatus.FAILED

    def stop_trial(self, trial_index: int, trial_metadata: Mapping[str, Any]) -> dict[str, Any]:
        """Nothing: there is no trial that runs on."""
        return {}

    @classmethod
    def serialize_init_args(cls, obj: Any) -> dict[str, Any]:
        """All but the objective."""
        return {"encoding": obj.encoding}


class ObjectiveMetric(IMetric):
    """One metric of `nasrec_opt.objective.METRICS`, as `ObjectiveRunner` left it with the trial.

    Args:
        name: Of the metric; all of them are better where they are smaller.
    """

    def __init__(self, name: str) -> None:
        super().__init__(name=name)
        self.lower_is_better = True

    def fetch(self, trial_index: int, trial_metadata: Mapping[str, Any]) -> tuple[int, float]:
        """The value; one reading a trial."""
        return 0, float(trial_metadata["metrics"][self.name])

    @classmethod
    def serialize_init_args(cls, obj: Any) -> dict[str, Any]:
        """Its name."""
        return {"name": obj.name}
