"""NumPy's numbers are accepted wherever a number is checked, and kept as Python's own."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw import (
    CPU,
    DescriptionError,
    Digital,
    Geometry,
    Lookup,
    MatrixVector,
    Noise,
    ReRAM,
    Workload,
)
from nasrec_opt import FeatureSpec, Genotype, RegularizedEvolutionSampler, SearchSpace
from nasrec_opt.errors import DataError, GenotypeError
from nasrec_opt.oracle import FineTune, Scratch
from nasrec_opt.pipeline._schema import as_json
from nasrec_opt.retrain import RetrainConfig
from nasrec_opt.space import BlockGene, HardwareChoices, HardwareGene
from nasrec_opt.supernet import TrainConfig

INTEGERS = (np.int64, np.int32, np.uint8, np.array)
T = ReRAM().technology
VALID = [
    MatrixVector(name="a", operator="fc", inputs=4, outputs=5, repeats=2, paper_macs=7),
    Digital(name="a", operator="fc", macs=4, unit_macs=5, additions=2),
    Lookup(name="a", vectors=26, dim=16, table_rows=100),
    Geometry(rows=64, columns=64, cell_bits=2, dac_bits=1, adc_bits=8, clips=True),
    Noise(conductance_sigma=0.25, stuck_off=0.125),
    HardwareGene(crossbar_rows=64, buffer_kib=32),
    BlockGene(dense_width=64, sparse_inputs=(0, 1), dense_bits=(4, 8), sparse_to_dense=True),
    BlockGene(dense_ops=("gate",), left_input=1, right_input=0),
    HardwareChoices(crossbar_rows=(64, 128), cell_bits=(1, 2)),
    SearchSpace(num_blocks=3, dense_widths=(16, 64), bits=(4, (4, 8)), max_inputs=2),
    FeatureSpec(13, (100, 7)),
    TrainConfig(batch_size=64, warmup_fraction=0.25),
    RetrainConfig(batch_size=64, learning_rates=(0.5, 0.25)),
    FineTune(steps=7, learning_rate=0.5),
    Scratch(epochs=2, seed=3),
]


def as_numpy(value, integer):
    """The same value as NumPy has it."""
    if isinstance(value, bool):
        return np.bool_(value)
    if isinstance(value, int) and value < 256:
        return integer(value)
    if isinstance(value, float):
        return np.float64(value)
    if isinstance(value, tuple):
        return tuple(as_numpy(entry, integer) for entry in value)
    return value


def is_plain(value) -> bool:
    if isinstance(value, tuple):
        return all(map(is_plain, value))
    return (
        value is None or type(value) in (int, float, bool, str) or dataclasses.is_dataclass(value)
    )


@pytest.mark.parametrize("integer", INTEGERS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("valid", VALID, ids=lambda valid: type(valid).__name__)
def test_a_description_of_numpys_numbers_is_that_of_pythons(valid, integer):
    values = {field.name: getattr(valid, field.name) for field in dataclasses.fields(valid)}
    given = {name: as_numpy(value, integer) for name, value in values.items()}
    made = type(valid)(**given)
    assert made == valid
    assert hash(made) == hash(valid)
    found = {name: getattr(made, name) for name in values}
    assert all(map(is_plain, found.values())), found
    assert json.dumps(as_json(made)) == json.dumps(as_json(valid))


@pytest.mark.parametrize("section", [field.name for field in dataclasses.fields(T)])
def test_figures_may_be_numpys(section):
    figures = getattr(T, section)
    given = {
        field.name: as_numpy(getattr(figures, field.name), np.int64)
        for field in dataclasses.fields(figures)
    }
    made = dataclasses.replace(T, **{section: type(figures)(**given)})
    assert made == T
    assert all(is_plain(getattr(getattr(made, section), name)) for name in given)


def test_costs_of_numpys_numbers_are_those_of_pythons():
    def cost(kind):
        product = MatrixVector(name="a", operator="fc", inputs=kind(300), outputs=kind(40))
        accelerator = ReRAM().with_parameters(crossbar_rows=kind(64), adc_bits=kind(7))
        return accelerator.cost(Workload((product,)))

    assert cost(np.int64) == cost(int)
    assert ReRAM().with_parameters(adc_bits=np.int64(7)).geometry.lossless_adc_bits == 8
    assert CPU().with_figures(peak_gflops=np.float32(128.0)).cpu.peak_gflops == 128.0


@given(st.one_of(
    st.floats(), st.text(), st.none(), st.booleans(), st.complex_numbers(),
    st.just(np.float64(4)), st.just(np.bool_(True)), st.just(np.array([4, 4])),
    st.just(np.str_("4")), st.just(np.array(True)),
))  # fmt: skip
def test_what_is_no_integer_is_one_sentence(value):
    for make, error in (
        (lambda: MatrixVector(name="a", operator="fc", inputs=value, outputs=4), DescriptionError),
        (lambda: Digital(name="a", operator="fc", bits=value), DescriptionError),
        (lambda: ReRAM().with_parameters(cell_bits=value), DescriptionError),
        (lambda: HardwareGene(crossbar_rows=value), GenotypeError),
        (lambda: BlockGene(dense_width=value), GenotypeError),
        (lambda: BlockGene(dense_bits=value), GenotypeError),
        (lambda: BlockGene(dense_inputs=(value,)), GenotypeError),
        (lambda: SearchSpace(num_blocks=value), GenotypeError),
        (lambda: FeatureSpec(13, (value,)), DataError),
        (lambda: FeatureSpec(value, (3,)), DataError),
    ):
        if value is None and make.__code__.co_names[0] == "ReRAM":
            continue  # the technology's own
        with pytest.raises(error, match="expected"):
            make()


@pytest.mark.parametrize("value", ["0.5", None, 1j, True, np.array([0.5])])
def test_what_is_no_number_is_one_sentence(value):
    with pytest.raises(DescriptionError, match="conductance_sigma: expected a number"):
        Noise(conductance_sigma=value)
    with pytest.raises(DescriptionError, match=r"cpu.peak_gflops: expected a number"):
        CPU().with_figures(peak_gflops=value)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("nasrec_ful", "nasrec_full"),
        ("nasrec-full", "nasrec_full"),
        ("NASRec_Full", "nasrec_full"),
        ("nasrec_fulll", "nasrec_full"),
        ("nasrec_smal", "nasrec_small"),
        ("co-design", "codesign"),
        ("codesing", "codesign"),
    ],
)
def test_a_misspelt_preset_is_refused_with_the_nearest_name(name, near):
    text = json.dumps({"space": name, "blocks": [{"dense_ops": ["fc"]}]})
    with pytest.raises(GenotypeError, match=f"g.json: space: .*; did you mean {near}?"):
        Genotype.from_json(text, "g.json")
    with pytest.raises(GenotypeError, match=f"did you mean {near}?"):
        SearchSpace(name=name)


@pytest.mark.parametrize(
    "name", ["custom", "mine", "full", "nasrec", "nasrec_full_wide", "nasrec_small2", "codesign-7"]
)
def test_names_of_ones_own_are_taken(name):
    space = SearchSpace(name=name, num_blocks=2)
    genotype = space.sample(np.random.default_rng(0))
    assert Genotype.from_json(genotype.to_json()).space == name


@pytest.mark.parametrize("integer", INTEGERS, ids=lambda integer: integer.__name__)
def test_sizes_and_seed_of_a_sampler_may_be_numpys(integer):
    sizes = {
        "population_size": 8,
        "tournament_size": 4,
        "children_per_round": 2,
        "mutations": 3,
        "decay_rounds": 5,
        "screening": 2,
        "seed": 200,  # an 8-bit integer would overflow if it took part in a sum
    }

    def values(given):
        study = optuna.create_study(sampler=RegularizedEvolutionSampler(**given))
        study.optimize(lambda trial: trial.suggest_float("x", 0, 1) ** 2, n_trials=40)
        return [trial.value for trial in study.trials]

    assert values({name: integer(size) for name, size in sizes.items()}) == values(sizes)
