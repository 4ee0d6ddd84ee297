"""The search space: a set of genotypes to sample, mutate, count, and ask of Optuna trials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nasrec_opt._files import read_toml
from nasrec_opt._plain import put_plain
from nasrec_opt.errors import GenotypeError
from nasrec_opt.space import _cardinality, _mutation, _reading
from nasrec_opt.space._block_gene import EMPTY, Bits, BlockGene
from nasrec_opt.space._choices import (
    BlockChoices,
    Choices,
    HardwareChoices,
    build,
    check_positive,
    checked_mergers,
    every,
    merger_pairs,
    subsets,
    unique_values,
    visit,
)
from nasrec_opt.space._enqueue import enqueue
from nasrec_opt.space._genotype import Genotype
from nasrec_opt.space._operators import PRESETS, preset_ops, reads
from nasrec_opt.space._optuna import Parameters
from nasrec_opt.space._preset_spaces import PresetSpaces
from nasrec_opt.space._presets import DENSE_WIDTHS, LIMITS, NUM_BLOCKS, SPARSE_WIDTHS

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import CategoricalDistribution
    from optuna.trial import BaseTrial

MAX_SUBSETS = 4096  # one categorical parameter lists all input subsets of a block


@dataclass(frozen=True, kw_only=True)
class SearchSpace(PresetSpaces):
    """A set of genotypes (paper, section 3.3), which is also a set of Optuna distributions.

    Args:
        name: Stored in each genotype; a preset's name limits operators, widths and mergers to the
            preset's.
        num_blocks: Choice blocks of every genotype.
        dense_ops: Dense operators to choose from; those of the paper by default.
        sparse_ops: Sparse operators to choose from; those of the paper by default. Without any, no
            block has a sparse output, and only the embeddings can be read as vectors.
        dense_widths: Widths of the dense output to choose from.
        sparse_widths: Numbers of vectors of the sparse output to choose from; `(0,)` without sparse
            operators, whatever was given.
        max_inputs: Maximum number of inputs of a branch of a block, or None for any number.
        multi_operator: Whether a branch takes any non-empty subset of operators, or exactly one as
            in the paper's searches.
        mergers: Which mergers are searched: True for both, False for none, or the name of one,
            `("sparse_to_dense",)` (FM) or `("dense_to_sparse",)`. No model has the others.
        bits: Bit widths of operators to choose from, each 4 to 8, a pair `(weights, activations)`
            of them, or 32 for floating point.
        hardware: Values of the accelerator genes, or None for a fixed accelerator.
        wide: Whether models have a first-order term: `(False,)` for none, as in the paper,
            `(False, True)` to search it, `(True,)` for all.
        chain: Whether each block reads only the block before it, and the first the raw features.
            Otherwise it may read any earlier block and the raw features (dense connectivity).

    Raises:
        GenotypeError: A choice is empty, repeated, or none that a genotype can have.

    Example:
        >>> space = SearchSpace.nasrec_small(num_blocks=3)
        >>> genotype = space.sample(np.random.default_rng(0))
        >>> space.decode(space.encode(genotype)) == genotype
        True
    """

    name: str = "custom"
    num_blocks: int = NUM_BLOCKS
    dense_ops: tuple[str, ...] = preset_ops("nasrec_full", "dense")
    sparse_ops: tuple[str, ...] = preset_ops("nasrec_full", "sparse")
    dense_widths: tuple[int, ...] = DENSE_WIDTHS
    sparse_widths: tuple[int, ...] = SPARSE_WIDTHS
    max_inputs: int | None = None
    multi_operator: bool = False
    mergers: bool | tuple[str, ...] = True
    bits: tuple[Bits, ...] = (8,)
    hardware: HardwareChoices | None = None
    wide: tuple[bool, ...] = (False,)
    chain: bool = False

    def __post_init__(self) -> None:
        put = object.__setattr__
        put_plain(self)
        if not isinstance(self.name, str) or not self.name:
            raise GenotypeError(f"name: expected a name, got {self.name!r}")
        check_positive("num_blocks", self.num_blocks)
        if self.max_inputs is not None:
            check_positive("max_inputs", self.max_inputs)
        for name in ("multi_operator", "chain"):
            if not isinstance(getattr(self, name), bool):
                raise GenotypeError(f"{name}: expected true or false, got {getattr(self, name)!r}")
        put(self, "mergers", checked_mergers(self.mergers))
        if self.sparse_ops in ((), []):
            put(self, "sparse_ops", ())
            put(self, "sparse_widths", (EMPTY,))
        else:
            put(self, "sparse_ops", unique_values("sparse_ops", self.sparse_ops))
        for name in ("dense_ops", "dense_widths", "sparse_widths", "bits", "wide"):
            put(self, name, unique_values(name, getattr(self, name)))
        # Genes validate themselves, and a genotype checks its preset: building one of each is
        # enough.
        block = BlockGene(
            dense_ops=self.dense_ops, sparse_ops=self.sparse_ops, left_input=0, right_input=0
        )
        put(self, "dense_ops", block.dense_ops)
        put(self, "sparse_ops", block.sparse_ops)
        for width in self.dense_widths:
            Genotype((replace(block, dense_width=width, sparse_width=16),), space=self.name)
        for rows in self.sparse_widths:
            Genotype((replace(block, dense_width=64, sparse_width=rows),), space=self.name)
        if self.has_dense_to_sparse and not self.sparse_ops:
            raise GenotypeError(
                "mergers: expected sparse_to_dense alone or none in a space without sparse "
                f"operators, got {self.mergers!r}"
            )
        largest = replace(
            block,
            sparse_width=self.sparse_widths[0],
            dense_to_sparse=self.has_dense_to_sparse,
            sparse_to_dense=self.has_sparse_to_dense,
        )
        Genotype((largest,), space=self.name)
        self._check_chain()
        bits = tuple(replace(block, dense_bits=bits).dense_bits for bits in self.bits)
        put(self, "bits", unique_values("bits", bits))  # [8, 8] is 8
        for is_wide in self.wide:
            Genotype((block,), space="custom", wide=is_wide)
        put(self, "wide", tuple(sorted(self.wide)))
        if self.hardware is not None and not isinstance(self.hardware, HardwareChoices):
            raise GenotypeError(f"hardware: expected HardwareChoices, got {self.hardware!r}")
        sources = tuple(range(1 if self.chain else min(self.num_blocks, 13)))
        if len(subsets(sources, self.max_inputs)) > MAX_SUBSETS or self.num_blocks > 64:
            raise GenotypeError(
                f"num_blocks: expected at most 12 without max_inputs, got {self.num_blocks}"
            )

    def _check_chain(self) -> None:
        """Refuse a preset without its chain, and a chain with an operator that breaks it."""
        if self.name in LIMITS and LIMITS[self.name].is_chain and not self.chain:
            raise GenotypeError(f"chain: expected true in {self.name}, got false")
        for op in self.dense_ops:
            if self.chain and not (reads("dense_inputs", (op,)) or reads("gate_inputs", (op,))):
                raise GenotypeError(
                    f"chain: expected dense operators that read a dense input, got {op}"
                )

    @cached_property
    def choices(self) -> Choices:
        """The values of every gene, block by block."""
        dense_ops, sparse_ops = (
            subsets(ops, None if self.multi_operator else 1)
            for ops in (self.dense_ops, self.sparse_ops)
        )
        blocks = []
        for number in range(1, self.num_blocks + 1):
            sources = (number - 1,) if self.chain else tuple(range(number))
            sparse_sources = sources if self.sparse_ops else (0,)
            block = BlockChoices(
                number=number,
                dense_ops=dense_ops,
                sparse_ops=sparse_ops or ((),),
                dense_widths=self.dense_widths,
                sparse_widths=self.sparse_widths,
                dense_sources=sources,
                sparse_sources=sparse_sources,
                dense_inputs=subsets(sources, self.max_inputs),
                sparse_inputs=subsets(sparse_sources, self.max_inputs),
                gate_inputs=tuple((i, j) for i in sources for j in sources),
                mergers=merger_pairs(self.mergers),
                bits=self.bits,
            )
            blocks.append(block)
        return Choices(self.name, tuple(blocks), self.hardware, self.wide)

    @property
    def has_dense_to_sparse(self) -> bool:
        """Whether a model may have the dense-to-sparse merger."""
        return merger_pairs(self.mergers)[-1][0]

    @property
    def has_sparse_to_dense(self) -> bool:
        """Whether a model may have the sparse-to-dense merger, the factorization machine."""
        return merger_pairs(self.mergers)[-1][1]

    @cached_property
    def _parameters(self) -> Parameters:
        return Parameters(self.choices)

    def __iter__(self) -> Iterator[Genotype]:
        """Iterate over all `cardinality()` genotypes; several may build the same model."""
        return every(self.choices)

    def sample(self, rng: np.random.Generator) -> Genotype:
        """Draw a genotype; every active gene is uniform over its values.

        Args:
            rng: Source of the draws.

        Returns:
            A genotype of this space.
        """
        return build(self.choices, lambda place, gene, values: values[rng.integers(len(values))])

    def mutate(self, genotype: Genotype, rng: np.random.Generator) -> Genotype:
        """Mutate one block, one accelerator gene, or `wide`.

        The child is another model, not only another spelling: its canonical form differs from the
        parent's. Only a space with a single model gives the parent back.

        Args:
            genotype: The parent, a genotype of this space.
            rng: Source of the draws.

        Returns:
            The child.

        Raises:
            GenotypeError: The genotype is not in this space.

        References:
            Zhang et al. 2024, section 4.4.
        """
        visit(self.choices, genotype)
        return _mutation.mutate(self.choices, genotype, rng)

    def contains(self, genotype: Genotype) -> bool:
        """Check whether a genotype is one of this space.

        Args:
            genotype: Any genotype.

        Returns:
            True if `encode` accepts it.
        """
        try:
            visit(self.choices, genotype)
        except GenotypeError:
            return False
        return True

    def cardinality(self) -> int:
        """Count the genotypes exactly; those that build the same model are all counted.

        Returns:
            Number of genotypes.
        """
        return _cardinality.cardinality(self.choices)

    def paper_cardinality(self) -> int:
        """Count genotypes as the paper does.

        Operators count as any subset, connections as `num_blocks!` for each branch that has a
        choice of them, and accelerators do not count.

        Returns:
            Number of genotypes.
        """
        return _cardinality.paper_cardinality(
            self.choices, len(self.dense_ops), len(self.sparse_ops)
        )

    def suggest(self, trial: BaseTrial) -> Genotype:
        """Ask an Optuna trial for a genotype.

        Inactive genes and genes with a single value are not asked for.

        Args:
            trial: The trial.

        Returns:
            The genotype.

        Raises:
            GenotypeError: The trial was enqueued with a parameter that the space does not have, or
                with a value outside its choices.
            StudyError: The trial's sampler, or the study's earlier trials, belong to another space.
        """
        return self._parameters.suggest(trial)

    def enqueue(self, study: Study, genotype: Genotype) -> int:
        """Make a genotype one of the next trials of a study.

        Each model is enqueued once: if the study already has a trial of it, in any state, nothing
        is added, even if several workers enqueue it at the same time. On SQLite, Optuna itself may
        give that trial to two workers (docs/howto/several_workers.md).

        Args:
            study: A study whose objective asks this space.
            genotype: Of this space.

        Returns:
            Number of the trial that has the genotype.

        Raises:
            GenotypeError: The genotype is not in this space; the message names the gene.

        Example:
            >>> import optuna
            >>> from nasrec_opt.space import published_model
            >>> space = SearchSpace.nasrec_small()
            >>> study = optuna.create_study()
            >>> space.enqueue(study, published_model("criteo-small").genotype)
            0
        """
        return enqueue(self._parameters, study, genotype)

    def distributions(self) -> dict[str, CategoricalDistribution]:
        """List every parameter that `suggest` may ask for.

        Returns:
            Distributions by parameter name, for `study.ask(fixed_distributions=...)`.
        """
        return self._parameters.distributions()

    def encode(self, genotype: Genotype) -> dict[str, Any]:
        """Encode a genotype as Optuna parameters.

        Args:
            genotype: A genotype of this space.

        Returns:
            Values of the active parameters by name, for example for `study.enqueue_trial`.

        Raises:
            GenotypeError: The genotype is not in this space.
        """
        return self._parameters.encode(genotype)

    def decode(self, params: Mapping[str, Any]) -> Genotype:
        """Decode Optuna parameters to a genotype; values of inactive genes are ignored.

        Args:
            params: Values by parameter name, such as `trial.params`.

        Returns:
            The genotype.

        Raises:
            GenotypeError: An active parameter is missing, or has a value outside its choices.
        """
        return self._parameters.decode(params)

    def to_dict(self) -> dict[str, Any]:
        """Convert to JSON values.

        Returns:
            The fields by name.
        """
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.hardware is not None:
            values["hardware"] = {gene: list(v) for gene, v in self.hardware.items()}
        values["bits"] = [bits if isinstance(bits, int) else list(bits) for bits in self.bits]
        if self.wide == (False,):
            del values["wide"]  # as in records from before the gene existed
        if not self.chain:
            del values["chain"]
        return {name: list(v) if isinstance(v, tuple) else v for name, v in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], where: str = "space") -> SearchSpace:
        """Inverse of `to_dict`; a key `preset` gives the values of the keys that are left out.

        Args:
            values: The fields of a space, and optionally `preset`: `nasrec_small`, `nasrec_full`,
                `codesign`, `autoctr`, `dnas` or `profit`.
            where: What an error begins with, for example the file.

        Returns:
            The space.

        Raises:
            GenotypeError: A key is unknown, or a value is not valid.
        """
        preset, given = _reading.read_fields(values, tuple(f.name for f in fields(cls)), where)
        try:
            if preset is None:
                return cls(**given)
            if preset not in PRESETS:
                raise GenotypeError(f"preset: expected one of {', '.join(PRESETS)}, got {preset!r}")
            start: SearchSpace = getattr(cls, preset)()
            return replace(start, **given)
        except GenotypeError as error:
            raise GenotypeError(f"{where}: {error}") from None

    @classmethod
    def from_toml(cls, path: Path | str) -> SearchSpace:
        """Read a space from a TOML file with the keys of `from_dict`.

        Args:
            path: The file.

        Returns:
            The space.

        Raises:
            GenotypeError: The file cannot be read, is not TOML, or is not a space.
        """
        return cls.from_dict(read_toml(path, GenotypeError), str(path))
