"""Answers from a trained supernet, at the fidelity that a query is worth."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.options import (
    AdagradFit,
    FineTune,
    PrecisionChoice,
    RankedBits,
    Scratch,
    check_precision,
    check_ranked_bits,
)
from nasrec_opt.oracle._checks import (
    check_features,
    check_option,
    training_data,
)
from nasrec_opt.oracle._metrics import difference, log_losses, score
from nasrec_opt.oracle._plan import Key, Numbering, Plan
from nasrec_opt.oracle._prediction import Logits, Predictor, RecentLogits
from nasrec_opt.oracle._protocol import Difference, Evaluation, Oracle, Progress, Report
from nasrec_opt.oracle._shared_weights import SharedWeights
from nasrec_opt.oracle._tuning import Tuning
from nasrec_opt.space import FLOAT_BITS, Genotype
from nasrec_opt.supernet import Supernet, WeightReader, choose_precision

Fidelity = Literal["supernet", "last_layer", "fine_tune", "scratch"] | FineTune | Scratch
LastLayer = Literal["newton", "folds", "adagrad"] | AdagradFit

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CPU_CHUNK_ROWS = 1024  # outputs of a block then fit the second-level cache
DEVICE_CHUNK_ROWS = 16_384
RECENT_BYTES = 1 << 25  # of logits kept for comparisons: 41 genotypes on 200,000 rows


class SupernetOracle(Oracle):
    """Scores subnets by log loss and AUC on validation rows.

    Answers do not depend on earlier queries: caches hold exactly what would be computed. The
    supernet's weights must not change afterwards. Safe to call from several threads.

    Args:
        supernet: The trained supernet; the oracle computes on its device.
        dataset: The log. Its validation rows are scored; its training rows are used where something
            is trained or fitted.
        rows: Number of validation rows, evenly spread and the same for every genotype, or None for
            all of them.
        fidelity: `supernet` uses the weights as they are; `last_layer` fits the final layer again
            for each genotype (paper, section 5.1); `fine_tune` trains the whole subnet for a few
            more steps; `scratch` trains it from fresh weights. A `FineTune` or a `Scratch` is one
            of the last two with its own options.
        last_layer: How the final layer is fitted: `newton` to the optimum of the ridge problem on
            training rows; `folds` in the same way, four times, on three quarters of the validation
            rows to predict the fourth; `adagrad` by the paper's 500 steps on fresh training rows.
            An `AdagradFit` is the last one with its own options.
        fit_rows: Training rows of Newton's fit, or validation rows of all folds, evenly spread.
            None means 8,192, or 16,384 for folds.
        chunk_rows: Rows computed at a time, or None for as many as suit the device.
        memory_bytes: Maximum number of bytes of embeddings and block outputs kept.
        precision: Precision of products and block outputs where weights are shared. `bfloat16` is
            faster on processors that have it, takes half the memory, and ranks nearly alike, except
            in spaces with bits, whose rounding turns small differences into whole levels. `auto` is
            bfloat16 where the device has instructions for it and nothing is rounded to bits,
            otherwise float32; the attribute `precision` holds the result. The default is float32,
            so that answers do not depend on the processor.
        reference: A model that every answer is compared with, in `Evaluation.difference`.
        bits: `genotype` scores every model at its own bits, as its cost does; `float` scores all in
            floating point, which ranks models of 8 bits nearly alike (docs/decisions/bits.md).
            `float` is only for a supernet whose space has 8 bits alone; score the chosen models
            once more at their bits.

    Raises:
        StudyError: An option is out of range, the supernet reads other features, or `bits` is
            `float` for a space that has other bits than 8.
        GenotypeError: The reference does not fit the supernet.

    Example:
        >>> import numpy as np
        >>> oracle = SupernetOracle.load("runs/quickstart/supernet", rows=500)
        >>> rng, space = np.random.default_rng(0), oracle.supernet.space
        >>> genotype, other = space.sample(rng), space.sample(rng)
        >>> 0.0 < oracle.evaluate(genotype).log_loss < 1.0
        True
        >>> oracle.compare(genotype, other).log_loss_se > 0.0
        True
    """

    features: FeatureSpec

    def __init__(
        self,
        supernet: Supernet,
        dataset: Dataset,
        *,
        rows: int | None = None,
        fidelity: Fidelity = "supernet",
        last_layer: LastLayer = "newton",
        fit_rows: int | None = None,
        chunk_rows: int | None = None,
        memory_bytes: int = 1 << 30,
        precision: PrecisionChoice = "float32",
        reference: Genotype | None = None,
        bits: RankedBits = "genotype",
    ) -> None:
        fit = AdagradFit() if last_layer == "adagrad" else last_layer
        if isinstance(fit, str):
            check_option("last_layer", fit, ("newton", "folds", "adagrad"))
        check_precision(precision)
        check_ranked_bits(bits, supernet.space)
        for name, value in (("rows", rows), ("fit_rows", fit_rows), ("chunk_rows", chunk_rows)):
            if value is not None and value < 1:
                raise StudyError(f"{name}: expected 1 or more, got {value}")
        if memory_bytes < 0:
            raise StudyError(f"memory_bytes: expected 0 or more, got {memory_bytes}")
        how = {"fine_tune": FineTune(), "scratch": Scratch()}.get(str(fidelity), fidelity)
        if isinstance(how, str):
            check_option("fidelity", how, ("supernet", "last_layer", "fine_tune", "scratch"))
        check_features(dataset, supernet.features)
        self.supernet = supernet.eval()
        self.features = supernet.features
        self.balance = supernet.balance
        self.fidelity = fidelity
        self.last_layer = last_layer
        self.bits = bits
        device = supernet.final.bias.device
        is_rounded = bits == "genotype" and supernet.space.bits != (FLOAT_BITS,)
        self.precision = choose_precision(precision, device, is_quantized=is_rounded)
        is_on_cpu = device.type == "cpu"
        chunk_rows = chunk_rows or (CPU_CHUNK_ROWS if is_on_cpu else DEVICE_CHUNK_ROWS)
        self._predictor: Predictor
        if isinstance(how, FineTune | Scratch):
            self._predictor = Tuning(supernet, dataset, how, rows=rows, chunk_rows=chunk_rows)
        else:
            self._predictor = SharedWeights(
                supernet,
                dataset,
                rows=rows,
                fit=fit if how == "last_layer" else None,
                fit_rows=fit_rows,
                chunk_rows=chunk_rows,
                memory_bytes=memory_bytes,
                dtype=DTYPES[self.precision],
            )
        self._lock = threading.Lock()
        self._numbering = Numbering()
        self._answers: dict[Key, Evaluation] = {}
        self._recent = RecentLogits(RECENT_BYTES)
        self._reference = None if reference is None else self._plan(reference)
        self._reference_losses: npt.NDArray[np.float64] | None = None

    @classmethod
    def load(
        cls,
        path: Path | str,
        dataset: Dataset | None = None,
        *,
        rows: int | None = None,
        fidelity: Fidelity = "supernet",
        last_layer: LastLayer = "newton",
        fit_rows: int | None = None,
        chunk_rows: int | None = None,
        memory_bytes: int = 1 << 30,
        precision: PrecisionChoice = "float32",
        reference: Genotype | None = None,
        bits: RankedBits = "genotype",
    ) -> SupernetOracle:
        """Load an oracle from the folder of a trained supernet.

        Args:
            path: The folder, for example `runs/quickstart/supernet`.
            dataset: What the supernet was trained on, or None to open it from where it was then.
            rows: Number of validation rows; see the class, as for the parameters that follow.
            fidelity: See the class.
            last_layer: See the class.
            fit_rows: See the class.
            chunk_rows: See the class.
            memory_bytes: See the class.
            precision: See the class.
            reference: See the class.
            bits: See the class.

        Returns:
            The oracle.

        Raises:
            StudyError: The folder holds no trained supernet, or the dataset is not the one it was
                trained on.
            DataError: The dataset cannot be opened.
        """
        path = Path(path)
        supernet = Supernet.load(path)
        description = training_data(path)
        if dataset is None:
            dataset = Dataset.open(path / description["path"], **description["view"])
        if dataset.fingerprint != description["fingerprint"]:
            raise StudyError(
                f"{dataset.path}: expected the dataset that {path} was trained on, fingerprint "
                f"{description['fingerprint'][:12]}, got {dataset.fingerprint[:12]}"
            )
        return cls(
            supernet,
            dataset,
            rows=rows,
            fidelity=fidelity,
            last_layer=last_layer,
            fit_rows=fit_rows,
            chunk_rows=chunk_rows,
            memory_bytes=memory_bytes,
            precision=precision,
            reference=reference,
            bits=bits,
        )

    @property
    def num_rows(self) -> int:
        """Validation rows of an answer."""
        return len(self._predictor.labels)

    @property
    def labels(self) -> npt.NDArray[np.float32]:
        """Labels of the validation rows, 0 or 1, `[rows]`."""
        return self._predictor.labels

    @property
    def cached_bytes(self) -> int:
        """Bytes of block outputs kept now."""
        return self._predictor.cached_bytes

    def evaluate(self, genotype: Genotype, *, report: Report | None = None) -> Evaluation:
        """Score one genotype.

        Args:
            genotype: A genotype of the supernet's space.
            report: Called with (step, log loss) on the way, where the fidelity trains, and in the
                same way for a genotype that was answered before. An exception that it raises ends
                the evaluation, and nothing of it is remembered. It must not call this oracle.

        Returns:
            Log loss (nats) with its standard error, and AUC, on the oracle's validation rows.

        Raises:
            GenotypeError: The genotype does not fit the supernet.
        """
        with self._lock:
            plan = self._plan(genotype)
            answer = self._answers.get(plan.key)
            if answer is None:
                self._ask([plan], report)
                return self._answers[plan.key]
        if report:
            for step, value in answer.intermediate:
                report(step, value)
        return answer

    def evaluate_many(
        self, genotypes: Sequence[Genotype], *, progress: Progress | None = None
    ) -> list[Evaluation]:
        """Score several genotypes; equal models and shared blocks are computed once.

        Args:
            genotypes: Genotypes of the supernet's space.
            progress: Called with (done, total).

        Returns:
            An answer for each, in the given order.

        Raises:
            GenotypeError: A genotype does not fit the supernet.
        """
        with self._lock:
            plans = [self._plan(genotype) for genotype in genotypes]
            unknown = {plan.key: plan for plan in plans if plan.key not in self._answers}
            # Sorted by the outputs they consist of, genotypes with a common prefix are neighbours.
            ordered = sorted(
                unknown.values(), key=lambda plan: list(zip(plan.dense, plan.sparse, strict=True))
            )
            done = len(plans) - len(ordered)
            size = self._predictor.group_size
            for start in range(0, len(ordered), size):
                group = ordered[start : start + size]
                self._ask(group, None)
                if progress:
                    progress(done + start + len(group), len(plans))
            if progress and not ordered:
                progress(done, len(plans))
            return [self._answers[plan.key] for plan in plans]

    def compare(self, genotype: Genotype, other: Genotype) -> Difference:
        """Measure how much better a genotype's log loss is than another's on the same rows.

        Args:
            genotype: A genotype of the supernet's space.
            other: The genotype it is compared with.

        Returns:
            The paired difference in nats, below 0 where `genotype` is better, with its standard
            error.

        Raises:
            GenotypeError: A genotype does not fit the supernet.
        """
        with self._lock:
            first, second = (self._losses(self._plan(g)) for g in (genotype, other))
            return difference(first, second)

    def logits(self, genotype: Genotype, begin: Callable[[], WeightReader]) -> Logits:
        """Compute the logits of a model whose weights are read in another way, such as with errors.

        A final layer that the fidelity fits again is fitted to the weights as they are.

        Args:
            genotype: A genotype of the supernet's space.
            begin: Called at the beginning of each pass over some of the rows; gives its reader.

        Returns:
            A logit for each validation row, float32 `[rows]`.

        Raises:
            GenotypeError: The genotype does not fit the supernet.
            StudyError: The fidelity trains subnets, or fits a final layer for each fold.
        """
        if not isinstance(self._predictor, SharedWeights) or self.last_layer == "folds":
            raise StudyError(
                "logits: expected the fidelity supernet or last_layer, with one final layer for "
                f"all rows, got fidelity={self.fidelity!r}, last_layer={self.last_layer!r}"
            )
        with self._lock:
            return self._predictor.predict_read(self._plan(genotype), begin)

    def _plan(self, genotype: Genotype) -> Plan:
        self.supernet.check_genotype(genotype)
        if self.bits == "float":
            genotype = genotype.with_bits(FLOAT_BITS)
        return self._numbering.plan(genotype)

    def _ask(self, plans: Sequence[Plan], report: Report | None) -> None:
        """Score models and remember the answers."""
        labels = self._predictor.labels
        predictions = self._predictor.predict(plans, report)
        for plan, prediction in zip(plans, predictions, strict=True):
            self._recent.put(plan.key, prediction.logits)
            self._answers[plan.key] = replace(
                score(prediction.logits, labels),
                intermediate=prediction.intermediate,
                difference=self._from_reference(log_losses(prediction.logits, labels)),
            )

    def _from_reference(self, losses: npt.NDArray[np.float64]) -> Difference | None:
        if self._reference is None:
            return None
        if self._reference_losses is None:  # asks in turn, and finds its own logits there
            self._reference_losses = self._losses(self._reference)
        return difference(losses, self._reference_losses)

    def _losses(self, plan: Plan) -> npt.NDArray[np.float64]:
        """Log loss of each validation row, `[rows]`."""
        if plan.key not in self._recent:
            self._ask([plan], None)
        return log_losses(self._recent.get(plan.key), self._predictor.labels)
