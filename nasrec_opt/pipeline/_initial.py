"""The genotypes that a study file names as the first trials of its search."""

from __future__ import annotations

from nasrec_opt._files import read_text
from nasrec_opt.errors import GenotypeError
from nasrec_opt.options._search import SearchConfig
from nasrec_opt.space import Genotype, SearchSpace, is_named, named_genotype


def initial_genotypes(search: SearchConfig, space: SearchSpace) -> tuple[Genotype, ...]:
    """The first trials of a search, each checked against the space.

    Args:
        search: Names the genotypes.
        space: The space that is searched.

    Raises:
        GenotypeError: A genotype cannot be read, or is not in the space; the sentence names the
            file and the gene.
    """
    found = []
    for name in search.initial:
        try:
            genotype = _read(name, space)
            space.encode(genotype)
        except GenotypeError as error:
            raise GenotypeError(f"[search]: initial: {name}: {error}") from error
        found.append(genotype)
    return tuple(found)


def _read(name: str, space: SearchSpace) -> Genotype:
    if is_named(name):
        genotype = named_genotype(name, space)
        # Models that ship state no bits.
        return genotype.with_bits(space.bits[0]) if len(space.bits) == 1 else genotype
    try:
        text = read_text(name)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise GenotypeError(f"expected a genotype in JSON, got {reason}") from error
    return Genotype.from_json(text)
