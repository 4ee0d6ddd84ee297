"""A search space as Ax parameters, and genotypes as values of them.

There are two encodings. `tree` has the names and values of the Optuna parameters. If some dense
operators of a block read `dense_inputs` and others `gate_inputs`, a parameter `b2.reads` says
which, and the genes depend on it. Ax requires trees: no parameter may depend on two values, so each
way of reading has its own `dense_ops`. `flat` has an integer for every gene, its place among the
gene's values; inactive genes are 0. So Ax's Gaussian process has one dimension for each gene, where
a subset of seven inputs would otherwise have 127 (docs/decisions/ax_engine.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from nasrec_opt.ax._quiet import require_ax
from nasrec_opt.errors import GenotypeError, StudyError
from nasrec_opt.space import Genotype, SearchSpace, is_active

if TYPE_CHECKING:
    from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig

Encoding = Literal["tree", "flat"]
Value = int | str

_CONDITIONAL = ("dense_inputs", "gate_inputs")
_READS = {(): "nothing", ("dense_inputs",): "all", ("gate_inputs",): "two", _CONDITIONAL: "both"}


def to_ax(
    space: SearchSpace, encoding: Encoding = "tree"
) -> list[ChoiceParameterConfig | RangeParameterConfig]:
    """Describe a search space as the parameters of `Client.configure_experiment`.

    Args:
        space: The space to search.
        encoding: `tree` has the names and values of the Optuna parameters, without inactive genes;
            `flat` has an integer for every gene.

    Returns:
        One parameter configuration per gene, in the order of the genes.

    Raises:
        MissingExtraError: Ax is not installed.
        StudyError: There is no such encoding.
    """
    require_ax()
    return _codec(space, encoding).configs()


def parameters_of(
    space: SearchSpace, genotype: Genotype, encoding: Encoding = "tree"
) -> dict[str, Value]:
    """Encode a genotype as Ax parameters.

    Args:
        space: The space that is searched.
        genotype: A genotype of that space.
        encoding: `tree` or `flat`: see `to_ax`.

    Returns:
        Values by parameter name, for example for `Client.attach_trial`.

    Raises:
        GenotypeError: The genotype is not in the space.
        StudyError: There is no such encoding.
    """
    return _codec(space, encoding).encode(space.encode(genotype))


def genotype_of(
    space: SearchSpace, parameters: Mapping[str, Any], encoding: Encoding = "tree"
) -> Genotype:
    """Decode Ax parameters to a genotype; values of inactive genes are ignored.

    Args:
        space: The space that was searched.
        parameters: Values by parameter name, as an Ax arm has them.
        encoding: The encoding that made the parameters: see `to_ax`.

    Returns:
        The genotype.

    Raises:
        GenotypeError: An active parameter is missing, or has a value outside its choices.
        StudyError: There is no such encoding.

    Example:
        >>> import numpy as np
        >>> from nasrec_opt import SearchSpace
        >>> space = SearchSpace.nasrec_small(num_blocks=2)
        >>> genotype = space.sample(np.random.default_rng(0))
        >>> genotype_of(space, parameters_of(space, genotype)) == genotype
        True
    """
    return space.decode(_codec(space, encoding).decode(parameters))


@lru_cache(maxsize=8)
def _codec(space: SearchSpace, encoding: str) -> _Tree | _Flat:
    if encoding not in get_args(Encoding):
        raise StudyError(f"encoding: expected 'tree' or 'flat', got {encoding!r}")
    choices = {name: d.choices for name, d in space.distributions().items()}
    return _Tree(choices) if encoding == "tree" else _Flat(choices)


class _Flat:
    """An integer from 0 for every gene.

    Args:
        choices: Labels of every Optuna parameter.
    """

    def __init__(self, choices: Mapping[str, Sequence[Any]]) -> None:
        self._choices = choices

    def configs(self) -> list[Any]:
        """List the parameter configurations, one for each gene."""
        from ax.api.configs import RangeParameterConfig

        return [
            RangeParameterConfig(name=name, bounds=(0, len(labels) - 1), parameter_type="int")
            for name, labels in self._choices.items()
        ]

    def encode(self, labels: Mapping[str, Value]) -> dict[str, Value]:
        """Convert Optuna parameters to Ax parameters."""
        return {
            name: choices.index(labels[name]) if name in labels else 0
            for name, choices in self._choices.items()
        }

    def decode(self, parameters: Mapping[str, Any]) -> dict[str, Value]:
        """Convert Ax parameters to Optuna parameters."""
        found = {}
        for name, labels in self._choices.items():
            place = parameters.get(name)
            if place is None or isinstance(place, bool) or place not in range(len(labels)):
                raise GenotypeError(
                    f"{name}: expected an integer from 0 to {len(labels) - 1}, got {place!r}"
                )
            found[name] = labels[int(place)]
        return found


class _Tree:
    """Labels as in Optuna; genes that only some operators have depend on `reads`.

    Args:
        choices: Labels of every Optuna parameter.
    """

    def __init__(self, choices: Mapping[str, Sequence[Any]]) -> None:
        self._choices = choices
        # By block, by way of reading, the labels of dense_ops that read so.
        self._ops: dict[str, dict[str, list[Value]]] = {}
        for name, labels in choices.items():
            place, _, gene = name.partition(".")
            if gene == "dense_ops":
                by_reads: dict[str, list[Value]] = {}
                for label in labels:
                    by_reads.setdefault(self._reads(place, label), []).append(label)
                if len(by_reads) > 1:
                    self._ops[place] = by_reads

    def configs(self) -> list[Any]:
        """List the parameter configurations, with those that depend on others."""
        found = []
        for name, labels in self._choices.items():
            place, _, gene = name.partition(".")
            if place not in self._ops or gene not in ("dense_ops", *_CONDITIONAL):
                found.append(_choice(name, labels))
            elif gene == "dense_ops":
                found += self._branches(place)
        return found

    def encode(self, labels: Mapping[str, Value]) -> dict[str, Value]:
        """Convert Optuna parameters to Ax parameters."""
        found: dict[str, Value] = {}
        reads_of = {place: self._reads(place, labels[f"{place}.dense_ops"]) for place in self._ops}
        for name, label in labels.items():
            place, _, gene = name.partition(".")
            reads = reads_of.get(place)
            if reads is None or gene not in ("dense_ops", *_CONDITIONAL):
                found[name] = _typed(self._choices[name])(label)
                continue
            if gene == "dense_ops":
                found[f"{place}.reads"] = reads
                if len(self._ops[place][reads]) == 1:
                    continue
            found[f"{place}.{reads}.{gene}"] = str(label)
        return found

    def decode(self, parameters: Mapping[str, Any]) -> dict[str, Value]:
        """Convert Ax parameters to Optuna parameters."""
        found: dict[str, Value] = {}
        for name, value in parameters.items():
            place, gene = name.partition(".")[0], name.rpartition(".")[2]
            if gene == "reads":
                found |= self._below(place, value, parameters)
            elif name in self._choices:
                # An Ax parameter has one type; ours may mix numbers and text.
                label_of = {
                    _typed(self._choices[name])(label): label for label in self._choices[name]
                }
                found[name] = label_of.get(value, value)
        return found

    def _below(self, place: str, reads: Any, parameters: Mapping[str, Any]) -> dict[str, Value]:
        """The genes of one way of reading, under their Optuna names."""
        by_reads = self._ops.get(place, {})
        if reads not in by_reads:
            raise GenotypeError(
                f"{place}.reads: expected one of {', '.join(by_reads)}, got {reads!r}"
            )
        found = {}
        if len(by_reads[reads]) == 1:
            found[f"{place}.dense_ops"] = by_reads[reads][0]
        for gene in ("dense_ops", *_CONDITIONAL):
            if f"{place}.{reads}.{gene}" in parameters:
                found[f"{place}.{gene}"] = parameters[f"{place}.{reads}.{gene}"]
        return found

    def _reads(self, place: str, dense_ops: Value) -> str:
        """Genes with a choice that only some operators have."""
        operators = tuple(str(dense_ops).split("+"))
        return _READS[
            tuple(
                gene
                for gene in _CONDITIONAL
                if f"{place}.{gene}" in self._choices and is_active(gene, operators)
            )
        ]

    def _branches(self, place: str) -> list[Any]:
        """`reads`, and the parameters below each of its values."""
        below: dict[str, list[Any]] = {}
        for reads, operators in self._ops[place].items():
            below[reads] = []
            if len(operators) > 1:
                below[reads].append(_choice(f"{place}.{reads}.dense_ops", operators))
            below[reads] += [
                _choice(f"{place}.{reads}.{gene}", self._choices[f"{place}.{gene}"])
                for gene in _CONDITIONAL
                if f"{place}.{gene}" in self._choices
                and is_active(gene, tuple(str(operators[0]).split("+")))
            ]
        names = {reads: [config.name for config in found] for reads, found in below.items()}
        root = _choice(f"{place}.reads", list(below), {r: n for r, n in names.items() if n})
        return [root, *(config for found in below.values() for config in found)]


def _typed(labels: Sequence[Value]) -> type[int] | type[str]:
    return int if all(isinstance(label, int) for label in labels) else str


def _choice(
    name: str, labels: Sequence[Value], dependents: Mapping[Any, Sequence[str]] | None = None
) -> Any:
    from ax.api.configs import ChoiceParameterConfig

    kind = _typed(labels)
    values: Any = [kind(label) for label in labels]
    return ChoiceParameterConfig(
        name=name,
        values=values,
        parameter_type="int" if kind is int else "str",
        is_ordered=kind is int or len(values) == 2,  # Ax always orders two values
        dependent_parameters=dependents,
    )
