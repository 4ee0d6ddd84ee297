"""The hand-made models of a run: tuned on its log, trained with several seeds, and kept.

Each is whole by itself, in `baselines/tuned/<name>/`: the hyperparameters, and for every seed the
figures and the logits of the test rows. The trials are in an Optuna storage beside them. What is
there is read, so a killed process loses one training at most.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import optuna

from nasrec_opt._files import atomic_write, read_json, write_json
from nasrec_opt._sqlite import sqlite_url
from nasrec_opt.baselines import (
    BASELINES,
    BaselineOptions,
    BaselineSpec,
    TrainedBaseline,
    Tuning,
    baseline_spec,
    train_baseline,
)
from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._console import Reporter
from nasrec_opt.pipeline._folder import RunFolder
from nasrec_opt.pipeline._schema import digest

TUNED = "tuned.json"
UNREADABLE = (OSError, ValueError, KeyError, TypeError, EOFError, BadZipFile, StudyError)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptBaseline:
    """A hand-made model of a run.

    Args:
        label: Its name in tables.
        trials: Number of trainings that were compared when it was tuned.
        seconds: Wall time of these trainings, s.
        models: The trained models, one for each seed.
    """

    label: str
    trials: int
    seconds: float
    models: Sequence[TrainedBaseline]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the tuning of a hand-made model may cost, and how often it is trained.

    Args:
        trials: Number of trainings to compare, or None for no limit.
        seconds: Wall time of these trainings, s, or None for no limit.
        seeds: Number of models trained with the best hyperparameters.

    Raises:
        StudyError: A number is not positive.
    """

    trials: int | None = None
    seconds: float | None = None
    seeds: int = 3

    def __post_init__(self) -> None:
        for name in ("trials", "seconds", "seeds"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise StudyError(f"{name}: expected more than 0, got {value!r}")


def chosen_baselines(names: str) -> list[BaselineSpec]:
    """Read the names of hand-made models, and require their libraries.

    Args:
        names: Keys of `BASELINES`, separated by commas; `all` for those whose library is installed.

    Returns:
        The models, each once, in the order of the names.

    Raises:
        MissingExtraError: The library of a named model is not installed.
        StudyError: A name is unknown.
    """
    if names.strip() == "all":
        return [spec for spec in BASELINES.values() if spec.is_installed()]
    specs = [baseline_spec(name.strip()) for name in dict.fromkeys(names.split(","))]
    for spec in specs:
        spec.load()
    return specs


class TunedBaselines:
    """The hand-made models of a run.

    Args:
        folder: The run folder.
        dataset: Its log, as the run's models read it.
        options: Hyperparameters that are not tuned, such as the batch size of the run's models.
        seed: The run's seed.
    """

    def __init__(
        self, folder: RunFolder, dataset: Dataset, options: BaselineOptions, seed: int
    ) -> None:
        self._place = folder.baselines.parent / "tuned"
        self._dataset, self._options, self._seed = dataset, options, seed

    def train(self, specs: Sequence[BaselineSpec], budget: Budget, reporter: Reporter) -> None:
        """Tune and train what is missing.

        Logistic regression is left out: every run has it.

        Args:
            specs: The models.
            budget: For each of them.
            reporter: Receives the progress.

        Raises:
            StudyError: A training came to no finite log loss.
        """
        for spec in specs:
            if spec.build is None:
                continue
            reporter.begin("compare", f"tuning of {spec.label}")
            options = self._tune(spec, budget, reporter)
            for number in range(budget.seeds):
                self._train(spec, options, self._seed + number)
            losses = [model.validation_log_loss for model in self._models(spec, options)]
            reporter.end(f"{spec.label}: validation log loss {np.mean(losses):.4f}")

    def kept(self) -> Iterator[KeptBaseline]:
        """Read the models that are there.

        Yields:
            Those with at least one trained model of this log.
        """
        for spec in BASELINES.values():
            try:
                tuned = read_json(self._place / spec.name / TUNED)
                if tuned["wanted"] != self._wanted(spec):
                    continue
                options = BaselineOptions.from_dict(tuned["options"])
                trials, seconds = int(tuned["trials"]), float(tuned["seconds"])
            except UNREADABLE:
                continue  # missing, or of another version
            models = list(self._models(spec, options))
            if models:
                yield KeptBaseline(label=spec.label, trials=trials, seconds=seconds, models=models)

    def _tune(self, spec: BaselineSpec, budget: Budget, reporter: Reporter) -> BaselineOptions:
        if spec.build is None:
            return self._options
        wanted = self._wanted(spec)
        place = self._place / spec.name
        place.mkdir(parents=True, exist_ok=True)
        study = optuna.create_study(
            storage=sqlite_url(self._place / "tuning.db"),
            study_name=f"{spec.name} {digest(wanted)}",
            load_if_exists=True,
        )
        tuning = Tuning(spec.build, spec.space, self._dataset, self._seed, self._options)
        options, trials, seconds = tuning.choose(
            study, budget.trials, budget.seconds, reporter.advance
        )
        figures = {"options": options.to_dict(), "trials": trials, "seconds": seconds}
        write_json(place / TUNED, {"wanted": wanted, **figures})
        return options

    def _train(self, spec: BaselineSpec, options: BaselineOptions, seed: int) -> None:
        file = self._file(spec, seed)
        wanted = self._wanted_model(spec, options, seed)
        if self._read(file, wanted) is not None:
            return
        model = train_baseline(spec.name, self._dataset, options, seed=seed)
        file.unlink(missing_ok=True)  # logits and figures never disagree
        with atomic_write(file.with_suffix(".npz"), "wb") as stream:
            np.savez(stream, test_logits=model.test_logits)
        write_json(file, {"wanted": wanted, "figures": model.to_dict()})

    def _models(self, spec: BaselineSpec, options: BaselineOptions) -> Iterator[TrainedBaseline]:
        for file in sorted((self._place / spec.name).glob("seed-*.json")):
            number = file.stem.removeprefix("seed-")
            if number.isdecimal():
                wanted = self._wanted_model(spec, options, int(number))
                model = self._read(file, wanted)
                if model is not None:
                    yield model

    def _read(self, file: Path, wanted: Mapping[str, Any]) -> TrainedBaseline | None:
        try:
            known = read_json(file)
            if known["wanted"] != wanted:
                return None
            with np.load(file.with_suffix(".npz")) as answers:
                return TrainedBaseline.from_dict(known["figures"], answers["test_logits"])
        except UNREADABLE:
            return None  # missing or damaged: it is trained again

    def _file(self, spec: BaselineSpec, seed: int) -> Path:
        return self._place / spec.name / f"seed-{seed}.json"

    def _wanted(self, spec: BaselineSpec) -> dict[str, Any]:
        """All that the choice of hyperparameters depends on, besides the budget."""
        return {
            "dataset": self._dataset.fingerprint,
            "first": self._options.to_dict(),
            "seed": self._seed,
            "model": spec.name,
        }

    def _wanted_model(
        self, spec: BaselineSpec, options: BaselineOptions, seed: int
    ) -> dict[str, Any]:
        return self._wanted(spec) | {"options": options.to_dict(), "seed": seed}
