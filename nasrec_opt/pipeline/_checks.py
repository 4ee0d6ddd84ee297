"""Checks of a study before any package that takes seconds to load is imported.

Reading a study file finds unknown keys and wrong values. These checks find values that do not fit
together, and errors in other files that the study names. So a typo is reported at once.
"""

from __future__ import annotations

from hw import ReRAM
from nasrec_opt.data import Schema
from nasrec_opt.errors import NasrecError, StudyError
from nasrec_opt.options import FORMATS, check_ranked_bits
from nasrec_opt.pipeline._config import StudyConfig
from nasrec_opt.pipeline._cost import accelerator_of
from nasrec_opt.pipeline._initial import initial_genotypes, known_genotypes
from nasrec_opt.pipeline._named import given_genotypes
from nasrec_opt.pipeline._proposer import make_proposer
from nasrec_opt.space import FLOAT_BITS


def check_study(config: StudyConfig) -> None:
    """Refuse a study that a later stage would refuse after hours.

    Args:
        config: The study.

    Raises:
        DataError: The schema is bad.
        DescriptionError: The technology file is bad.
        GenotypeError: A genotype of `initial` or `known` cannot be read, or is not in the space.
        MissingExtraError: The sampler needs a package that is not installed.
        StudyError: The sampler's options are bad, or bits and accelerator do not fit together.
    """
    space = config.space.build()
    accelerator = accelerator_of(config.hardware.technology)
    if isinstance(accelerator, ReRAM) and space.bits == (FLOAT_BITS,):
        raise StudyError(
            f"{config.name}: [space]: bits = [{FLOAT_BITS}] is floating point, and crossbars "
            "hold integers: expected bits from 4 to 8, or an accelerator that computes in "
            'floating point, such as technology = "cpu.toml" under [hardware]'
        )
    check_ranked_bits(config.oracle.bits, space)
    initial_genotypes(config.search, space)
    if config.search.ladder is not None:
        known_genotypes(config.search.ladder, space)
    try:
        given_genotypes(config.retrain.genotypes, config)
    except NasrecError as error:
        raise StudyError(f"[retrain]: genotypes: {error}") from error
    if config.data.format not in FORMATS:
        Schema.from_toml(config.data.format)
    make_proposer(config.search, space, config.seed)  # last: some load a package of their own
