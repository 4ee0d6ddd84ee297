"""The click log as a dataset, in `dataset/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nasrec_opt.data import Dataset, generate_synthetic, prepare
from nasrec_opt.errors import DataError
from nasrec_opt.inspection import dataset_warnings
from nasrec_opt.pipeline import _sentences as sentences
from nasrec_opt.pipeline._context import Context
from nasrec_opt.pipeline._identity import prepare_settings
from nasrec_opt.pipeline._log_recipe import with_recipe
from nasrec_opt.pipeline._log_source import copy_dataset, is_dataset, named_source
from nasrec_opt.pipeline._stage import Stage


def _inputs(context: Context) -> dict[str, Any]:
    return prepare_settings(context.config, context.folder, context.source)


def _source(context: Context) -> str:
    return str(_inputs(context)["source"])


def _run(context: Context) -> str:
    data, out, source = context.config.data, context.folder.dataset, _source(context)
    if source == "synthetic":
        dataset = generate_synthetic(
            out,
            rows=data.synthetic_rows,
            seed=data.synthetic_seed,
            progress=context.reporter.advance,
        )
    elif _inputs(context).get("is_dataset"):
        given = context.source or named_source(source)
        if not is_dataset(given):
            raise DataError(f"{source}: expected a dataset, found none")
        dataset = copy_dataset(Path(str(given)), out)
    else:
        dataset = prepare(
            context.source or named_source(source),
            out,
            format=data.format,
            layout=data.layout,
            count=data.count,
            users=data.users,
            seed=data.split_seed,
            max_values=data.max_values,
            progress=context.reporter.advance,
        )
    for warning in dataset_warnings(dataset):
        context.reporter.note(f"warning: {warning.text}")
    return sentences.prepared(dataset, source)


def _fill_in(context: Context) -> None:
    """Fill in the values that the study leaves open, from the number of rows."""
    rows = Dataset.open(context.folder.dataset).split("train").num_rows
    context.config = with_recipe(context.config, context.folder, rows)


PREPARE = Stage(
    name="prepare",
    inputs=_inputs,
    output=lambda folder, _: folder.dataset_record,
    run=_run,
    detail=_source,
    is_shared=True,
    keeps=lambda folder: folder.dataset,
    after=_fill_in,
)
