"""The architectures that a user names, in place of those that a search would find."""

from __future__ import annotations

from collections.abc import Iterable

from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._target import read_target
from nasrec_opt.space import FLOAT_BITS, Genotype, is_named, named_genotypes


def given_genotypes(
    names: Iterable[str], config: StudyConfig, *, model: int | None = None
) -> dict[str, Genotype]:
    """Read the architectures that a user names.

    Args:
        names: Genotypes in JSON, run folders or their `results.json`, folders of trained models,
            `published:` and the name of a model of the paper, `like:` and the name of a hand-made
            one, or `published` or `like` for all of them. These are in floating point unless
            `[space]` says otherwise.
        config: The study, whose only choice of bits such a model takes.
        model: Rank of the retrained model of a run, or None for the best.

    Returns:
        Genotypes by name, each once.

    Raises:
        NasrecError: There is no such model.
        StudyError: `model` is given for something else than a run.
    """
    found: dict[str, Genotype] = {}
    for name in names:
        if is_named(name) and model is None:
            known = named_genotypes(name).items()
            several = {each: genotype.with_bits(_bits(config)) for each, genotype in known}
        else:
            several = {name: read_target(name, model=model).genotype}
        for each, genotype in several.items():
            if genotype not in found.values():
                found[each] = genotype
    return found


def _bits(config: StudyConfig) -> int | tuple[int, int]:
    bits = config.space.bits
    if bits is None or len(bits) != 1:
        return FLOAT_BITS
    return config.space.build().bits[0]
