"""Spaces: presets, membership, TOML, counting, and Optuna's parameters."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from nasrec_opt.errors import GenotypeError
from nasrec_opt.space import BlockGene, Genotype, HardwareChoices, HardwareGene, SearchSpace

FIXED_HARDWARE = {field: (value,) for field, value in HardwareGene().to_dict().items()}
PRESETS = [
    SearchSpace.nasrec_small(),
    SearchSpace.nasrec_full(),
    SearchSpace.nasrec_full(multi_operator=True, max_inputs=2),
    SearchSpace.nasrec_full(4, codesign=True),
    SearchSpace.codesign(),
    SearchSpace(num_blocks=3, bits=(4, 8, (4, 8)), mergers=False, dense_ops=("gate", "sum")),
    SearchSpace.nasrec_small(4, wide=(False, True)),
    SearchSpace.codesign(3, wide=(True,)),
    SearchSpace.autoctr(4),
    SearchSpace.dnas(),
    SearchSpace.dnas(4, codesign=True, multi_operator=True, max_inputs=2),
    SearchSpace.profit(),
    SearchSpace.profit(3, codesign=True, wide=(False, True)),
    SearchSpace(num_blocks=3, mergers=("dense_to_sparse",), chain=True, multi_operator=True),
]
spaces = st.sampled_from(PRESETS)
seeds = st.integers(0, 2**32 - 1)


@given(spaces, seeds)
def test_decode_inverts_encode(space, seed):
    genotype = space.sample(np.random.default_rng(seed))
    params = space.encode(genotype)
    assert space.decode(params) == genotype
    assert space.encode(space.decode(params)) == params


@given(spaces, seeds)
def test_suggest_on_a_fixed_trial_returns_the_genotype(space, seed):
    genotype = space.sample(np.random.default_rng(seed))
    trial = FixedTrial(space.encode(genotype))
    assert space.suggest(trial) == genotype
    assert trial.params == space.encode(genotype)  # nothing is asked that encode leaves out


@given(spaces, seeds)
def test_samples_are_in_the_space_and_so_are_their_canonical_forms(space, seed):
    genotype = space.sample(np.random.default_rng(seed))
    assert space.contains(genotype)
    assert space.contains(genotype.canonical())


@given(spaces, seeds)
def test_every_asked_parameter_has_the_distribution_of_the_space(space, seed):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed))
    trial = study.ask()
    space.suggest(trial)
    distributions = space.distributions()
    for name, distribution in trial.distributions.items():
        assert distributions[name] == distribution
        assert not distribution.single()


@pytest.mark.parametrize("space", PRESETS, ids=str)
def test_asking_for_all_distributions_and_decoding_ignores_inactive_genes(space):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(20):
        trial = study.ask(fixed_distributions=space.distributions())
        genotype = space.decode(trial.params)
        assert space.contains(genotype)
        assert space.suggest(trial) == genotype  # asked again: the stored values, no conflict


def test_number_of_parameters_stays_small():
    asked = {}
    for space in (SearchSpace.nasrec_small(), SearchSpace.nasrec_full(), SearchSpace.codesign()):
        genotype = space.sample(np.random.default_rng(0))
        asked[space.name] = len(space.encode(genotype))
    assert asked == {"nasrec_small": 40, "nasrec_full": 47, "codesign": 61}


def test_parameters_are_readable():
    space = SearchSpace.nasrec_full(3, codesign=True, multi_operator=True)
    block = BlockGene(
        dense_ops=("fc", "gate"), dense_inputs=(0, 2), sparse_inputs=(1,), left_input=0,
        right_input=2, dense_to_sparse=True, dense_bits=4,
    )  # fmt: skip
    genotype = Genotype((BlockGene(), BlockGene(), block), HardwareGene(), "nasrec_full")
    params = space.encode(genotype)
    mine = {name[3:]: value for name, value in params.items() if name.startswith("b3.")}
    assert mine == {
        "dense_ops": "fc+gate", "dense_width": 128, "dense_inputs": "0+2", "gate_inputs": "0,2",
        "sparse_ops": "efc", "sparse_width": 32, "sparse_inputs": "1",
        "mergers": "dense_to_sparse", "dense_bits": 4, "sparse_bits": 8,
    }  # fmt: skip
    assert params["hw.adc_bits"] == 8


def test_decode_says_which_parameter_is_wrong():
    space = SearchSpace.nasrec_small(3)
    params = space.encode(space.sample(np.random.default_rng(0)))
    with pytest.raises(GenotypeError, match=r"b2\.dense_width: expected one of 16.* got 17"):
        space.decode(params | {"b2.dense_width": 17})
    del params["b3.sparse_inputs"]
    with pytest.raises(GenotypeError, match=r"b3\.sparse_inputs: expected a value"):
        space.decode(params)


TINY = [
    SearchSpace(
        num_blocks=2, dense_ops=("fc", "gate"), sparse_ops=("efc",), dense_widths=(16,),
        sparse_widths=(16, 32), mergers=False, multi_operator=True,
    ),
    SearchSpace(
        num_blocks=3, dense_ops=("dot", "sum"), sparse_ops=("efc",), dense_widths=(16,),
        sparse_widths=(16,), mergers=False, max_inputs=1,
    ),
    SearchSpace(
        num_blocks=1, dense_ops=("fc",), sparse_ops=("efc", "attn"), dense_widths=(16, 32),
        sparse_widths=(16,), bits=(4, 8), multi_operator=True,
        hardware=HardwareChoices(**FIXED_HARDWARE | {"adc_bits": (6, 8)}),
    ),
    SearchSpace(
        num_blocks=1, dense_ops=("fc",), sparse_ops=("efc", "attn"), dense_widths=(16, 32),
        sparse_widths=(16,), mergers=False, wide=(False, True),
    ),
    replace(SearchSpace.autoctr(2), dense_widths=(16,), sparse_widths=(16, 32)),
    replace(SearchSpace.dnas(3, multi_operator=True), dense_widths=(16,)),
    replace(SearchSpace.dnas(2), dense_widths=(16,), bits=(4, 8)),
    replace(SearchSpace.profit(4), dense_widths=(16, 32)),
    SearchSpace(
        num_blocks=3, dense_ops=("fc", "gate"), sparse_ops=("efc",), dense_widths=(16,),
        sparse_widths=(16,), mergers=("dense_to_sparse",), chain=True,
    ),
]  # fmt: skip
TINY_NAMES = (
    "subsets", "two inputs", "codesign", "wide", "autoctr", "dnas", "dnas bits", "profit", "chain",
)  # fmt: skip


def enumerate_all(space: SearchSpace) -> set[Genotype]:
    """Every combination of all parameters, decoded; inactive ones fall together."""
    distributions = space.distributions()
    combinations = product(*(distribution.choices for distribution in distributions.values()))
    return {space.decode(dict(zip(distributions, values, strict=True))) for values in combinations}


@pytest.mark.parametrize("space", TINY, ids=TINY_NAMES)
def test_cardinality_equals_enumeration(space):
    genotypes = enumerate_all(space)
    assert space.cardinality() == len(genotypes)
    assert set(space) == genotypes
    assert all(space.contains(genotype) for genotype in genotypes)


@pytest.mark.parametrize("space", TINY[::2], ids=TINY_NAMES[::2])
def test_sampling_reaches_the_whole_space(space):
    rng = np.random.default_rng(0)
    everything = enumerate_all(space)
    # Coupon collector: this many draws miss some value with a probability below 1e-6.
    found = {space.sample(rng) for _ in range(30 * len(everything))}
    assert found == everything


def test_the_papers_counts():
    full, small = SearchSpace.nasrec_full(), SearchSpace.nasrec_small()
    assert full.paper_cardinality() == 5760**7 * 5040**2
    assert 5.3e33 < full.paper_cardinality() < 5.4e33
    assert full.paper_cardinality() == 15**7 * small.paper_cardinality()
    codesign = SearchSpace.codesign()
    unquantized = replace(codesign, bits=(8,))
    assert codesign.paper_cardinality() == 4**7 * unquantized.paper_cardinality()
    assert codesign.cardinality() == 16384 * unquantized.cardinality()


def test_exact_count_of_nasrec_small():
    # Block with i inputs: FC or dot product, 8 widths, 4 rows, 4 mergers, two subsets of inputs.
    expected = 1
    for inputs in range(1, 8):
        expected *= 2 * 8 * 4 * 4 * (2**inputs - 1) ** 2
    assert SearchSpace.nasrec_small().cardinality() == expected


def test_exact_counts_of_the_spaces_of_table_1():
    # AutoCTR: as NASRec-Small, with 2 choices of mergers, not 4. DNAS: FC or dot product, 8 widths,
    # a subset of dense inputs. PROFIT: 8 widths, with or without FM.
    autoctr, dnas = 1, 1
    for inputs in range(1, 8):
        autoctr *= 2 * 8 * 4 * 2 * (2**inputs - 1) ** 2
        dnas *= 2 * 8 * (2**inputs - 1)
    assert SearchSpace.autoctr().cardinality() == autoctr
    assert SearchSpace.dnas().cardinality() == dnas
    assert SearchSpace.profit().cardinality() == (8 * 2) ** 7
    # The paper's way: any non-empty subset of operators, and 7! for each branch with connections.
    assert SearchSpace.autoctr().paper_cardinality() == (3 * 8 * 4 * 2) ** 7 * 5040**2
    assert SearchSpace.dnas().paper_cardinality() == (3 * 8) ** 7 * 5040
    assert SearchSpace.profit().paper_cardinality() == (8 * 2) ** 7


@pytest.mark.parametrize(
    ("space", "ops", "mergers"),
    [
        (SearchSpace.autoctr(3), {"fc", "dot", "efc"}, {"sparse_to_dense"}),
        (SearchSpace.dnas(3), {"fc", "dot"}, set()),
        (SearchSpace.profit(3), {"fc"}, {"sparse_to_dense"}),
    ],
    ids=["autoctr", "dnas", "profit"],
)
def test_table_1_of_the_paper(space, ops, mergers):
    """Building operators, of which FM is a merger here, and dense connectivity."""
    blocks = [block for seed in range(60) for block in drawn_blocks(space, seed)]
    assert {op for block in blocks for op in (*block.dense_ops, *block.sparse_ops)} == ops
    used = {m for m in ("dense_to_sparse", "sparse_to_dense") for b in blocks if getattr(b, m)}
    assert used == mergers
    read = {b.dense_inputs for b in blocks[2::3]}  # of third blocks
    every = {(0,), (1,), (2,), (0, 1), (0, 2), (1, 2), (0, 1, 2)}
    assert read == ({(2,)} if space.chain else every)
    if "efc" not in ops:
        assert {(b.sparse_inputs, b.sparse_width) for b in blocks} == {((0,), 0)}


def drawn_blocks(space: SearchSpace, seed: int) -> tuple[BlockGene, ...]:
    return space.sample(np.random.default_rng(seed)).blocks


@pytest.mark.parametrize(
    ("given", "kept", "pairs"),
    [
        (["sparse_to_dense"], ("sparse_to_dense",), [(False, False), (False, True)]),
        (("dense_to_sparse",), ("dense_to_sparse",), [(False, False), (True, False)]),
        (["sparse_to_dense", "dense_to_sparse"], True, None),
        ([], False, [(False, False)]),
    ],
)
def test_mergers_are_chosen_one_by_one(given, kept, pairs):
    space = SearchSpace(num_blocks=1, mergers=given)
    assert space.mergers == kept
    assert space == SearchSpace.from_dict({"num_blocks": 1, "mergers": given})
    if pairs:
        assert list(space.choices.blocks[0].mergers) == pairs


@pytest.mark.parametrize("space", PRESETS, ids=str)
def test_a_space_round_trips_through_its_dict(space):
    assert SearchSpace.from_dict(space.to_dict()) == space
    assert hash(SearchSpace.from_dict(space.to_dict())) == hash(space)


def test_a_space_from_toml(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(
        'preset = "codesign"\nname = "mine"\nnum_blocks = 3\nbits = [8, [4, 8]]\nmax_inputs = 2\n'
        "[hardware]\nadc_bits = [6, 8]\n"
    )
    space = SearchSpace.from_toml(path)
    assert space == replace(
        SearchSpace.codesign(3, max_inputs=2),
        name="mine",
        bits=(8, (4, 8)),
        hardware=HardwareChoices(adc_bits=(6, 8)),
    )
    assert space.sample(np.random.default_rng(0)).space == "mine"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dense_width = [16]", "unknown key 'dense_width'; did you mean 'dense_widths'?"),
        ("[hardware]\nadc_bit = [8]", "unknown key 'adc_bit'; did you mean 'adc_bits'?"),
        ("[hardware]\nadc_bits = [99]", "adc_bits: expected an integer from 1 to 12, got 99"),
        ("dense_ops = ['fcc']", "expected operators of fc, gate, sum, dot, got 'fcc'"),
        ("dense_ops = 'fc'", "dense_ops: expected a non-empty list of values, got 'fc'"),
        ("dense_widths = []", "dense_widths: expected a non-empty list"),
        ("dense_widths = [16, 16]", "dense_widths: expected every value once"),
        ("dense_widths = ['a']", "dense_width: expected an integer"),
        ("num_blocks = 0", "num_blocks: expected a positive integer, got 0"),
        ("num_blocks = 13", "num_blocks: expected at most 12 without max_inputs, got 13"),
        ("bits = [3]", "expected 4 to 8, a pair of them, or 32 for floating point, got 3"),
        ("multi_operator = 1", "multi_operator: expected true or false, got 1"),
        ("preset = 'small'", "preset: expected one of nasrec_small, nasrec_full, codesign"),
        ("mergers = 'both'", "mergers: expected true, false or some of dense_to_sparse, sparse"),
        ("mergers = ['fm']", "mergers: expected true, false or some of dense_to_sparse, sparse"),
        ("chain = 1", "chain: expected true or false, got 1"),
        ("sparse_ops = []", "mergers: expected sparse_to_dense alone or none in a space without"),
        ("preset = 'profit'\nchain = false", "chain: expected true in profit, got false"),
        ("preset = 'dnas'\nmergers = ['sparse_to_dense']", "sparse_to_dense: expected false in dn"),
        ("preset = 'autoctr'\nmergers = true", "dense_to_sparse: expected false in autoctr, got"),
        (
            "preset = 'dnas'\nsparse_ops = ['efc']",
            "expected an operator of dnas (fc, dot)",
        ),
        ("preset = 'autoctr'\nsparse_ops = []", "expected a sparse operator of autoctr (efc), got"),
        ("preset = 'codesign'\ndense_ops = ['gate']", "expected an operator of codesign"),
        ("preset = 'codesign'\ndense_widths = [65]", "dense_width: expected one of 16"),
        ("wide = true", "wide: expected a non-empty list of values, got True"),
        ("wide = [0, 1]", "wide: expected true or false, got 0"),
        ("wide = [false, false]", "wide: expected every value once"),
        ("preset = ", "expected TOML, got"),
    ],
)
def test_a_bad_space_file_is_one_sentence(tmp_path, text, message):
    path = tmp_path / "space.toml"
    path.write_text(text)
    with pytest.raises(GenotypeError) as caught:
        SearchSpace.from_toml(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_space_file_is_an_error(tmp_path):
    with pytest.raises(GenotypeError, match="expected a TOML file"):
        SearchSpace.from_toml(tmp_path / "nothing.toml")


def test_contains_refuses_what_the_space_has_not():
    space = SearchSpace.codesign(3, max_inputs=2)
    genotype = space.sample(np.random.default_rng(0))
    last = genotype.blocks[-1]
    outside = [
        replace(genotype, space="nasrec_small"),
        replace(genotype, hardware=None),
        replace(genotype, hardware=replace(genotype.hardware, crossbar_rows=512)),
        replace(genotype, blocks=genotype.blocks[:2]),
        replace(genotype, blocks=(*genotype.blocks[:2], replace(last, dense_width=32))),
        replace(genotype, blocks=(*genotype.blocks[:2], replace(last, sparse_inputs=(0, 1, 2)))),
        replace(genotype, blocks=(*genotype.blocks[:2], replace(last, sparse_bits=6))),
    ]
    assert space.contains(genotype)
    assert [space.contains(other) for other in outside] == [False] * len(outside)


def test_twelve_blocks_need_no_limit_and_more_blocks_take_one():
    assert len(SearchSpace(num_blocks=12).distributions()["b12.dense_inputs"].choices) == 4095
    space = SearchSpace(num_blocks=20, max_inputs=2)
    assert space.contains(space.sample(np.random.default_rng(0)))


def test_iterating_gives_every_genotype_once():
    space = SearchSpace(num_blocks=2, dense_widths=(16,), sparse_widths=(16, 32), mergers=False)
    genotypes = list(space)
    assert len(genotypes) == len(set(genotypes)) == space.cardinality()
    assert all(space.contains(genotype) for genotype in genotypes)
