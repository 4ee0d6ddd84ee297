"""A training job: what is trained in which folder, and the state from which it continues."""

from __future__ import annotations

import copy
import hashlib
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nasrec_opt.data import Dataset
from nasrec_opt.options import RetrainConfig
from nasrec_opt.retrain._state import TrainingState
from nasrec_opt.retrain._training import Progress, Training
from nasrec_opt.space import Genotype
from nasrec_opt.supernet import Subnet, Supernet, best_device, start_at_click_rate

STATE = "training.safetensors"
LEAST_S, SHARE = 5.0, 50  # between two checkpoints: seconds, and times what one of them takes


@dataclass(frozen=True, slots=True)
class Job:
    """One genotype, trained on one dataset, in one folder.

    Args:
        genotype: The architecture.
        dataset: The log.
        out_dir: The model's folder.
        config: How it is trained, without open fields.
        balance: Whether dot products project their vectors.
        initial: The model before its first step, or None for random weights.
    """

    genotype: Genotype
    dataset: Dataset
    out_dir: Path
    config: RetrainConfig
    balance: bool
    initial: Subnet | None = None

    @classmethod
    def of(
        cls,
        genotype: Genotype,
        dataset: Dataset,
        out_dir: Path | str,
        config: RetrainConfig | None,
        supernet: Supernet | None,
        initial: Subnet | None = None,
    ) -> Job:
        """A job from the arguments of `retrain`."""
        config = (config or RetrainConfig()).for_rows(dataset.split("train").num_rows)
        if initial is not None:
            initial.check_genotype(genotype)
            balance: bool | None = initial.balance
        else:
            balance = config.balance
        if balance is None:
            balance = supernet is None or supernet.balance
        return cls(genotype, dataset, Path(out_dir), config, balance, initial)

    @property
    def wanted(self) -> dict[str, Any]:
        """Everything that the trained model depends on, as JSON values."""
        values = {
            "genotype": self.genotype.to_dict(),
            "dataset": self.dataset.fingerprint,
            "config": json.loads(json.dumps(asdict(self.config))) | {"balance": self.balance},
        }
        if self.initial is not None:
            values["initial"] = _fingerprint(self.initial)
        return values

    @property
    def state_file(self) -> Path:
        """File of an unfinished training."""
        return self.out_dir / STATE

    def subnet(self) -> Subnet:
        """The model before its first step."""
        if self.initial is not None:
            return copy.deepcopy(self.initial).to(best_device())
        subnet = untrained(self.genotype, self.dataset, self.config, balance=self.balance)
        return subnet.to(best_device())

    def training(self, progress: Progress | None, *, keeps: bool = True) -> Training:
        """The course of the training.

        Args:
            progress: As for `Training`.
            keeps: Whether the folder gets the state now and then, for a process that is killed.
        """
        keep = _Checkpoints(self) if keeps else None
        return Training(self.dataset, self.config, progress, keep)

    def state(self, training: Training) -> TrainingState:
        """The training from its folder, or a new one, with its learning rate chosen."""
        found = TrainingState.load(
            self.state_file, self.wanted, self.subnet, self.config, training.steps
        )
        if found is None:
            return training.begin(self.subnet)
        training.choose(found, self.subnet)
        return found


class _Checkpoints:
    """Saves the state of a training now and then, at a cost of a fiftieth of the time at most.

    Args:
        job: The training.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._next = time.monotonic() + LEAST_S

    def __call__(self, state: TrainingState) -> None:
        began = time.monotonic()
        if began < self._next:
            return
        state.save(self._job.state_file, self._job.wanted)
        now = time.monotonic()
        self._next = now + max(LEAST_S, SHARE * (now - began))


def untrained(
    genotype: Genotype, dataset: Dataset, config: RetrainConfig, *, balance: bool
) -> Subnet:
    """Make a model as its training from scratch begins with it.

    Args:
        genotype: The architecture.
        dataset: The log; the model begins at its click rate.
        config: How it is trained; its seed and initialization decide the weights, and
            whether it has layer norms.
        balance: Whether dot products project their vectors.

    Returns:
        The model, on the CPU.
    """
    subnet = Subnet(
        genotype,
        dataset.features,
        config.seed,
        balance=balance,
        initialization=config.initialization,
        layer_norm=config.layer_norm,
    )
    train = dataset.split("train")
    start_at_click_rate(subnet, train.labels, train.weights)
    return subnet


def _fingerprint(subnet: Subnet) -> str:
    """Changes with any weight."""
    found = hashlib.sha256()
    for name, weight in subnet.state_dict().items():
        found.update(name.encode())
        found.update(weight.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()[:16]
