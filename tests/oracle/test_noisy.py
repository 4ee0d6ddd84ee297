"""Answers of models in noisy cells: the oracle's own without noise, worse in the mean with more."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import optuna
import pytest
import torch
from oracle.models import SPACES, assert_close, draw, forward, oracle_of, rows_of, scored
from torch.nn import functional
from workloads import with_figures

from hw import Noise, ReRAM
from nasrec_opt.errors import StudyError
from nasrec_opt.lowering import CrossbarCells
from nasrec_opt.objective import Objective
from nasrec_opt.oracle import NoisyOracle
from nasrec_opt.space import BlockGene, Genotype, HardwareGene
from nasrec_opt.supernet import round_to

GENES = HardwareGene(), HardwareGene(cell_bits=4), HardwareGene(cell_bits=1, crossbar_rows=64)


def cells(sigma=0.0, *, seed=0, **stuck) -> CrossbarCells:
    return CrossbarCells(ReRAM(), Noise(conductance_sigma=sigma, **stuck), seed)


def on(genotype: Genotype, gene: HardwareGene | None) -> Genotype:
    return replace(genotype, hardware=gene)


@pytest.mark.parametrize("fidelity", ["supernet", "last_layer"])
@pytest.mark.parametrize("name", SPACES)
def test_without_noise_answers_are_the_oracles(supernets, dataset, name, fidelity):
    oracle = oracle_of(supernets[name], dataset, fidelity=fidelity)
    for seed in range(3):
        genotype = draw(SPACES[name], seed)
        genotype = replace(genotype, wide=name == "wide" and seed > 0)
        expected = oracle.evaluate(genotype)
        assert NoisyOracle(oracle, None).evaluate(genotype) == expected
        found = NoisyOracle(oracle, cells(0.0), chips=1).evaluate(on(genotype, GENES[1]))
        # Rounding apart, of which bits make whole levels.
        assert_close(found, expected, 1e-3)


@pytest.mark.parametrize("name", ["multi", "bits"])
def test_more_variation_is_worse_in_the_mean(supernets, dataset, name):
    """The labels are those of the clean model's own chances: whatever differs from it is worse."""
    oracle = oracle_of(supernets[name], dataset, rows=100)
    genotypes = [draw(SPACES[name], seed) for seed in range(2)]
    chances = {}
    for genotype in genotypes:
        logits = oracle._predictor.predict([oracle._plan(genotype)], None)[0].logits
        chances[genotype] = 1 / (1 + np.exp(-logits.astype(float)))
    losses = []
    for sigma in (0.0, 0.02, 0.1, 0.4):
        noisy = NoisyOracle(oracle, cells(sigma))
        found = []
        for genotype in genotypes:
            for chip in range(3):
                logits = noisy._logits(genotype.canonical(), chip).astype(float)
                chance = chances[genotype]
                found.append(np.mean(np.logaddexp(0, logits) - chance * logits))
        losses.append(np.mean(found))
    assert losses == sorted(losses)
    assert losses[-1] > losses[0] + 0.003


def test_stuck_cells_and_more_bits_in_a_cell_are_worse():
    """Sizes of errors, which need no labels: a cell of more bits holds larger steps of a weight."""
    genotype = draw(SPACES["multi"], 0)
    weights = np.random.default_rng(1).standard_normal((32, 200))

    def size(noise: Noise, gene: HardwareGene) -> float:
        held = CrossbarCells(ReRAM(), noise)
        errors = held.errors(weights, (8, 8), on(genotype, gene), product=0, chip=0)
        return float(np.sqrt(np.mean(errors**2)))

    varied = Noise(conductance_sigma=0.05)
    one, two, four = (size(varied, HardwareGene(cell_bits=bits)) for bits in (1, 2, 4))
    assert one < two < four
    few, many = (size(Noise(stuck_on=share), GENES[0]) for share in (0.001, 0.05))
    assert 0 < few < many


def test_answers_depend_on_seed_genotype_and_genes_and_on_nothing_asked_before(supernets, dataset):
    oracle = oracle_of(supernets["multi"], dataset)
    one, other = draw(SPACES["multi"], 0), draw(SPACES["multi"], 1)
    first = NoisyOracle(oracle, cells(0.1), chips=2)
    answers = [first.evaluate(on(one, gene)) for gene in (None, *GENES)]
    answers += [first.evaluate(other)]
    again = NoisyOracle(oracle, cells(0.1), chips=2)
    asked = [other, *(on(one, gene) for gene in (None, *GENES))]
    assert again.evaluate_many(asked) == [answers[-1], *answers[:-1]]
    assert len({answer.log_loss for answer in answers}) == len(answers)
    reseeded = NoisyOracle(oracle, cells(0.1, seed=1), chips=2).evaluate(one)
    assert reseeded.log_loss != answers[0].log_loss


