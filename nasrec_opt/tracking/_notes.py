"""Names and values of one run as MLflow accepts them, with notes of what was changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nasrec_opt.tracking._names import is_cut, unique
from nasrec_opt.tracking._record import FEATURES_TAG, GENOTYPE_TAG, SPACE_TAG, Metric
from nasrec_opt.tracking._values import (
    MAX_PARAM,
    MAX_TAG,
    as_number,
    as_text,
    shortened,
    split,
    storable,
)

NAMES_TAG = "nasrec.names"  # originals of the names that MLflow does not take as they are
IN_FULL_TAG = "nasrec.in_full"  # what of the run is in its artifact `IN_FULL`
IN_FULL = "trial.json"
NEVER_CUT = (GENOTYPE_TAG, FEATURES_TAG, SPACE_TAG)  # what it takes to build a model again


@dataclass
class Notes:
    """Converts names and values to what MLflow accepts, and remembers what was changed.

    Args:
        names: Original names by the MLflow names that differ from them.
        cut: Names of values that are not stored in full.
    """

    names: dict[str, str] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)

    def params(self, values: Mapping[Any, Any]) -> dict[str, str]:
        """Parameters; long values are cut with a mark."""
        return self._texts(values, MAX_PARAM, "parameter", _shown)

    def tags(self, values: Mapping[Any, Any]) -> dict[str, str]:
        """Tags; long values are cut with a mark, those of `NEVER_CUT` go on in further tags."""
        long = {name: values[name] for name in NEVER_CUT if name in values}
        short = {name: value for name, value in values.items() if name not in long}
        tags = self._texts(short, MAX_TAG, "tag", as_text)
        for name, text in long.items():
            tags |= split(name, storable(text))
        return tags

    def metrics(self, values: Mapping[Any, Any]) -> tuple[Metric, ...]:
        """The numbers among some values."""
        numbers = {name: n for name, v in values.items() if (n := as_number(v)) is not None}
        names = self._named(numbers)
        return tuple(Metric(name=names[name], value=number) for name, number in numbers.items())

    def remarks(self) -> dict[str, str]:
        """Tags that say what was changed; none if nothing was."""
        tags = {}
        if self.names:
            text = json.dumps(self.names)
            if len(text) > MAX_TAG:
                self.cut.append("names")
            tags[NAMES_TAG] = shortened(text, MAX_TAG)
        if self.cut:
            tags[IN_FULL_TAG] = shortened(f"{IN_FULL}: {', '.join(self.cut)}", MAX_TAG)
        return tags

    def _texts(
        self, values: Mapping[Any, Any], longest: int, what: str, to_text: Callable[[Any], str]
    ) -> dict[str, str]:
        texts = {}
        for name, key in self._named(values).items():
            text = to_text(values[name])
            texts[key] = shortened(storable(text), longest)
            if texts[key] != text:
                self.cut.append(f"{what} {key}")
        return texts

    def _named(self, values: Mapping[Any, Any]) -> dict[Any, str]:
        """The MLflow name of each."""
        names = unique(values)
        for name, key in names.items():
            if name != key:
                self.names[key] = name if isinstance(name, str) else repr(name)
                if is_cut(key):
                    self.cut.append(f"name {key}")
        return names


def _shown(value: Any) -> str:
    """A parameter as readable text: `None`, `True`, `0.1`."""
    try:
        return str(value)
    except Exception:  # the boundary to a class of somebody else, and to very long integers
        return as_text(value)
