"""The workload: the operations of one sample, independent of any model framework.

Operations are listed in an order in which they could run. `after` names the operations whose
results one needs, so that the critical path is known. Matrix-vector products have stationary
weights and fit crossbars; digital operations have none and run beside them (paper, section 3.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hw._plain import integer
from hw.errors import DescriptionError

MOST_INTEGER_BITS = 16
FLOAT_BITS = 32  # floating point, which no crossbar computes in


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixVector:
    """A product of stationary weights `[outputs, inputs]` with `repeats` vectors.

    Args:
        name: Name of the operation, unique in its workload.
        operator: Operator that it belongs to, for breakdowns.
        inputs: Length of the vector.
        outputs: Length of the result.
        repeats: Vectors of one sample that are multiplied by these weights, one after another.
        weight_bits: Bits of a weight: 1 to 16 of an integer, or 32 for floating point.
        activation_bits: Bits of an input: 1 to 16 of an integer, or 32 for floating point.
        extra_parameters: Biases and layer norms that go with it.
        paper_macs: MACs by the rule of the paper's Table 5, or None for `inputs * outputs *
            repeats`. They differ for a Gate, which that table counts with the narrower input padded
            with zeros.
        after: Names of the operations whose results it needs.

    Raises:
        DescriptionError: A length, a count or a number of bits is out of range.
    """

    name: str
    operator: str
    inputs: int
    outputs: int
    repeats: int = 1
    weight_bits: int = 8
    activation_bits: int = 8
    extra_parameters: int = 0
    paper_macs: int | None = None
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("inputs", "outputs", "repeats"):
            _at_least(self, field, 1)
        for field in ("weight_bits", "activation_bits"):
            _bits(self, field)
        _at_least(self, "extra_parameters", 0)
        if self.paper_macs is not None:
            _at_least(self, "paper_macs", 0)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample."""
        return self.inputs * self.outputs * self.repeats

    @property
    def parameters(self) -> int:
        """Weights, biases and layer norms."""
        return self.inputs * self.outputs + self.extra_parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Digital:
    """Work of the digital functional unit.

    Args:
        name: Name of the operation, unique in its workload.
        operator: Operator that it belongs to, for breakdowns.
        macs: Multiply-accumulates as a FLOP counter counts them (whole Gram matrices).
        unit_macs: Multiply-accumulates that the unit does, or None for the same number.
        additions: Additions, comparisons, subtractions.
        special_functions: Exponentials, sigmoids, reciprocals, square roots.
        bits: Bits of the operands: 1 to 16 of an integer, or 32 for floating point.
        extra_parameters: Parameters that go with it.
        after: Names of the operations whose results it needs.

    Raises:
        DescriptionError: A count or a number of bits is out of range.
    """

    name: str
    operator: str
    macs: int = 0
    unit_macs: int | None = None
    additions: int = 0
    special_functions: int = 0
    bits: int = 8
    extra_parameters: int = 0
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("macs", "additions", "special_functions", "extra_parameters"):
            _at_least(self, field, 0)
        if self.unit_macs is not None:
            _at_least(self, "unit_macs", 0)
        _bits(self, "bits")

    @property
    def multiplications(self) -> int:
        """Multiply-accumulates that the unit does."""
        return self.macs if self.unit_macs is None else self.unit_macs

    @property
    def paper_macs(self) -> int:
        """MACs by the rule of the paper's Table 5."""
        return self.macs

    @property
    def parameters(self) -> int:
        """Parameters that go with it."""
        return self.extra_parameters


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """Embedding vectors read for one sample.

    Args:
        name: Name of the operation, unique in its workload.
        operator: Operator that it belongs to, for breakdowns.
        vectors: Vectors read, one for each sparse feature.
        dim: Values of a vector.
        value_bits: Bits of a stored value.
        table_rows: Vectors of all tables together.
        after: Names of the operations whose results it needs.

    Raises:
        DescriptionError: A count or a number of bits is out of range.
    """

    name: str
    operator: str = "embedding"
    vectors: int
    dim: int
    value_bits: int = 32
    table_rows: int = 0
    after: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for field in ("vectors", "dim", "value_bits"):
            _at_least(self, field, 1)
        _at_least(self, "table_rows", 0)

    @property
    def macs(self) -> int:
        """Reading multiplies nothing."""
        return 0

    @property
    def paper_macs(self) -> int:
        """Reading multiplies nothing."""
        return 0

    @property
    def parameters(self) -> int:
        """Tables are counted apart."""
        return 0


Operation = MatrixVector | Digital | Lookup


@dataclass(frozen=True, slots=True)
class Workload:
    """The operations of one sample.

    Args:
        operations: In an order in which they could run.

    Raises:
        DescriptionError: A name is used twice, or `after` names no earlier operation.
    """

    operations: tuple[Operation, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "operations", tuple(self.operations))
        seen: set[str] = set()
        for operation in self.operations:
            late = [name for name in operation.after if name not in seen]
            if late:
                raise DescriptionError(
                    f"{operation.name}: after: expected earlier operations, got {late[0]!r}"
                )
            if operation.name in seen:
                raise DescriptionError(
                    f"{operation.name}: expected unique names, got this one twice"
                )
            seen.add(operation.name)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one sample, with weights and between activations."""
        return sum(operation.macs for operation in self.operations)

    @property
    def mflops(self) -> float:
        """Millions of multiply-accumulates of one sample, each counted once; see `macs`."""
        return self.macs * 1e-6

    @property
    def mflops_paper(self) -> float:
        """The same by the rule of the paper's Table 5, where an operation has `paper_macs`."""
        total = 0
        for operation in self.operations:
            counted = operation.paper_macs
            total += operation.macs if counted is None else counted
        return total * 1e-6

    @property
    def parameters(self) -> int:
        """Trained numbers outside the embedding tables."""
        return sum(operation.parameters for operation in self.operations)

    @property
    def embedding_parameters(self) -> int:
        """Trained numbers in the embedding tables."""
        return sum(o.table_rows * o.dim for o in self.operations if isinstance(o, Lookup))


def join(workloads: Sequence[Workload], *, at_once: bool = True) -> Workload:
    """Join several workloads into one.

    Args:
        workloads: The workloads; their operations are named `1/…`, `2/…` in the whole, by their
            places.
        at_once: Whether all run at the same time; otherwise each begins when the one before it has
            ended.

    Returns:
        A workload with the operations of all of them.

    Example:
        >>> product = MatrixVector(name="fc", operator="fc", inputs=4, outputs=2)
        >>> [o.name for o in join([Workload((product,))] * 2).operations]
        ['1/fc', '2/fc']
    """
    operations: list[Operation] = []
    before: tuple[str, ...] = ()
    for place, workload in enumerate(workloads, start=1):
        for operation in workload.operations:
            after = tuple(f"{place}/{name}" for name in operation.after) or before
            operations.append(replace(operation, name=f"{place}/{operation.name}", after=after))
        if workload.operations and not at_once:
            before = (operations[-1].name,)
    return Workload(tuple(operations))


def _at_least(operation: Operation, field: str, least: int) -> None:
    value = integer(getattr(operation, field))
    if value is None or value < least:
        raise DescriptionError(
            f"{operation.name}: {field}: expected {least} or more, got "
            f"{getattr(operation, field)!r}"
        )
    object.__setattr__(operation, field, value)


def _bits(operation: Operation, field: str) -> None:
    value = integer(getattr(operation, field))
    known = (*range(1, MOST_INTEGER_BITS + 1), FLOAT_BITS)
    if value not in known:
        raise DescriptionError(
            f"{operation.name}: {field}: expected 1 to {MOST_INTEGER_BITS}, or {FLOAT_BITS} for "
            f"floating point, got {getattr(operation, field)!r}"
        )
    object.__setattr__(operation, field, value)
