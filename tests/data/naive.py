"""What `prepare` does, row by row in plain Python: nothing is shared with it but the split."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from data.logs import Table

from nasrec_opt.data import Schema
from nasrec_opt.data._split import SPLITS, split_of


def prepare_naively(
    table: Table, schema: Schema, seed: int, min_count: int
) -> dict[str, np.ndarray]:
    """The arrays that a dataset of these rows reads as, dense columns binned as well."""
    split = split_of(0, len(table), seed)
    train = [row for row, part in zip(table, split, strict=True) if part == 0]
    columns = [lambda row, name=name: row[name] for name in schema.sparse]
    columns += [lambda row, name=name: bin_of(row[name]) for name in schema.dense]
    vocabularies = [vocabulary(map(column, train), min_count) for column in columns]
    minima = {
        name: min([0.0, *(float(row[name]) for row in train if row[name])]) for name in schema.dense
    }
    found = {}
    for part, name in enumerate(SPLITS):
        rows = [row for row, p in zip(table, split, strict=True) if p == part]
        found[f"{name}/labels"] = np.array([float(row[schema.label]) for row in rows])
        found[f"{name}/dense"] = np.array(
            [[logarithm(row[name], minima[name]) for name in schema.dense] for row in rows]
        )
        found[f"{name}/sparse"] = np.array(
            [
                [id_of(column(row), ids) for column, ids in zip(columns, vocabularies, strict=True)]
                for row in rows
            ]
        )
    return found


def vocabulary(values, min_count: int) -> dict[str, int]:
    counts = Counter(value for value in values if value)
    ordered = sorted(counts, key=lambda value: (-counts[value], value))
    kept = [value for value in ordered if counts[value] >= min_count]
    return {value: number for number, value in enumerate(kept, start=2)}


def id_of(value: str, ids: dict[str, int]) -> int:
    return ids.get(value, 0) if value else 1


def bin_of(text: str) -> str:
    if not text:
        return ""
    value = float(text)
    return str(math.floor(value if value < 0 else math.log(value + 1) ** 2))


def logarithm(text: str, minimum: float) -> float:
    return math.log(max(float(text), minimum) + 1 - minimum) if text else 0.0
