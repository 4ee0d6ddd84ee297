"""A space as native Optuna parameters: a few readable categoricals per block.

Block 3 asks `b3.dense_ops`, `b3.dense_width`, `b3.dense_inputs` (a subset of the inputs such as
`"0+2"`), `b3.gate_inputs` (left and right input, `"0,2"`), `b3.sparse_ops`, `b3.sparse_width`,
`b3.sparse_inputs`, `b3.mergers`, `b3.dense_bits` and `b3.sparse_bits`; the accelerator asks
`hw.adc_bits` and so on. Inactive genes and genes with a single value are not asked: every parameter
is a transaction in Optuna's SQL storages (docs/decisions/encoding.md has the measurements).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._choices import BLOCK_GENES, Choices, build, is_active, visit
from nasrec_opt.space._genotype import Genotype

if TYPE_CHECKING:
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import BaseTrial

Label = int | str  # what a storage and a dashboard show

_MERGERS = {
    (False, False): "none",
    (True, False): "dense_to_sparse",
    (False, True): "sparse_to_dense",
    (True, True): "both",
}


def suggest(choices: Choices, trial: BaseTrial) -> Genotype:
    """Ask for the active genes, one after the other."""

    def pick(place: str, gene: str, values: tuple[Any, ...]) -> Any:
        if len(values) == 1:
            return values[0]
        labels = _labels(gene, values)
        return values[labels.index(trial.suggest_categorical(f"{place}.{gene}", labels))]

    return build(choices, pick)


def distributions(choices: Choices) -> dict[str, CategoricalDistribution]:
    """Every parameter that may be asked, active or not."""
    # Optuna takes longer to import than all of ours together; who only reads genotypes needs none.
    from optuna.distributions import CategoricalDistribution

    needed = {f"b{block.number}": block for block in choices.blocks}
    asked = {
        f"{place}.{gene}": _labels(gene, block.of(gene))
        for place, block in needed.items()
        for gene in BLOCK_GENES
        if gene not in _never_active(choices)
    }
    if choices.hardware is not None:
        asked |= {f"hw.{gene}": values for gene, values in choices.hardware.items()}
    return {
        name: CategoricalDistribution(labels) for name, labels in asked.items() if len(labels) > 1
    }


def encode(choices: Choices, genotype: Genotype) -> dict[str, Label]:
    """The parameters that `suggest` would ask, with the genotype's values."""
    return {
        f"{place}.{gene}": _label(gene, value)
        for place, gene, values, value in visit(choices, genotype)
        if len(values) > 1
    }


def decode(choices: Choices, params: Mapping[str, Any]) -> Genotype:
    """The genotype that `suggest` would build from these parameters."""

    def pick(place: str, gene: str, values: tuple[Any, ...]) -> Any:
        if len(values) == 1:
            return values[0]
        name = f"{place}.{gene}"
        if name not in params:
            raise GenotypeError(f"{name}: expected a value, got no such parameter")
        labels = _labels(gene, values)
        if params[name] not in labels:
            shown = ", ".join(map(str, labels[:12])) + (", ..." if len(labels) > 12 else "")
            raise GenotypeError(f"{name}: expected one of {shown}, got {params[name]!r}")
        return values[labels.index(params[name])]

    return build(choices, pick)


@lru_cache(maxsize=1024)
def _labels(gene: str, values: tuple[Any, ...]) -> tuple[Label, ...]:
    return tuple(_label(gene, value) for value in values)


def _label(gene: str, value: Any) -> Label:
    """Text, or the number itself, by which storages and dashboards name a value."""
    if isinstance(value, int):
        return value
    if gene == "mergers":
        return _MERGERS[value]
    if gene in ("dense_bits", "sparse_bits"):
        return f"w{value[0]}a{value[1]}"
    return ("," if gene == "gate_inputs" else "+").join(map(str, value))


def _never_active(choices: Choices) -> frozenset[str]:
    """Genes that no choice of operators of this space has."""
    every = {ops for block in choices.blocks for ops in block.dense_ops}
    return frozenset(g for g in BLOCK_GENES if not any(is_active(g, ops) for ops in every))
