"""The mutations of section 4.4, a function each, and the choice of one that changes the model.

Each function lists the blocks that one block may become, in random order. Co-design adds two
mutations: the bits of one branch, and one gene of the accelerator. A space that searches the
first-order term adds one that switches it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from nasrec_opt.space._block_gene import BlockGene
from nasrec_opt.space._choices import (
    CONDITIONAL,
    WIDE,
    BlockChoices,
    Choices,
    block_of,
    genes_of,
    is_active,
)
from nasrec_opt.space._genotype import Genotype
from nasrec_opt.space._liveness import BlockLiveness, liveness

Mutation = Callable[[BlockGene, BlockChoices, np.random.Generator], Iterator[BlockGene]]


def mutate(choices: Choices, genotype: Genotype, rng: np.random.Generator) -> Genotype:
    """A genotype of the space one mutation away, with another canonical form.

    Block and mutation are drawn uniformly, then an outcome of this mutation that changes the model.
    If there is none (a dead branch, a gene with one value), the next block and mutation are tried.
    So the parent is returned only if no single mutation can change the model.
    """
    places: list[tuple[int, Mutation | str]] = [
        (index, mutation) for index in range(genotype.num_blocks) for mutation in MUTATIONS
    ]
    if choices.hardware is not None:
        places += [(-1, gene) for gene, _ in choices.hardware.items()]
    if len(choices.wide) > 1:
        places.append((-1, WIDE))
    before, live = genotype.canonical(), liveness(genotype)
    for place in rng.permutation(len(places)):
        index, mutation = places[place]
        children: Iterator[Genotype]
        if mutation == WIDE:
            children = iter([replace(genotype, wide=not genotype.wide)])
        elif isinstance(mutation, str):
            children = resample_hardware(choices, genotype, mutation, rng)
        elif _is_live(live[index], mutation):
            children = _children(choices, genotype, index, mutation, rng)
        else:
            continue
        for child in children:
            if child.canonical() != before:
                return child
    return genotype


def _children(
    choices: Choices,
    genotype: Genotype,
    index: int,
    mutation: Mutation,
    rng: np.random.Generator,
) -> Iterator[Genotype]:
    for block in mutation(genotype.blocks[index], choices.blocks[index], rng):
        blocks = (*genotype.blocks[:index], block, *genotype.blocks[index + 1 :])
        yield replace(genotype, blocks=blocks)


def resample_dense_width(
    block: BlockGene, choices: BlockChoices, rng: np.random.Generator
) -> Iterator[BlockGene]:
    """Re-sample the dimension of the dense operators."""
    return _resample(block, choices, rng, "dense_width")


def resample_sparse_width(
    block: BlockGene, choices: BlockChoices, rng: np.random.Generator
) -> Iterator[BlockGene]:
    """Re-sample the dimension of the sparse operators."""
    return _resample(block, choices, rng, "sparse_width")


def resample_dense_operator(
    block: BlockGene, choices: BlockChoices, rng: np.random.Generator
) -> Iterator[BlockGene]:
    """Re-sample the dense operators; connections that the new ones need are drawn as well."""
    return _resample(block, choices, rng, "dense_ops")


def resample_sparse_operator(
    block: BlockGene, choices: BlockChoices, rng: np.random.Generator
) -> Iterator[BlockGene]:
    """Re-sample the sparse operators."""
    return _resample(block, choices, rng, "sparse_ops")


def resample_connection(
    block: BlockGene, choices: BlockChoices, rng: np.random.Generator
) -> Iterator[BlockGene]:
    """Re-sample the dense inputs, the sparse inputs, or the two inputs of Gate and Sum."""
    return _resample_one_of(block, choices, rng, ("dense_inputs", "sparse_inputs", "gate_inputs"))


def resample_mergers(
    block: BlockGene, choices: BlockChoices, rng: np.random.Generator
) -> Iterator[BlockGene]:
    """Re-sample the choice of the dense-to-sparse and sparse-to-dense mergers."""
    return _resample(block, choices, rng, "mergers")


def resample_bits(
    block: BlockGene, choices: BlockChoices, rng: np.random.Generator
) -> Iterator[BlockGene]:
    """Re-sample the bits of the dense or of the sparse operators (co-design)."""
    return _resample_one_of(block, choices, rng, ("dense_bits", "sparse_bits"))


def resample_hardware(
    choices: Choices, genotype: Genotype, gene: str, rng: np.random.Generator
) -> Iterator[Genotype]:
    """Re-sample one gene of the accelerator (co-design)."""
    hardware = genotype.hardware
    if choices.hardware is None or hardware is None:
        return
    for value in _others(getattr(choices.hardware, gene), getattr(hardware, gene), rng):
        yield replace(genotype, hardware=replace(hardware, **{gene: value}))


def _is_live(live: BlockLiveness, mutation: Mutation) -> bool:
    """Whether the mutation's genes can reach the logit at all.

    This quick check saves canonical forms. It never excludes a gene that could matter.
    """
    is_live: bool
    if mutation in (resample_dense_width, resample_dense_operator):
        is_live = live.dense_pre
    elif mutation in (resample_sparse_width, resample_sparse_operator):
        is_live = live.sparse_pre
    elif mutation is resample_mergers:
        is_live = live.dense_out or live.sparse_out
    else:
        is_live = live.dense_pre or live.sparse_pre
    return is_live


MUTATIONS: tuple[Mutation, ...] = (
    resample_dense_width,
    resample_sparse_width,
    resample_dense_operator,
    resample_sparse_operator,
    resample_connection,
    resample_mergers,
    resample_bits,
)


def _resample_one_of(
    block: BlockGene, choices: BlockChoices, rng: np.random.Generator, genes: tuple[str, ...]
) -> Iterator[BlockGene]:
    for position in rng.permutation(len(genes)):
        yield from _resample(block, choices, rng, genes[position])


def _resample(
    block: BlockGene, choices: BlockChoices, rng: np.random.Generator, gene: str
) -> Iterator[BlockGene]:
    """The block with every other value of one gene, in random order."""
    genes = genes_of(block)
    if gene not in genes:
        return
    for value in _others(choices.of(gene), genes[gene], rng):
        child = genes | {gene: value}
        for name in CONDITIONAL:
            if not is_active(name, child["dense_ops"]):
                child.pop(name, None)
            elif name not in child:
                options = choices.of(name)
                child[name] = options[rng.integers(len(options))]
        yield block_of(child)


def _others(values: tuple[Any, ...], current: Any, rng: np.random.Generator) -> Iterator[Any]:
    others = [value for value in values if value != current]
    return (others[position] for position in rng.permutation(len(others)))
