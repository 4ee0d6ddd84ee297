"""The genotypes that a study file names: the first trials of its search, and known models."""

from __future__ import annotations

from nasrec_opt._files import read_text
from nasrec_opt.errors import GenotypeError
from nasrec_opt.options import LadderConfig, SearchConfig
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
    return tuple(_checked(name, space, "[search]: initial") for name in search.initial)


def known_genotypes(ladder: LadderConfig, space: SearchSpace) -> tuple[Genotype, ...]:
    """The models that a ladder trains as probes because they are known to be good.

    Args:
        ladder: Names the genotypes.
        space: The space that is searched. Models that ship and that it does not have are left out.

    Raises:
        GenotypeError: As for `initial_genotypes`, or a name is of no model that ships.
    """
    key, found = "[search.ladder]: known", []
    for name in ladder.known:
        if is_named(name) and not _has(space, name, key):
            continue
        found.append(_checked(name, space, key))
    return tuple(found)


def _has(space: SearchSpace, name: str, key: str) -> bool:
    try:
        named_genotype(name)
    except GenotypeError as error:
        raise GenotypeError(f"{key}: {error}") from error
    try:
        return space.contains(_read(name, space))
    except GenotypeError:  # it cannot be made for this space
        return False


def _checked(name: str, space: SearchSpace, key: str) -> Genotype:
    try:
        genotype = _read(name, space)
        space.encode(genotype)
    except GenotypeError as error:
        raise GenotypeError(f"{key}: {name}: {error}") from error
    return genotype


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
