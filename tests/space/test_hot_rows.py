"""Sizes of on-chip memory for embedding rows as one more gene of the accelerator."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest

from nasrec_opt import Genotype, HardwareGene, SearchSpace
from nasrec_opt.errors import GenotypeError
from nasrec_opt.options import SpaceConfig
from nasrec_opt.space import GenotypeEmbedding, HardwareChoices

SIZES = (0, 64, 256, 1024)
PLAIN = SearchSpace.codesign(2)
SPACE = SearchSpace.codesign(2, hardware=HardwareChoices(hot_rows_kib=SIZES))


@pytest.mark.parametrize("size", SIZES)
def test_the_gene_is_one_more_native_parameter_and_no_key_without_memory(size):
    rng = np.random.default_rng(size)
    plain = PLAIN.sample(rng)
    genotype = replace(plain, hardware=replace(plain.hardware, hot_rows_kib=size))
    assert SPACE.encode(genotype) == PLAIN.encode(plain) | {"hw.hot_rows_kib": size}
    assert SPACE.decode(SPACE.encode(genotype)) == genotype
    assert Genotype.from_json(genotype.to_json()) == genotype
    assert ("hot_rows_kib" in genotype.to_json()) == (size > 0)
    assert PLAIN.contains(genotype) == (size == 0)
    assert SPACE.cardinality() == len(SIZES) * PLAIN.cardinality()
    if size:
        with pytest.raises(GenotypeError, match=r"hw.hot_rows_kib: expected one of 0, got"):
            PLAIN.encode(genotype)


def test_spaces_without_it_are_written_and_drawn_as_before():
    assert "hot_rows_kib" not in PLAIN.to_dict()["hardware"]
    assert SearchSpace.from_dict(SPACE.to_dict()) == SPACE
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trial = study.ask()
    PLAIN.suggest(trial)
    assert "hw.hot_rows_kib" not in trial.params
    study.enqueue_trial({"hw.hot_rows_kib": 64})
    with pytest.raises(GenotypeError, match="hot_rows_kib"):
        PLAIN.suggest(study.ask())


def test_a_mutation_changes_it_alone():
    rng, parent = np.random.default_rng(0), SPACE.sample(np.random.default_rng(1))
    found = {parent.hardware.hot_rows_kib}
    for _ in range(400):
        child = SPACE.mutate(parent, rng)
        if child.hardware.hot_rows_kib != parent.hardware.hot_rows_kib:
            size = child.hardware.hot_rows_kib
            hardware = replace(parent.hardware, hot_rows_kib=size)
            assert child == replace(parent, hardware=hardware)
            found.add(size)
    assert found == set(SIZES)


def test_its_place_is_on_a_log_scale_and_no_memory_is_the_lowest():
    embedding, genotype = GenotypeEmbedding(SPACE), SPACE.sample(np.random.default_rng(2))
    sizes = [replace(genotype.hardware, hot_rows_kib=size) for size in SIZES]
    points = embedding.embed([replace(genotype, hardware=gene) for gene in sizes])
    place = embedding.names.index("hw.hot_rows_kib")
    np.testing.assert_allclose(points[:, place], [0, 1 / 5, 3 / 5, 1])
    np.testing.assert_array_equal(np.delete(points - points[0], place, axis=1), 0)
    one = replace(SPACE, hardware=HardwareChoices(hot_rows_kib=(0, 32)))
    [low], [high] = (
        GenotypeEmbedding(one).embed([replace(genotype, hardware=HardwareGene(hot_rows_kib=size))])
        for size in (0, 32)
    )
    assert sorted(set(high - low)) == [0, 1]


def test_a_study_file_names_the_sizes_and_needs_an_accelerator_that_is_searched():
    space = SpaceConfig(preset="codesign", num_blocks=2, hot_rows_kib=SIZES).build()
    assert space == SPACE
    with pytest.raises(GenotypeError, match="hot_rows_kib: expected an accelerator that is sear"):
        SpaceConfig(hot_rows_kib=SIZES).build()
    with pytest.raises(GenotypeError, match="hot_rows_kib: expected an integer from 0"):
        SpaceConfig(preset="codesign", hot_rows_kib=(-1,)).build()
