"""The run folder: its paths, its finished stages, and its lock."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nasrec_opt._files import read_json, write_json
from nasrec_opt.errors import StudyError
from nasrec_opt.pipeline._schema import (
    as_json,
    digest,
    first_difference,
    upgraded,
    upgraded_record,
)


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Paths of one run, and `run.json`: for each finished stage its settings, seconds and result.

    Args:
        path: The folder, by default `runs/<study name>`.
    """

    path: Path

    @property
    def dataset(self) -> Path:
        """The prepared log."""
        return self.path / "dataset"

    @property
    def dataset_record(self) -> Path:
        """The description of the prepared log; written last."""
        return self.dataset / "dataset.json"

    @property
    def baselines(self) -> Path:
        """Figures of the baselines."""
        return self.path / "baselines" / "figures.json"

    @property
    def answers_of_baselines(self) -> Path:
        """Logits of the baselines on validation and test rows."""
        return self.baselines.with_name("logits.npz")

    @property
    def supernet(self) -> Path:
        """The trained supernet, or its checkpoint."""
        return self.path / "supernet"

    @property
    def study_db(self) -> Path:
        """Optuna's storage."""
        return self.path / "study.db"

    @property
    def storage_record(self) -> Path:
        """Where the studies are, if that is not `study_db`."""
        return self.path / "storage.json"

    @property
    def study_file(self) -> Path:
        """The file that a search leaves: its storage, or the record of where it is."""
        return self.storage_record if self.storage_record.exists() else self.study_db

    def study_of(self, search: str) -> Path:
        """Locate the settings of a search, as the study file gave them.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            Path of a JSON file.
        """
        return self.home_of(search) / "study.json"

    @property
    def drawings(self) -> Path:
        """Optuna's artifacts: drawings of the Pareto-optimal trials."""
        return self.path / "drawings"

    @property
    def mlflow_db(self) -> Path:
        """MLflow's store."""
        return self.path / "mlflow.db"

    @property
    def artifacts(self) -> Path:
        """MLflow's artifacts."""
        return self.path / "artifacts"

    @property
    def mlflow_record(self) -> Path:
        """Where runs are logged, and the page of MLflow that shows them."""
        return self.path / "mlflow.json"

    @property
    def retrained(self) -> Path:
        """The retrained models and `results.json`."""
        return self.path / "retrained"

    @property
    def results(self) -> Path:
        """Figures of the first search's retrained models, and the baselines."""
        return self.results_of("")

    @property
    def comparison(self) -> Path:
        """The page that compares the searches of a folder that has several."""
        return self.path / "searches.html"

    def results_of(self, search: str) -> Path:
        """Locate the figures of the models retrained from a search, and of the baselines.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            Path of a `results.json`.
        """
        return (self.home_of(search) if search else self.retrained) / "results.json"

    def search_of(self, results: Path) -> str:
        """Name the search that a `results.json` of this folder is of: inverse of `results_of`.

        Args:
            results: The file.

        Returns:
            Name of the search's study; empty for the first search of the folder.
        """
        return "" if results.parent.name == self.retrained.name else results.parent.name

    def home_of(self, search: str) -> Path:
        """Locate the folder of the files that each search has for itself.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            The run folder itself for the first search.
        """
        return self.path / "searches" / search if search else self.path

    def model_table_of(self, search: str) -> Path:
        """Locate the table of all trained models, which `compare` writes.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            Path of a JSON file, which has Markdown and CSV beside it.
        """
        return self.home_of(search) / "comparison.json"

    def pruned_of(self, search: str) -> Path:
        """Locate what pruning made of models of a search.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            A folder with one for each pruning.
        """
        return self.home_of(search) / "pruned"

    def report_record_of(self, search: str) -> Path:
        """Locate what the report says besides what other files hold.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            Path of a JSON file.
        """
        return self.home_of(search) / "report.json"

    def ensemble_of(self, search: str) -> Path:
        """Locate the file that says which trained models are averaged.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            The path for `nasrec_opt.retrain.Ensemble.load`.
        """
        return self.results_of(search).parent / "ensemble"

    def registered_of(self, search: str) -> Path:
        """Locate the record of the version under which the best model of a search is registered.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            Path of a JSON file.
        """
        return self.results_of(search).with_name("registered.json")

    def probes_of(self, search: str) -> Path:
        """Locate the results of the models that were trained before the supernet.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            Path of a JSON file.
        """
        return self.ladder_of(search).with_name("probes.json")

    def ladder_of(self, search: str) -> Path:
        """Locate the record of how far the models of a search have climbed.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            Path of a JSON file.
        """
        return self.home_of(search) / "ladder.json"

    def report_of(self, search: str) -> Path:
        """Locate the HTML report of a search.

        Args:
            search: Name of the search's study; empty for the first search of the folder.

        Returns:
            Path of the page.
        """
        return self.home_of(search) / "report.html"

    @property
    def precision(self) -> Path:
        """The precisions that `precision = "auto"` gave when the run began."""
        return self.path / "precision.json"

    @property
    def recipe(self) -> Path:
        """Values that the study leaves open and the log decides, as the run began with them."""
        return self.path / "recipe.json"

    @property
    def record_path(self) -> Path:
        """The record of the finished stages."""
        return self.path / "run.json"

    def record(self) -> dict[str, dict[str, Any]]:
        """Read `run.json`.

        Returns:
            For each finished stage its `settings`, as this version writes them, and its `seconds`;
            empty where the file is missing.

        Raises:
            StudyError: The file is not what this class writes, or a newer version has written it.
        """
        return self._upgraded()[0]

    def upgraded_search(self, settings: Any) -> Any:
        """Read the settings that a study of this folder states.

        Args:
            settings: As the study has them, perhaps from an older version, or None.

        Returns:
            The same as this version writes them.

        Raises:
            StudyError: A newer version has written them.
        """
        return upgraded("search", settings, self._upgraded()[1])

    def upgraded_digest(self, found: str) -> str:
        """Read the digest of a stage's settings.

        Args:
            found: As some version wrote it.

        Returns:
            The digest of the same settings as this version writes them.

        Raises:
            StudyError: `run.json` is not what this class writes.
        """
        return self._upgraded()[1].get(found, found)

    def _upgraded(self) -> tuple[dict[str, dict[str, Any]], Mapping[str, str]]:
        """`run.json` as this version writes it, and what became of the digests in the folder."""
        try:
            values = read_json(self.record_path)
        except (FileNotFoundError, NotADirectoryError):
            return {}, {}
        except ValueError as error:
            raise StudyError(f"{self.record_path}: expected JSON, got {error}") from error
        stages = values.values() if isinstance(values, dict) else [values]
        if not all(isinstance(s, dict) and {"settings", "seconds"} <= s.keys() for s in stages):
            raise StudyError(
                f"{self.record_path}: expected the finished stages of a run, got something else; "
                "remove it to run the stages again"
            )
        try:
            return upgraded_record(values)
        except StudyError as error:
            raise StudyError(f"{self.record_path}: {error}") from None

    def is_done(self, stage: str, settings: Any, output: Path) -> bool:
        """Check whether a stage has finished with exactly these settings.

        Args:
            stage: Key of the stage in `run.json`.
            settings: Everything that the stage depends on, as JSON values.
            output: The file that the stage leaves at its end; without it the stage is not done.

        Returns:
            True if its record has the same settings and its output exists.
        """
        entry = self.record().get(stage)
        return entry is not None and output.exists() and entry["settings"] == as_json(settings)

    def finish(self, stage: str, settings: Any, seconds: float) -> None:
        """Record that a stage has finished.

        Args:
            stage: Key of the stage in `run.json`.
            settings: Everything that the stage depends on, as JSON values.
            seconds: Wall time of the process that finished it, s.
        """
        values, settings = self.record(), as_json(settings)
        before = values.get(stage, {})
        was = before.get("was") if before.get("settings") == settings else None
        values[stage] = {
            "settings": settings,
            "seconds": round(seconds, 3),
            **({"was": was} if was else {}),
        }
        write_json(self.record_path, values)

    def forget(self, stage: str) -> None:
        """Record that a stage is not done.

        Args:
            stage: Key of the stage in `run.json`.
        """
        values = self.record()
        if values.pop(stage, None) is not None:
            write_json(self.record_path, values)

    def require_same(self, stage: str, settings: Any, output: Path, what: Path) -> None:
        """Refuse to continue if `stage` has finished with other settings.

        Args:
            stage: Key of the stage in `run.json`.
            settings: The current settings.
            output: The file that the stage leaves at its end; without it nothing is refused.
            what: Its folder, for the error.

        Raises:
            StudyError: It names the first setting that differs.
        """
        entry = self.record().get(stage)
        if entry is None or not output.exists() or entry["settings"] == as_json(settings):
            return
        key, then, now = first_difference(entry["settings"], as_json(settings))
        raise StudyError(
            f"{what}: made with other settings: {key} was {then!r} then, is {now!r} now; give "
            f"another --out, or remove {what}"
        )

    def require_utf8(self) -> None:
        """Refuse a path that databases cannot hold: they keep text, and MLflow's names the folder.

        Raises:
            StudyError: A part of the absolute path is not UTF-8.
        """
        path = str(self.path.resolve())
        try:
            path.encode()
        except UnicodeEncodeError:
            raise StudyError(
                f"{path!a}: expected a run folder whose path is UTF-8, since MLflow stores paths "
                "as text; give another --out"
            ) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder, since two processes in one run would damage each other's work.

        Yields:
            Nothing; the folder is locked until the block ends or the process dies.

        Raises:
            StudyError: Another process holds it, or it cannot be written.
        """
        lock = FileLock(self.path / ".lock")  # released when its process ends, however it ends
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            raise StudyError(f"{self.path}: another process works on this run") from None
        except OSError as error:
            raise StudyError(
                f"{self.path}: expected a writable run folder, got: {error.strerror}; "
                "copy it, or give another --out"
            ) from error
        try:
            yield
        finally:
            # It may have been renamed meanwhile; an empty folder is removed.
            if self.path.exists() and [e.name for e in self.path.iterdir()] == [".lock"]:
                shutil.rmtree(self.path)
            lock.release()

    def set_aside(self) -> Path:
        """Rename the folder to the first free `<name>-1`, `<name>-2`, …; nothing is lost.

        Returns:
            The new path.
        """
        path = self.path.resolve() if self.path.name in ("", "..") else self.path
        number = 1
        while (aside := path.with_name(f"{path.name}-{number}")).exists():
            number += 1
        path.rename(aside)
        return aside


def model_folder(folder: RunFolder, genotype: Mapping[str, Any], seed: int | None = None) -> Path:
    """Find the folder of the trained model of a genotype.

    Args:
        folder: The run folder.
        genotype: The genotype as a dictionary.
        seed: Seed of the model, or None for the study's own.
    """
    return folder.retrained / (digest(genotype) + ("" if seed is None else f"-seed-{seed}"))


def folder_in_run(model: Path) -> str:
    """Path of a model's folder in its run folder, which may move: `retrained/...`."""
    parts = model.parts
    return "/".join(parts[len(parts) - 1 - parts[::-1].index("retrained") :])
