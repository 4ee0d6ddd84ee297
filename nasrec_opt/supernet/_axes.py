"""What each axis of each weight of a subnet counts: units of which output of which block.

Whoever removes units from a model has to remove them from every weight that makes or reads them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from nasrec_opt.space import BlockGene
from nasrec_opt.supernet._subnet import Subnet

Signal = tuple[str, int]  # DENSE, SPARSE, VECTORS or PAIRS, and the number of the block
Axes = tuple[Signal | None, ...]

DENSE = "dense"  # units of a block's dense output; block 0 has the raw dense features
SPARSE = "sparse"  # vectors of its sparse output, without the merger's; block 0 the raw ones
VECTORS = "vectors"  # vectors to which the block's dot product projects its sparse inputs
PAIRS = "pairs"  # pairs of these vectors and the dense one, row by row of the lower triangle

WITH_AXES = frozenset({"fc", "gate", "sum", "dot", "efc", "attn"})  # operators known here


def axes_of(subnet: Subnet) -> dict[str, Axes]:
    """Say what each axis of each weight counts.

    Args:
        subnet: The model.

    Returns:
        For each weight by name, one entry per axis: the output whose units the axis counts, or None
        if it counts something else, such as the components of an embedding. The embedding tables,
        and weights of operators that are not the paper's, are left out.
    """
    last = subnet.genotype.num_blocks
    axes: dict[str, Axes] = {
        "final.dense": ((DENSE, last),),
        "final.sparse": (None, (SPARSE, last)),
        "final.merger": (None, None),
        "final.first_order": (None, None),
        "final.bias": (None,),
    }
    blocks = subnet.genotype.blocks
    widths = [max(subnet.features.num_dense, 1), *(gene.dense_width for gene in blocks)]
    for number, gene in enumerate(blocks, start=1):
        found = _of_block(number, gene, widths)
        axes |= {f"blocks.{number}.{name}": of_weight for name, of_weight in found}
    return {name: axes[name] for name, _ in subnet.named_parameters() if name in axes}


def _of_block(number: int, gene: BlockGene, widths: Sequence[int]) -> Iterator[tuple[str, Axes]]:
    """The weights that a block may have, by name within the block."""
    dense, sparse, vectors = (DENSE, number), (SPARSE, number), (VECTORS, number)
    for source in gene.dense_inputs:
        yield f"dense.fc.project.weights.{source}", (dense, (DENSE, source))
        yield f"dense.dot.vector.weights.{source}", (None, (DENSE, source))
    for name, rows in (
        ("sparse.efc.project", sparse),
        ("sparse.attn.project", sparse),
        ("dense.dot.balance", vectors),
    ):
        for source in gene.sparse_inputs:
            yield f"{name}.weights.{source}", (rows, (SPARSE, source))
            yield f"{name}.merger_weights.{source}", (rows, None)
    if gene.left_input is not None and gene.right_input is not None:
        left, right = (DENSE, gene.left_input), (DENSE, gene.right_input)
        yield "dense.gate.gate", (right, left)
        yield "dense.gate.gate_bias", (right,)
        yield "dense.gate.output", (dense, right)
        yield "dense.gate.output_bias", (dense,)
        wider = max(gene.left_input, gene.right_input, key=lambda source: widths[source])
        yield "dense.sum.output", (dense, (DENSE, wider))
    yield "dense.dot.output", (dense, (PAIRS, number))
    yield "fm.output", (dense, None)
    yield "rows.output", (None, dense)
    for name, units in (
        ("dense.fc.norm", dense),
        ("dense.gate.norm", dense),
        ("dense.sum.norm", dense),
        ("dense.dot.norm", dense),
        ("dense.dot.balance_norm", vectors),
        ("dense.dot.vector_norm", None),
        ("sparse.efc.norm", sparse),
        ("sparse.attn.project_norm", sparse),
        ("sparse.attn.attention_norm", None),
        ("sparse.attn.feed_forward_norm", None),
        ("fm.norm", dense),
        ("rows.norm", None),
    ):
        yield f"{name}.gain", (units,)
        yield f"{name}.bias", (units,)
    for name in ("query_key_value", "mix", "inner", "outer"):
        yield f"sparse.attn.{name}", (None, None)
        yield f"sparse.attn.{name}_bias", (None,)
