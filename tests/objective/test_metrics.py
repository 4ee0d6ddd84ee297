"""Metrics that need no oracle, of one genotype and of many, against values worked out by hand."""

from __future__ import annotations

import logging

import numpy as np
import optuna
import pytest

from hw import Cost, OperatorCost, Workload
from nasrec_opt import FeatureSpec, Genotype, Objective, SearchSpace
from nasrec_opt.objective import metrics_many
from nasrec_opt.objective._metrics import figures_of
from nasrec_opt.space import BlockGene

CRITEO = FeatureSpec(13, (5,) * 26)
DOT = Genotype((BlockGene(dense_ops=("dot",), dense_width=16, sparse_width=16),))
FC = Genotype((BlockGene(dense_width=16, sparse_width=16),))

# EFC takes 26 vectors of 16 to 16, and the final layer has 16 + 16 x 16 inputs.
REST = 26 * 16 * 16 + 272
# A vector of the dense features, 26 vectors projected to 6, 7 x 7 products of 16, 21 of them kept.
BALANCED = 13 * 16 + 26 * 6 * 16 + 7 * 7 * 16 + 21 * 16 + REST
# All 27 vectors are multiplied, which leaves 351 products.
UNBALANCED = 13 * 16 + 27 * 27 * 16 + 351 * 16 + REST


class PerMac:
    """1 ns, 2 pJ and 3 mm2 a MAC."""

    def cost(self, workload: Workload) -> Cost:
        macs = float(workload.macs)
        of_all = OperatorCost(
            name="all", operator="all", latency_ns=macs, energy_pj=2 * macs, area_mm2=3 * macs
        )
        return Cost.of([of_all], leakage_mw=0.0)


@pytest.mark.parametrize(("balance", "macs"), [(True, BALANCED), (False, UNBALANCED)])
def test_figures_of_one_by_hand(balance, macs):
    metrics = figures_of(DOT, CRITEO, PerMac(), balance=balance).metrics
    assert metrics["mflops"] == pytest.approx(macs / 1e6)
    assert metrics["latency_us"] == pytest.approx(macs / 1e3)  # ns -> us
    assert metrics["energy_uj"] == pytest.approx(2 * macs / 1e6)  # pJ -> uJ
    assert metrics["area_mm2"] == 3 * macs
    without = figures_of(DOT, CRITEO, None, balance=balance)
    assert without.breakdown is None
    assert without.metrics == {
        name: metrics[name] for name in ("mflops", "mflops_paper", "parameters")
    }
    assert figures_of(DOT, None, PerMac(), balance=balance).metrics == {}


@pytest.mark.parametrize(("balance", "macs"), [(True, BALANCED), (False, UNBALANCED)])
def test_figures_of_many_by_hand(balance, macs):
    macs = np.array([macs, 13 * 16 + REST])
    found = metrics_many([DOT, FC], CRITEO, PerMac(), balance=balance)
    np.testing.assert_allclose(found["mflops"], macs / 1e6)
    np.testing.assert_allclose(found["latency_us"], macs / 1e3)
    np.testing.assert_allclose(found["energy_uj"], 2 * macs / 1e6)
    np.testing.assert_allclose(found["area_mm2"], 3 * macs)
    assert metrics_many([DOT, FC], CRITEO).keys() == {"mflops", "mflops_paper", "parameters"}


def test_a_failed_trial_is_logged_with_its_reason_and_for_debugging_with_its_traceback(caplog):
    def oracle(genotype: Genotype) -> float:
        raise ValueError("no rows left")

    objective = Objective(SearchSpace.nasrec_small(2), oracle)
    study = optuna.create_study()
    with caplog.at_level(logging.DEBUG, logger="nasrec_opt.objective"):
        objective(study.ask())
    said, shown = [r for r in caplog.records if r.name.startswith("nasrec_opt.objective")]
    assert said.levelno == logging.WARNING
    assert said.getMessage().startswith("trial 0 failed: ")
    assert "no rows left" in said.getMessage()
    assert said.exc_info is None
    assert shown.levelno == logging.DEBUG
    assert shown.getMessage() == "trial 0 failed"
    assert "no rows left" in str(shown.exc_info[1])
