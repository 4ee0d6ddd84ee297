"""Additions to a study in optuna-dashboard and MLflow: a note, plots, drawings."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna

from nasrec_opt._foreign.optuna_dashboard import attach_picture
from nasrec_opt.features import FeatureSpec
from nasrec_opt.report import draw, importance_figure
from nasrec_opt.space import Genotype
from nasrec_opt.tracking import Tracker

MAX_MODEL_BYTES = 200_000_000  # larger models stay where they are, and are not copied to MLflow
CARD_PIXELS = 450  # of the dashboard's page, which cuts off higher plots


def describe(study: optuna.Study, settings: Mapping[str, Any]) -> None:
    """Give a study a note with its settings, if it has none and optuna-dashboard is installed.

    Args:
        study: The study.
        settings: Plain values, nested at most.
    """
    try:
        from optuna_dashboard import get_note, save_note
    except ImportError:
        return
    if not get_note(study):  # otherwise a user may have written in it
        names = ", ".join(study.metric_names or [])
        save_note(study, f"# {study.study_name}\n\nMinimised: {names}.\n{_markdown(settings)}")


def show_importances(study: optuna.Study) -> None:
    """Give a study a plot of its most important parameters, if optuna-dashboard is installed.

    The dashboard's own plot has a bar for every parameter and objective, too many to read.

    Args:
        study: The study; a study with few trials gets no plot.
    """
    try:
        from optuna_dashboard import save_plotly_graph_object
    except ImportError:
        return
    figure = importance_figure(study)
    if figure is not None:
        figure.update_layout(
            title="Most important parameters (PED-ANOVA)",
            height=CARD_PIXELS,
            margin={"l": 10, "r": 10, "t": 75, "b": 45},
            paper_bgcolor="white",  # also in the dashboard's dark mode
            plot_bgcolor="white",
        )
        figure.update_yaxes(automargin=True, tickfont={"size": 11})
        save_plotly_graph_object(study, figure, graph_object_id="importances")  # or replace it


def show_front(study: optuna.Study, folder: Path, features: FeatureSpec, tracker: Tracker) -> int:
    """Put drawings beside the Pareto-optimal trials; a tracker gets their genotypes as well.

    Args:
        study: A study of this library.
        folder: Where Optuna's artifacts are: `optuna-dashboard --artifact-dir`.
        features: Shape of the input.
        tracker: Of the study.

    Returns:
        Number of trials.
    """
    front = {trial.number: (trial, Genotype.from_trial(trial)) for trial in study.best_trials}
    with tempfile.TemporaryDirectory() as scratch:
        files = {
            number: files_of(genotype, Path(scratch) / str(number), features)
            for number, (_, genotype) in front.items()
        }
        for number, (trial, genotype) in front.items():
            attach_picture(study, trial, files[number][0], folder, genotype.to_json())
        tracker.log_files(study, files)
    return len(front)


@contextmanager
def files_of_models(
    models: Sequence[Mapping[str, Any]], folders: Sequence[Path], features: FeatureSpec
) -> Iterator[list[list[Path]]]:
    """Files of each retrained model for a tracker, which exist during the block.

    Args:
        models: Entries of `results.json`.
        folders: Of the models, in the same order.
        features: Shape of the input.
    """
    with tempfile.TemporaryDirectory() as scratch:
        found = []
        for number, (entry, folder) in enumerate(zip(models, folders, strict=True)):
            genotype = Genotype.from_dict(entry["genotype"])
            paths = files_of(genotype, Path(scratch) / str(number), features)
            model = folder / "model"
            size = sum(file.stat().st_size for file in model.rglob("*") if file.is_file())
            if size <= MAX_MODEL_BYTES:
                paths.append(model)
            found.append(paths)
        yield found


def files_of(genotype: Genotype, folder: Path, features: FeatureSpec) -> list[Path]:
    """The drawing of an architecture and its genotype, in a new folder."""
    folder.mkdir(parents=True)
    drawing, text = folder / "architecture.svg", folder / "genotype.json"
    draw(genotype, drawing, features)
    text.write_text(genotype.to_json(), encoding="utf-8")
    return [drawing, text]


def _markdown(settings: Mapping[str, Any]) -> str:
    """Nested settings as lists under headings, without None and empty values."""
    lines: list[str] = []
    for name, value in settings.items():
        if isinstance(value, Mapping):
            inner = [f"- {key}: `{_shown(v)}`" for key, v in value.items() if v not in (None, {})]
            lines += ["", f"## {name}", "", *inner] if inner else []
        else:
            lines.append(f"- {name}: `{_shown(value)}`")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
