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
from nasrec_opt.options import OracleOptions, check_ranked_bits
from nasrec_opt.oracle._checks import check_features, training_data
from nasrec_opt.oracle._metrics import difference, log_losses, score
from nasrec_opt.oracle._plan import Key, Numbering, Plan
from nasrec_opt.oracle._prediction import Logits, Predictor, RecentLogits
from nasrec_opt.oracle._protocol import Difference, Evaluation, Oracle, Progress, Report
from nasrec_opt.oracle._shared_weights import SharedWeights
from nasrec_opt.oracle._tuning import Tuning
from nasrec_opt.space import FLOAT_BITS, Genotype
from nasrec_opt.supernet import Supernet, WeightReader, choose_precision

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CPU_CHUNK_ROWS = 1024  # so that outputs of a block fit into the second-level cache
DEVICE_CHUNK_ROWS = 16_384
MEMORY_BYTES = 1 << 30  # of embeddings and block outputs kept
RECENT_BYTES = 1 << 25  # of logits kept for comparisons: 41 genotypes on 200,000 rows


class SupernetOracle(Oracle):
    """Scores subnets by log loss and AUC on validation rows.

    Answers do not depend on earlier queries: caches hold exactly what would be computed. The
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
            self._predictor = Tuning(
                supernet, dataset, how, rows=options.rows, chunk_rows=chunk_rows
            )
        else:
            self._predictor = SharedWeights(
                supernet,
                dataset,
                rows=options.rows,
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

    def __getstate__(self) -> dict[str, Any]:
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
