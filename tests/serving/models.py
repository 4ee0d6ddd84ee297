"""Models that were never trained, and raw rows for them."""

from __future__ import annotations

import numpy as np
import polars as pl

from nasrec_opt import BlockGene, Genotype, Predictor, Subnet
from nasrec_opt.data import Preprocessor
from nasrec_opt.retrain import Ensemble


def everything(bits: int) -> Genotype:
    """Every operator, both mergers, and the first-order term."""
    first = BlockGene(
        dense_ops=("fc", "gate", "sum", "dot"),
        sparse_ops=("efc", "attn"),
        dense_width=32,
        sparse_width=16,
        dense_inputs=(0,),
        sparse_inputs=(0,),
        left_input=0,
        right_input=0,
        dense_to_sparse=True,
        sparse_to_dense=True,
        dense_bits=bits,
        sparse_bits=bits,
    )
    last = BlockGene(
        dense_ops=("fc",),
        sparse_ops=("efc",),
        dense_width=16,
        sparse_width=16,
        dense_inputs=(0, 1),
        sparse_inputs=(0, 1),
        dense_bits=bits,
        sparse_bits=bits,
    )
    return Genotype((first, last), wide=True)


def plain(dense_bits: int, sparse_bits: int) -> Genotype:
    """One block of the two linear operators, and the first-order term."""
    gene = BlockGene(
        dense_ops=("fc",),
        sparse_ops=("efc",),
        dense_width=16,
        sparse_width=16,
        dense_bits=dense_bits,
        sparse_bits=sparse_bits,
    )
    return Genotype((gene,), wide=True)


def predictor_of(preprocessor: Preprocessor, *genotypes: Genotype) -> Predictor:
    """A predictor with tables of fewer rows than ids, and weights as large as trained ones."""
    members = []
    for seed, genotype in enumerate(genotypes):
        member = Subnet(genotype, preprocessor.features, seed, max_table_rows=20)
        for weight in member.embedding.parameters():
            weight.data.normal_(std=0.5)
        members.append(member)
    return Predictor(preprocessor, members[0] if len(members) == 1 else Ensemble(members))


def rows_of(preprocessor: Preprocessor, count: int, seed: int = 0) -> pl.DataFrame:
    """Raw rows: known values, values that no log has, and missing ones."""
    rng, schema = np.random.default_rng(seed), preprocessor.schema
    vocabularies = dict(zip(schema.sparse, preprocessor._vocabularies, strict=False))
    columns: dict[str, list] = {}
    for name in schema.dense:
        numbers = rng.integers(-3, 5000, count).tolist()
        columns[name] = [None if rng.random() < 0.2 else n for n in numbers]
    for name in schema.sparse:
        known = [v for v in vocabularies[name].table["value"].to_list() if v]
        choices = rng.integers(0, 4, count)
        columns[name] = [
            None if c == 0 else f"new{c}" if c == 1 or not known else str(rng.choice(known))
            for c in choices
        ]
    return pl.DataFrame(columns, schema_overrides=dict.fromkeys(schema.sparse, pl.String))


def small(preprocessor: Preprocessor) -> Predictor:
    """The smallest model."""
    return predictor_of(preprocessor, plain(32, 32))