def test_a_mean_is_over_chips(supernets, dataset):
    oracle = oracle_of(supernets["bits"], dataset)
    genotype = draw(SPACES["bits"], 2)
    noisy = NoisyOracle(oracle, cells(0.2), chips=3)
    labels = rows_of(dataset, "validation").labels
    each = [scored(noisy._logits(genotype.canonical(), chip), labels) for chip in range(3)]
    found = noisy.evaluate(genotype)
    assert found.log_loss == pytest.approx(np.mean([answer.log_loss for answer in each]), abs=1e-6)
    assert len({answer.log_loss for answer in each}) == 3


def test_the_model_is_the_one_whose_weights_were_replaced(supernets, dataset):
    """Parity: an extracted model of one FC and one EFC, the errors added to its weights."""
    supernet, held = supernets["plain"], cells(0.3)
    block = BlockGene(dense_width=16, sparse_width=8)
    genotype = Genotype((block, block, block), None, SPACES["plain"].name)  # the last reads input 0
    oracle = oracle_of(supernet, dataset)
    found = NoisyOracle(oracle, held)._logits(genotype.canonical(), 1)

    subnet = supernet.extract(genotype)
    last = subnet.blocks["3"]

    def held_weight(weight, product):
        array, key = weight.detach().numpy().astype(float), genotype.canonical()
        errors = held.errors(array, (8, 8), key, product=product, chip=1)
        return round_to(weight, 8) + torch.from_numpy(errors).float()

    def layer(inputs, module, product):
        made = round_to(inputs, 8) @ held_weight(module.project.weights["0"], product).T
        norm = module.norm
        size = made.shape[-1:]
        return torch.relu(functional.layer_norm(made, size, norm.gain, norm.bias, 1e-5))

    batch = rows_of(dataset, "validation")
    dense, sparse = torch.from_numpy(batch.dense), torch.from_numpy(batch.sparse)
    with torch.no_grad():
        vector = layer(dense, last.dense["fc"], 0)
        rows = layer(subnet.embed(sparse), last.sparse["efc"], 1)
        features = round_to(torch.cat([vector, rows.flatten(1)], dim=1), 8)
        activations = subnet.hidden(genotype, dense, subnet.embed(sparse))
        row, bias = subnet.last_weight(genotype, activations)
        expected = features @ held_weight(row[None], 2)[0] + bias
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-3)  # rounding may tip
    assert not np.allclose(found, forward(supernet, batch, genotype), atol=1e-2)


@pytest.mark.parametrize("fidelity", ["supernet", "last_layer"])
@pytest.mark.parametrize("name", ["multi", "wide"])
def test_all_passes_over_the_rows_read_the_same_cells(supernets, dataset, name, fidelity):
    """A chip is written once: in how many pieces the rows come changes no answer."""
    genotype = replace(draw(SPACES[name], 2).canonical(), wide=name == "wide")
    whole, pieces = (
        oracle_of(supernets[name], dataset, rows=60, fidelity=fidelity, chunk_rows=chunk_rows)
        for chunk_rows in (None, 7)
    )
    written = []

    class Counted(CrossbarCells):
        def errors(self, weights, bits, genotype, *, product, chip):
            written.append((chip, product))
            return super().errors(weights, bits, genotype, product=product, chip=chip)

    held = Counted(ReRAM(), Noise(conductance_sigma=0.2), 0)
    expected = NoisyOracle(whole, cells(0.2), chips=2).evaluate(genotype)
    found = NoisyOracle(pieces, held, chips=2).evaluate(genotype)
    # A fitted weight may tip to another level, whose cells are others with other errors.
    assert_close(found, expected, 1e-3 if fidelity == "supernet" else 0.05)
    assert len(written) == len(set(written)) > 2


CLIPPING = with_figures(ReRAM().technology, "adc", clips=True)


def clipping(adc_bits: int, **noise) -> CrossbarCells:
    figures = with_figures(CLIPPING, "adc", bits=adc_bits)
    return CrossbarCells(ReRAM(figures), Noise(**noise))


