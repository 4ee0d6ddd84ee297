"""A space as native Optuna parameters: a few readable categoricals per block.

Block 3 asks `b3.dense_ops`, `b3.dense_width`, `b3.dense_inputs` (a subset of the inputs such as
`"0+2"`), `b3.gate_inputs` (left and right input, `"0,2"`), `b3.sparse_ops`, `b3.sparse_width`,
`b3.sparse_inputs`, `b3.mergers`, `b3.dense_bits` and `b3.sparse_bits`; the model as a whole asks
`wide`, the accelerator `hw.adc_bits` and so on. Inactive genes and genes with a single value are
not asked: every parameter is a transaction in Optuna's SQL storages (docs/decisions/encoding.md has
the measurements).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._asking import (
    Label,
    check_known,
    check_label,
    check_sampler,
    check_study,
    enqueued,
)
from nasrec_opt.space._choices import (
    WIDE,
    Choices,
    build,
    is_active,
    parameter_name,
    visit,
)
from nasrec_opt.space._genotype import Genotype

if TYPE_CHECKING:
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import BaseTrial

_MERGERS = {
    (False, False): "none",
    (True, False): "dense_to_sparse",
    (False, True): "sparse_to_dense",
    (True, True): "both",
}


class Parameters:
    """The Optuna parameters of a space, with their labels computed once.

    Args:
        choices: The values of every gene of the space.
    """

    def __init__(self, choices: Choices) -> None:
        self._choices = choices
        self._called = f"space {choices.space!r} with {len(choices.blocks)} blocks"
        # By parameter name, then by label, in the order of the choices.
        self._values = {
            name: {_label(gene, value): value for value in values}
            for name, gene, values in _parameters(choices)
        }
        self._value_of = {name: v for name, v in self._values.items() if len(v) > 1}

    def suggest(self, trial: BaseTrial) -> Genotype:
        """Ask for the active genes, one after the other."""
        fixed = enqueued(trial)
        check_known(fixed, self._values, self._called)
        self._check_wide(fixed)

        def pick(place: str, gene: str, values: tuple[Any, ...]) -> Any:
            name = parameter_name(place, gene)
            if name in fixed:
                check_label(name, fixed[name], self._values[name])
            if len(values) == 1:
                return values[0]
            value_of = self._value_of[name]
            try:
                label: Any = trial.suggest_categorical(name, tuple(value_of))
            except ValueError as error:
                self._check_sampler(trial)
                check_study(trial, name, self._called, error)
                raise
            return value_of[label]

        genotype = build(self._choices, pick)
        self._check_sampler(trial)  # now: a sampler is asked as late as possible
        return genotype

    def _check_wide(self, params: Mapping[str, Any]) -> None:
        """Refuse an enqueued first-order term that the space does not have.

        If the space has no choice of it, the name is free: other values may be the caller's own.
        """
        if isinstance(params.get(WIDE), bool):
            check_label(WIDE, params[WIDE], self._values[WIDE])

    def _check_sampler(self, trial: BaseTrial) -> None:
        check_sampler(trial, self._value_of, len(self._choices.blocks), self._called)

    def distributions(self) -> dict[str, CategoricalDistribution]:
        """Every parameter that may be asked, active or not."""
        # imported late: Optuna takes long to import, and reading genotypes does not need it
        from optuna.distributions import CategoricalDistribution

        return {name: CategoricalDistribution(tuple(v)) for name, v in self._value_of.items()}

    def encode(self, genotype: Genotype) -> dict[str, Label]:
        """The parameters that `suggest` would ask, with the genotype's values."""
        return {
            parameter_name(place, gene): _label(gene, value)
            for place, gene, num_values, value in visit(self._choices, genotype)
            if num_values > 1
        }

    def decode(self, params: Mapping[str, Any]) -> Genotype:
        """The genotype that `suggest` would build from these parameters."""
        self._check_wide(params)

        def pick(place: str, gene: str, values: tuple[Any, ...]) -> Any:
            if len(values) == 1:
                return values[0]
            name = parameter_name(place, gene)
            if name not in params:
                raise GenotypeError(f"{name}: expected a value, got no such parameter")
            check_label(name, params[name], self._value_of[name])
            return self._value_of[name][params[name]]

        return build(self._choices, pick)


def _parameters(choices: Choices) -> list[tuple[str, str, tuple[Any, ...]]]:
    """Name, gene and values of every gene that some choice of operators has."""
    found = [
        (f"b{block.number}.{gene}", gene, block.of(gene))
        for block in choices.blocks
        for gene in block.genes
        if any(is_active(gene, ops) for ops in block.dense_ops)
    ]
    found.append((WIDE, WIDE, choices.wide))
    if choices.hardware is not None:
        found += [(f"hw.{gene}", gene, values) for gene, values in choices.hardware.items()]
    return found


def _label(gene: str, value: Any) -> Label:
    """Text, or the number itself, by which storages and dashboards name a value."""
    if isinstance(value, int):
        return value
    if gene == "mergers":
        return _MERGERS[value]
    if gene in ("dense_bits", "sparse_bits"):
        return f"w{value[0]}a{value[1]}"
    if value == ():
        return "none"  # no sparse operator
    return ("," if gene == "gate_inputs" else "+").join(map(str, value))
