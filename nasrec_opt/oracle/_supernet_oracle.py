"""The oracle that scores genotypes with a trained supernet."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nasrec_opt.data import Dataset
from nasrec_opt.errors import StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.options import OracleOptions, Racing, check_ranked_bits
from nasrec_opt.oracle._checks import check_features, rows_of, training_data
from nasrec_opt.oracle._metrics import difference, log_losses, score
from nasrec_opt.oracle._plan import Key, Numbering, Plan
from nasrec_opt.oracle._prediction import Logits, Predictor, RecentLogits
from nasrec_opt.oracle._protocol import Difference, Evaluation, Oracle, Progress, Report
from nasrec_opt.oracle._race import Race
from nasrec_opt.oracle._settled import settled
from nasrec_opt.oracle._shared_weights import SharedWeights
from nasrec_opt.oracle._tuning import Tuning
from nasrec_opt.space import FLOAT_BITS, Genotype
from nasrec_opt.supernet import Supernet, WeightReader, choose_precision, full_supernet

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CPU_CHUNK_ROWS = 1024  # so that outputs of a block fit into the second-level cache
DEVICE_CHUNK_ROWS = 16_384
MEMORY_BYTES = 1 << 30  # of embeddings and block outputs kept
RECENT_BYTES = 1 << 25  # of logits kept for comparisons: 41 genotypes on 200,000 rows


class SupernetOracle(Oracle):
    """Scores subnets by log loss and AUC on validation rows.

    Answers do not depend on earlier queries: caches hold exactly what would be computed. With
    `rows=Racing()`, `race` scores on as many rows as decide, and everything else on all. The
    supernet's weights must not change afterwards. Safe to call from several threads.

    Args:
        supernet: The trained supernet; the oracle computes on its device.
        dataset: The log. Its validation rows are scored; its training rows are used where something
            is trained or fitted.
        options: How models are scored, or None for the defaults. The attribute `precision` holds
            what `auto` comes to.
        reference: A model that every answer is compared with, in `Evaluation.difference`.
        chunk_rows: Rows computed at a time, or None for as many as suit the device.
        memory_bytes: Maximum number of bytes of embeddings and block outputs kept.

    Raises:
        StudyError: `chunk_rows` or `memory_bytes` is out of range, the supernet reads other
            features, or `bits` is `float` for a space that has other bits than 8.
        GenotypeError: The reference does not fit the supernet.

    Example:
        >>> import numpy as np
        >>> options = OracleOptions(rows=500)
        >>> oracle = SupernetOracle.load("runs/quickstart/supernet", options=options)
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
        options: OracleOptions | None = None,
        *,
        reference: Genotype | None = None,
        chunk_rows: int | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        options = options or OracleOptions()
        check_ranked_bits(options.bits, supernet.space)
        if chunk_rows is not None and chunk_rows < 1:
            raise StudyError(f"chunk_rows: expected 1 or more, got {chunk_rows}")
        if memory_bytes < 0:
            raise StudyError(f"memory_bytes: expected 0 or more, got {memory_bytes}")
        check_features(dataset, supernet.features)
        self.supernet = supernet.eval()
        self.features = supernet.features
        self.balance = supernet.balance
        self.max_table_rows = supernet.max_table_rows
        self.data_fingerprint = dataset.fingerprint
        self.scored_bits = options.bits
        self.options = options
        device = supernet.final.bias.device
        is_rounded = options.bits == "genotype" and supernet.space.bits != (FLOAT_BITS,)
        self.precision = choose_precision(options.precision, device, is_quantized=is_rounded)
        is_on_cpu = device.type == "cpu"
        chunk_rows = chunk_rows or (CPU_CHUNK_ROWS if is_on_cpu else DEVICE_CHUNK_ROWS)
        self._predictor: Predictor
        how = options.trained()
        if how is not None:
            [rows] = self._looks(dataset)
            self._predictor = Tuning(supernet, dataset, how, rows=rows, chunk_rows=chunk_rows)
        else:
            self._predictor = SharedWeights(
                supernet,
                dataset,
                looks=self._looks(dataset),
                fit=options.fitted() if options.fidelity == "last_layer" else None,
                fit_rows=options.fit_rows,
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
        self._race: Race | None = None
        self._raced: dict[Key, Evaluation] = {}  # the longest race of each model

    def __getstate__(self) -> dict[str, Any]:
        if self.racing is not None:
            with self._lock:
                self._begun_race()  # once for all workers: it takes a query on all rows
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    @classmethod
    def load(
        cls,
        path: Path | str,
        dataset: Dataset | None = None,
        options: OracleOptions | None = None,
        *,
        reference: Genotype | None = None,
        chunk_rows: int | None = None,
        memory_bytes: int = MEMORY_BYTES,
    ) -> SupernetOracle:
        """Load an oracle from the folder of a trained supernet.

        Args:
            path: The folder, for example `runs/quickstart/supernet`.
            dataset: What the supernet was trained on, or None to open it from where it was then.
            options: See the class, as for the parameters that follow.
            reference: See the class.
            chunk_rows: See the class.
            memory_bytes: See the class.

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
            options,
            reference=reference,
            chunk_rows=chunk_rows,
            memory_bytes=memory_bytes,
        )

    @property
    def num_rows(self) -> int:
        """Validation rows of an answer."""
        return len(self._predictor.labels)

    @property
    def racing(self) -> Racing | None:
        """The race, or None where all answers are on the same rows."""
        return self.options.racing

    @property
    def labels(self) -> npt.NDArray[np.float32]:
        """Labels of the validation rows, 0 or 1, `[rows]`."""
        return self._predictor.labels

    @property
    def row_weights(self) -> npt.NDArray[np.float32] | None:
        """Weights of the validation rows, `[rows]`, or None where each counts once."""
        return self._predictor.row_weights

    @property
    def cached_bytes(self) -> int:
        """Bytes of block outputs kept now."""
        return self._predictor.cached_bytes

    def evaluate(self, genotype: Genotype, *, report: Report | None = None) -> Evaluation:
        """Score one genotype.

        Args:
            genotype: A genotype of the supernet's space.
            report: Called with intermediate (step, log loss), if the fidelity trains; also for a
                genotype that was answered before. An exception that it raises ends the evaluation,
                and the answer is not remembered. It must not call this oracle.

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

    def race(self, genotype: Genotype, below: float) -> Evaluation:
        """Score a genotype on as many rows as show whether its log loss is below a value.

        All genotypes are looked at on the same rows, n of all N. With l(i) and r(i) for the log
        losses of the genotype and of a reference on row i, the estimate is the reference's log loss
        on all rows plus the paired difference on those seen (a control variate):

            log_loss    = mean over N of r + mean over n of d,  d(i) = l(i) - r(i)
            log_loss_se = sqrt((1 - n / N) * variance over n of d / n)

        So answers on different numbers of rows compare, and the error is a paired one. Rows are
        added until `racing.lower_bound` is above the value, or all are seen: then the log loss is
        the mean of l, and the error 0. The reference is that of the oracle, or else the largest
        genotype of the supernet. With weights of rows, means and variance are weighted.

        Args:
            genotype: A genotype of the supernet's space.
            below: The value, nats; infinite for an answer on all rows.

        Returns:
            The answer of the last look, with the earlier ones in `looks`; its AUC is that on the
            rows seen.

        Raises:
            GenotypeError: The genotype does not fit the supernet.
            StudyError: The options have a number of rows instead of a race.

        References:
            Cochran 1977, Sampling Techniques, section 7.1: the difference estimator.
        """
        racing = self.racing
        if racing is None:
            raise StudyError(f"race: expected options with rows=Racing(), got {self.options.rows}")
        with self._lock:
            plan = self._plan(genotype)
            known = self._raced.get(plan.key)
            answer = known and settled(known, racing, self.num_rows, below)
            if answer is None:
                for look in self._begun_race().looks(plan):
                    answer = settled(look, racing, self.num_rows, below)
                    if answer is not None:
                        break
                assert answer is not None  # the last look is on all rows
                self._raced[plan.key] = answer
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
            # Sorted by the numbers of their outputs, genotypes with a common prefix are neighbours.
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
            return difference(first, second, self.row_weights)

    def logits(self, genotype: Genotype, begin: Callable[[], WeightReader]) -> Logits:
        """Compute the logits of a model with another reader of weights, such as a noisy one.

        A final layer that the fidelity fits again is fitted to the weights as they are.

        Args:
            genotype: A genotype of the supernet's space.
            begin: Called at the beginning of each pass over some of the rows; returns its reader.

        Returns:
            A logit for each validation row, float32 `[rows]`.

        Raises:
            GenotypeError: The genotype does not fit the supernet.
            StudyError: The fidelity trains subnets, or fits a final layer for each fold.
        """
        how = self.options
        has_folds = how.fidelity == "last_layer" and how.last_layer == "folds"
        if not isinstance(self._predictor, SharedWeights) or has_folds:
            raise StudyError(
                "logits: expected the fidelity supernet or last_layer, with one final layer for "
                f"all rows, got fidelity={how.fidelity!r}, last_layer={how.last_layer!r}"
            )
        with self._lock:
            return self._predictor.predict_read(self._plan(genotype), begin)

    def _looks(self, dataset: Dataset) -> tuple[int, ...]:
        """Numbers of validation rows, as `SharedWeights` takes them."""
        num_rows, rows = rows_of(dataset, "validation").num_rows, self.options.rows
        if isinstance(rows, int):
            return (min(rows, num_rows),)
        return (num_rows,) if self.racing is None else self.racing.looks(num_rows)

    def _begun_race(self) -> Race:
        if self._race is None:
            assert isinstance(self._predictor, SharedWeights)  # as the options require
            reference = self._reference or self._plan(full_supernet(self.supernet.space))
            is_stated = self._reference is not None
            self._race = Race(self._predictor, self._losses(reference), is_stated=is_stated)
        return self._race

    def _plan(self, genotype: Genotype) -> Plan:
        self.supernet.check_genotype(genotype)
        if self.options.bits == "float":
            genotype = genotype.with_bits(FLOAT_BITS)
        return self._numbering.plan(genotype)

    def _ask(self, plans: Sequence[Plan], report: Report | None) -> None:
        """Score models and remember the answers."""
        labels, weights = self._predictor.labels, self._predictor.row_weights
        predictions = self._predictor.predict(plans, report)
        for plan, prediction in zip(plans, predictions, strict=True):
            self._recent.put(plan.key, prediction.logits)
            self._answers[plan.key] = replace(
                score(prediction.logits, labels, weights),
                intermediate=prediction.intermediate,
                difference=self._from_reference(log_losses(prediction.logits, labels)),
            )

    def _from_reference(self, losses: npt.NDArray[np.float64]) -> Difference | None:
        if self._reference is None:
            return None
        if self._reference_losses is None:  # asks in turn, and finds its own logits there
            self._reference_losses = self._losses(self._reference)
        return difference(losses, self._reference_losses, self.row_weights)

    def _losses(self, plan: Plan) -> npt.NDArray[np.float64]:
        """Log loss of each validation row, `[rows]`."""
        if plan.key not in self._recent:
            self._ask([plan], None)
        return log_losses(self._recent.get(plan.key), self._predictor.labels)
