"""The workload of one genotype."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from hw import Digital, Lookup, MatrixVector, Operation, Workload, join
from nasrec_opt.features import FeatureSpec
from nasrec_opt.lowering._genes import genes_of
from nasrec_opt.lowering._operators import Product, Work
from nasrec_opt.lowering._walk import Walk, union
from nasrec_opt.space import Genotype, liveness

MEAN = "mean"
Names = tuple[str, ...]
Bits = tuple[int, int]


def lower(
    genotype: Genotype, features: FeatureSpec, *, balance: bool = True, layer_norm: bool = True
) -> Workload:
    """The workload of one sample of a genotype.

    Args:
        genotype: The architecture; its bits are the bits of the products.
        features: Shape of the input.
        balance: Whether dot products project their vectors to a smaller number (section 4.2); the
            attribute `balance` of a `Supernet` or a `Subnet` has it.
        layer_norm: Whether a layer norm follows each operator; the attribute `layer_norm` of a
            `Subnet` has it.

    Returns:
        Operations named `block/operator/part`, e.g. `2/dot/rows`.
    """
    sink = _Operations()
    Walk(sink, features, balance=balance, layer_norm=layer_norm).run(
        genes_of(genotype), liveness(genotype), final_bits=genotype.final_bits, wide=genotype.wide
    )
    return Workload(tuple(sink.operations))


def lower_ensemble(
    genotypes: Sequence[Genotype],
    features: FeatureSpec,
    *,
    at_once: bool,
    balance: bool = True,
    layer_norm: bool = True,
) -> Workload:
    """Lower an ensemble: the workload of all its models and of the mean of their logits.

    Each model has tables and weights of its own.

    Args:
        genotypes: The architectures, at their bits.
        features: Shape of the input.
        at_once: Whether the models run at the same time, as on crossbars of their own; otherwise
            one after another.
        balance: As for `lower`, of all models.
        layer_norm: As for `lower`, of all models.

    Returns:
        Operations named `member/block/operator/part`, and `mean`.
    """
    members = [
        lower(genotype, features, balance=balance, layer_norm=layer_norm) for genotype in genotypes
    ]
    together = join(members, at_once=at_once)
    mean = Digital(
        name=MEAN,
        operator=MEAN,
        macs=1,  # by the reciprocal of their number
        additions=len(members) - 1,
        bits=max(genotype.final_bits for genotype in genotypes),
        after=tuple(
            f"{place}/{member.operations[-1].name}" for place, member in enumerate(members, start=1)
        ),
    )
    return Workload((*together.operations, mean))


class _Operations:
    """A sink that makes an object for each operation; see `Sink`."""

    everywhere = True

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    def where(self, has: bool) -> bool | None:
        return has or None

    def at(self, values: tuple[Any, ...], where: bool) -> tuple[Any, ...]:
        return values

    def total(self, sizes: Sequence[int], chosen: int) -> int:
        total = 0
        for number in _members(chosen):
            total += sizes[number]
        return total

    def gather(self, made: Sequence[Names], *chosen: int) -> Names:
        numbers = [number for mask in chosen for number in _members(mask)]
        if len(numbers) == 1:
            return made[numbers[0]]
        return union([made[number] for number in numbers])

    def either(self, new: Names, old: Names) -> Names:
        return new or old

    def lookup(
        self, where: bool, name: str, operator: str, *, vectors: int, dim: int, table_rows: int
    ) -> Names:
        self.operations.append(
            Lookup(name=name, operator=operator, vectors=vectors, dim=dim, table_rows=table_rows)
        )
        return (name,)

    def part(
        self,
        where: bool,
        name: str,
        operator: str,
        part: Product | Work,
        *,
        after: Names,
        bits: Bits,
        before: Names | None,
    ) -> Names:
        if not part.present:  # its own inputs take its place
            return after if before is None else before
        operation: Operation
        if isinstance(part, Product):
            operation = MatrixVector(
                name=name,
                operator=operator,
                inputs=part.inputs,
                outputs=part.outputs,
                repeats=part.repeats,
                weight_bits=bits[0],
                activation_bits=bits[1],
                extra_parameters=part.extra,
                paper_macs=part.paper_macs,
                after=after,
            )
        else:
            operation = Digital(
                name=name,
                operator=operator,
                macs=part.macs,
                unit_macs=part.unit_macs,
                additions=part.additions,
                special_functions=part.special,
                bits=bits[1],  # it works on activations
                extra_parameters=part.extra,
                after=after,
            )
        self.operations.append(operation)
        return (name,)


@lru_cache(maxsize=1 << 14)
def _members(mask: int) -> tuple[int, ...]:
    """Numbers of the bits of a mask, ascending."""
    return tuple(number for number in range(mask.bit_length()) if (mask >> number) & 1)
