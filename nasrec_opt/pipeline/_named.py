"""The architectures that a user names, in place of those that a search would find."""

from __future__ import annotations

from collections.abc import Iterable

from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._target import read_target
from nasrec_opt.space import ALL_PUBLISHED, FLOAT_BITS, PUBLISHED, Genotype, published_models


def given_genotypes(
    names: Iterable[str], config: StudyConfig, *, model: int | None = None
) -> dict[str, Genotype]:
    """Read the architectures that a user names.

    Args:
        names: Genotypes in JSON, run folders or their `results.json`, folders of trained models,
            `published:` and the name of a model of the paper, or `published` for all six of them.
            A published model is in floating point unless `[space]` says otherwise.
        config: The study, whose only choice of bits a published model takes.
        model: Rank of the retrained model of a run, or None for the best.

    Returns:
        Genotypes by name, each once.

    Raises:
        NasrecError: There is no such model.
        StudyError: `model` is given for something else than a run.
    """
    found: dict[str, Genotype] = {}
    for name in names:
        several = [f"{PUBLISHED}{n}" for n in published_models()] if name == ALL_PUBLISHED else []
        for each in several or [name]:
            genotype = read_target(each, model=model).genotype
            if each.startswith(PUBLISHED):
                genotype = genotype.with_bits(_bits(config))
            if genotype not in found.values():
                found[each] = genotype
    return found


def _bits(config: StudyConfig) -> int | tuple[int, int]:
    bits = config.space.bits
    if bits is None or len(bits) != 1:
        return FLOAT_BITS
    return config.space.build().bits[0]
