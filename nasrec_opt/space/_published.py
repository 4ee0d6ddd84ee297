"""The six models that the paper published, with its figures: Tables 4 and 5 and the project's code.

Source: Zhang et al., "Towards Automated Model Design on Recommender Systems", and the genotypes of
the project facebookresearch/NasRec (Apache-2.0), `nasrec/configs/*/*_best_1shot.json` at commit
79bf6f9, in the form of this library.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._genotype import Genotype

FILE = Path(__file__).with_name("published.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedModel:
    """A model of the paper, with the shape of its input and the figures that the paper reports.

    Args:
        genotype: The architecture, at the 8 bits that a genotype has by default; the paper's is
            `genotype.with_bits(32)`, floating point.
        num_dense: Dense features of its log; Avazu has none and is read with a column of zeros.
        num_sparse: Sparse features of its log.
        log_loss: On test rows (Table 4).
        auc: On test rows (Table 4).
        mflops: Millions of multiply-accumulates (Table 5), as `hw.Workload.mflops_paper`.
    """

    genotype: Genotype
    num_dense: int
    num_sparse: int
    log_loss: float
    auc: float
    mflops: float


def published_models() -> dict[str, PublishedModel]:
    """Read all published models.

    Returns:
        Models by name: `criteo-small`, `criteo-full`, and the same for `avazu` and `kdd`.

    References:
        Zhang et al. 2024, Tables 4 and 5.
    """
    found = {}
    for name, values in json.loads(FILE.read_text(encoding="utf-8")).items():
        genotype = Genotype.from_dict(values.pop("genotype"), f"{FILE}: {name}")
        found[name] = PublishedModel(genotype=genotype, **values)
    return found


def published(log: str, space: str) -> PublishedModel:
    """Look up one of the published models by its log and the space that it was found in.

    Args:
        log: `criteo`, `avazu` or `kdd`.
        space: `small` or `full`, for NASRec-Small and NASRec-Full.

    Returns:
        The genotype, with the figures that the paper reports.

    Raises:
        GenotypeError: There is no such model.

    Example:
        >>> published("criteo", "full").mflops
        1.45
    """
    return published_model(f"{log}-{space}")


def published_model(name: str) -> PublishedModel:
    """Look up one of the published models.

    Args:
        name: `criteo`, `avazu` or `kdd`, then `-small` or `-full` for the space it was found in.

    Returns:
        The genotype, with the figures that the paper reports.

    Raises:
        GenotypeError: There is no model of that name.

    Example:
        >>> published_model("criteo-full").genotype.blocks[0].dense_ops
        ('gate',)
    """
    models = published_models()
    if name not in models:
        raise GenotypeError(f"published model: expected one of {', '.join(models)}, got {name!r}")
    return models[name]
