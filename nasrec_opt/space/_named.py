"""Architectures that ship, by the name that stands where a file is expected.

`published:criteo-small` is a model of the paper, `like:deepfm` a genotype that is like a hand-made
model; `published` and `like` alone are all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nasrec_opt.errors import GenotypeError
from nasrec_opt.space._block_gene import FLOAT_BITS
from nasrec_opt.space._genotype import Genotype
from nasrec_opt.space._hand_made import HAND_MADE, hand_made
from nasrec_opt.space._published import published_model, published_models

if TYPE_CHECKING:
    from nasrec_opt.space._search_space import SearchSpace

PUBLISHED = "published"
LIKE = "like"
SEPARATOR = ":"


def is_named(text: object) -> bool:
    """Check whether a text names architectures that ship, rather than a file.

    Args:
        text: What a user wrote.

    Returns:
        True for `published` and `like`, alone or followed by a colon and anything.

    Example:
        >>> is_named("like:deepfm"), is_named("like"), is_named("likely.json")
        (True, True, False)
    """
    return str(text).partition(SEPARATOR)[0] in (PUBLISHED, LIKE)


def named_genotype(text: object, space: SearchSpace | None = None) -> Genotype:
    """Look up one architecture that ships.

    Args:
        text: `published:` and the name of a model of the paper, or `like:` and the name of a
            hand-made model.
        space: The space that a hand-made genotype is made for; see `hand_made`.

    Returns:
        The genotype, at the 8 bits that a genotype has by default.

    Raises:
        GenotypeError: There is no such architecture, or a group is named instead of one.

    Example:
        >>> named_genotype("like:wide-deep").num_blocks
        2
    """
    group, _, name = str(text).partition(SEPARATOR)
    if group == PUBLISHED and name:
        return published_model(name).genotype
    if group == LIKE and name:
        return hand_made(name, space)
    raise GenotypeError(
        f"expected one model, such as {PUBLISHED}:criteo-small or {LIKE}:deepfm, got {text}"
    )


def named_genotypes(text: object) -> dict[str, Genotype]:
    """Look up all architectures that a text names.

    Args:
        text: As `is_named` accepts it.

    Returns:
        Genotypes by name.

    Raises:
        GenotypeError: There is no such architecture.

    Example:
        >>> list(named_genotypes("like"))
        ['like:dlrm', 'like:deepfm', 'like:wide-deep']
    """
    groups = {PUBLISHED: list(published_models()), LIKE: list(HAND_MADE)}
    members = groups.get(str(text))
    names = [str(text)] if members is None else [f"{text}{SEPARATOR}{name}" for name in members]
    return {name: named_genotype(name) for name in names}


def name_of(genotype: Genotype) -> str | None:
    """Name an architecture that ships, whatever its bits.

    Args:
        genotype: Any genotype.

    Returns:
        Its name, or None for any other genotype.
    """
    for group in (PUBLISHED, LIKE):
        for name, known in named_genotypes(group).items():
            if known.with_bits(FLOAT_BITS) == genotype.with_bits(FLOAT_BITS):
                return name
    return None
