"""Scores models as a noisy crossbar would compute them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from nasrec_opt.errors import StudyError
from nasrec_opt.oracle._cell_reader import Bits, CellReader, FloatArray, Product
from nasrec_opt.oracle._metrics import score
from nasrec_opt.oracle._prediction import Logits
from nasrec_opt.oracle._protocol import Evaluation, Oracle, Report
from nasrec_opt.oracle._supernet_oracle import SupernetOracle
from nasrec_opt.space import Genotype


class Cells(Protocol):
    """Cells that hold weights: `nasrec_opt.lowering.CrossbarCells`, or a user's own class."""

    def errors(
        self, weights: FloatArray, bits: Bits, genotype: Genotype, *, product: int, chip: int
    ) -> FloatArray | Product:
        """Compute what the cells do to one product.

        Args:
            weights: The weights before they are quantised, `[outputs, inputs]`.
            bits: Bits of the weights and of the inputs.
            genotype: The model, with its accelerator genes where it has some.
            product: Number of the product in the model.
            chip: Number of the chip; each is another draw from the same distribution.

        Returns:
            Errors to add to the quantised weights, `[outputs, inputs]`. If not only the weights
            have errors, a function from inputs to the errors to add to the products.
        """


class NoisyOracle(Oracle):
    """Scores models as a noisy crossbar would compute them.

    An answer is the mean over `chips` chips. It depends only on the model, its accelerator genes
    and the seed of `cells`. Genotypes share no computation: a query takes as long as `chips` passes
    of one model, plus writing its weights. It takes much longer if not only the weights have
    errors, as with converters that clip.

    Args:
        oracle: The oracle without noise, with the fidelity `supernet` or `last_layer`.
        cells: Cells that hold the weights, or None for the oracle's own answers.
        chips: Number of chips in a mean.

    Raises:
        StudyError: The oracle trains subnets, fits a final layer for each fold of its rows,
            computes in bfloat16, masks with zeros, ignores bits or races; or `chips` is below 1.

    Example:
        >>> import numpy as np
        >>> from hw import Noise, ReRAM
        >>> from nasrec_opt.lowering import CrossbarCells
        >>> from nasrec_opt.options import OracleOptions
        >>> options = OracleOptions(rows=500)
        >>> oracle = SupernetOracle.load("runs/quickstart/supernet", options=options)
        >>> cells = CrossbarCells(ReRAM(), Noise(conductance_sigma=0.1), seed=0)
        >>> noisy = NoisyOracle(oracle, cells, chips=2)
        >>> genotype = oracle.supernet.space.sample(np.random.default_rng(0))
        >>> noisy.evaluate(genotype).log_loss != oracle.evaluate(genotype).log_loss
        True
    """

    reads_accelerator = True  # an objective must not reuse answers for other accelerator genes

    def __init__(self, oracle: SupernetOracle, cells: Cells | None, *, chips: int = 4) -> None:
        how = oracle.options
        if how.fidelity not in ("supernet", "last_layer"):
            raise StudyError(
                "noise: expected an oracle with the fidelity supernet or last_layer, got "
                f"{how.fidelity!r}"
            )
        if how.fidelity == "last_layer" and how.last_layer == "folds":
            raise StudyError(
                "noise: expected an oracle whose models have one final layer to write, got "
                "last_layer='folds'"
            )
        if oracle.precision != "float32" or oracle.supernet.masking == "zero":
            raise StudyError(
                'noise: expected an oracle with precision="float32" that does not mask by zero, '
                f"got precision={oracle.precision!r}, masking={oracle.supernet.masking!r}"
            )
        if how.bits != "genotype":
            raise StudyError(
                f"noise: expected an oracle that scores models at their bits, got {how.bits!r}"
            )
        if how.racing is not None:
            raise StudyError("noise: expected an oracle with a number of rows, got racing")
        if chips < 1:
            raise StudyError(f"chips: expected 1 or more, got {chips}")
        self.oracle = oracle
        self.features = oracle.features
        self.balance = oracle.balance
        self.max_table_rows = oracle.max_table_rows
        self.data_fingerprint = oracle.data_fingerprint
        self.cells = cells
        self.chips = chips
        self._answers: dict[Genotype, Evaluation] = {}

    def evaluate(self, genotype: Genotype, *, report: Report | None = None) -> Evaluation:
        """Score one genotype.

        Args:
            genotype: A genotype of the supernet's space, with its accelerator genes where it has
                some.
            report: Not called: nothing is trained.

        Returns:
            Mean log loss (nats) and AUC over the chips.

        Raises:
            GenotypeError: The genotype does not fit the supernet.
        """
        if self.cells is None:
            return self.oracle.evaluate(genotype)
        self.oracle.supernet.check_genotype(genotype)
        key = genotype.canonical()
        if key not in self._answers:
            labels, weights = self.oracle.labels, self.oracle.row_weights
            self._answers[key] = _mean(
                [score(self._logits(key, chip), labels, weights) for chip in range(self.chips)]
            )
        return self._answers[key]

    def _logits(self, genotype: Genotype, chip: int) -> Logits:
        cells = self.cells
        assert cells is not None

        def errors(product: int, weights: FloatArray, bits: Bits) -> FloatArray | Product:
            return cells.errors(weights, bits, genotype, product=product, chip=chip)

        return self.oracle.logits(genotype, CellReader(errors).begin)


def _mean(answers: Sequence[Evaluation]) -> Evaluation:
    """Means over chips; the standard error of the log loss is over rows, as for one chip."""

    def mean(name: str) -> float:
        return float(np.mean([getattr(answer, name) for answer in answers]))

    return Evaluation(
        log_loss=mean("log_loss"),
        auc=mean("auc"),
        log_loss_se=mean("log_loss_se"),
        num_rows=answers[0].num_rows,
    )