@pytest.mark.parametrize("name", SPACES)
def test_every_product_passes_through_converters_that_clip(supernets, dataset, name):
    """Products by a naive loop: each is known, in order, and what is added reaches the logits."""
    oracle = oracle_of(supernets[name], dataset, rows=64)
    genotype = replace(draw(SPACES[name], 1).canonical(), wide=name == "wide")
    asked, answered = [], []

    class Shifting:
        def errors(self, weights, bits, genotype, *, product, chip):
            asked.append(product)

            def wrong(inputs):
                assert inputs.shape[1] == weights.shape[1]
                answered.append(product)
                return np.zeros((len(inputs), len(weights)))

            return wrong

    found = NoisyOracle(oracle, Shifting(), chips=1).evaluate(genotype)
    assert sorted(set(answered)) == asked == list(range(len(asked)))
    assert found.log_loss == pytest.approx(oracle.evaluate(genotype).log_loss, abs=1e-5)


@pytest.mark.parametrize("name", ["multi", "bits", "wide"])
def test_a_product_that_is_wrong_is_the_one_with_wrong_weights(supernets, dataset, name):
    """Two ways to the same: weights that are wrong, and products that are wrong by as much."""
    oracle = oracle_of(supernets[name], dataset, rows=200)
    genotype, plain = draw(SPACES[name], 3).canonical(), cells(0.2)
    genotype = replace(genotype, wide=name == "wide")

    class ByProduct:
        def errors(self, weights, bits, genotype, *, product, chip):
            wrong = plain.errors(weights, bits, genotype, product=product, chip=chip)
            return lambda inputs: inputs @ wrong.T

    by_weight, by_product = (
        NoisyOracle(oracle, held)._logits(genotype, 0) for held in (plain, ByProduct())
    )
    away = np.abs(by_product - by_weight)  # another rounding may tip a value to another level
    assert np.quantile(away, 0.9) < 1e-4
    assert away.max() < 0.02


def test_coarser_converters_that_clip_are_worse_and_lossless_ones_cost_nothing(supernets, dataset):
    oracle = oracle_of(supernets["bits"], dataset, rows=40)
    genotype = draw(SPACES["bits"], 0).canonical()
    exact = oracle._predictor.predict([oracle._plan(genotype)], None)[0].logits
    away = [
        float(np.abs(NoisyOracle(oracle, clipping(bits))._logits(genotype, 0) - exact).mean())
        for bits in (8, 6, 5)
    ]
    assert away[0] < 1e-4  # with flip encoding 8 bits lose nothing at 128 rows
    assert away == sorted(away)
    assert away[-1] > 0.1
    gene = HardwareGene(adc_bits=4)
    by_gene = NoisyOracle(oracle, clipping(8), chips=1).evaluate(on(genotype, gene))
    assert by_gene.log_loss != NoisyOracle(oracle, clipping(8), chips=1).evaluate(genotype).log_loss


def test_a_search_asks_again_for_other_accelerator_genes(supernets, dataset):
    oracle = oracle_of(supernets["multi"], dataset)
    genotype = draw(SPACES["multi"], 0)
    for noise, distinct in ((cells(0.2), 3), (None, 1)):
        answering = NoisyOracle(oracle, noise, chips=1)
        objective = Objective(SPACES["multi"], answering, ReRAM())
        losses = {objective.metrics(on(genotype, gene))["log_loss"] for gene in GENES}
        assert len(losses) == distinct
    study = optuna.create_study(directions=["minimize"] * 3)
    study.optimize(Objective(SPACES["multi"], NoisyOracle(oracle, cells(0.1)), ReRAM()), n_trials=2)
    assert all("auc" in trial.user_attrs for trial in study.trials)


def test_what_cannot_be_is_a_sentence(supernets, dataset):
    supernet = supernets["multi"]
    for options, sentence in (
        ({"fidelity": "fine_tune"}, "expected an oracle with the fidelity supernet or last_layer"),
        ({"precision": "bfloat16"}, "expected an oracle with precision=.float32. that"),
    ):
        with pytest.raises(StudyError, match=sentence):
            NoisyOracle(oracle_of(supernet, dataset, **options), cells(0.1))
    with pytest.raises(StudyError, match="chips: expected 1 or more, got 0"):
        NoisyOracle(oracle_of(supernet, dataset), cells(0.1), chips=0)
