"""An exported model in ONNX Runtime, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt

from nasrec_opt.data import Preprocessor
from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.features import FeatureSpec
from nasrec_opt.serving._base import RowPredictor
from nasrec_opt.serving._bundle import Bundle


class OnnxPredictor(RowPredictor):
    """Click probabilities of raw rows, computed by ONNX Runtime; torch is never imported.

    Args:
        preprocessor: Reads rows as the log of the model was read.
        session: An `onnxruntime.InferenceSession` of the graph.
        features: The shape of the graph's inputs.

    Raises:
        StudyError: The model reads other columns or vocabularies than the preprocessor makes.

    Example:
        What `nasrec-opt export RUN --format onnx --out ctr-onnx` wrote::

            predictor = OnnxPredictor.load("ctr-onnx")
            predictor.predict({"I1": 5, "I2": None, ..., "C26": "2bf691b1"})
    """

    def __init__(self, preprocessor: Preprocessor, session: Any, features: FeatureSpec) -> None:
        super().__init__(preprocessor, features)
        self.session = session

    @classmethod
    def load(
        cls,
        folder: Path | str,
        *,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        thread_count: int | None = None,
    ) -> Self:
        """Load a model that was exported as ONNX.

        Args:
            folder: The folder that `export` wrote.
            providers: Execution providers of ONNX Runtime, the preferred one first.
            thread_count: Threads of one prediction, or None for all cores.

        Returns:
            The predictor.

        Raises:
            StudyError: The folder holds no such model, or a damaged one.
            DataError: The part that says how rows are read is damaged.
            MissingExtraError: ONNX Runtime is not installed.
        """
        try:
            import onnxruntime
        except ImportError as error:
            raise MissingExtraError("ONNX Runtime", "onnx") from error
        bundle = Bundle.read(Path(folder), "onnx")
        preprocessor = bundle.preprocessor()
        settings = onnxruntime.SessionOptions()
        if thread_count is not None:
            settings.intra_op_num_threads = thread_count
        try:
            session = onnxruntime.InferenceSession(
                str(bundle.graph), settings, providers=list(providers)
            )
        except Exception as error:  # the classes of its errors have no other root
            reason = str(error).strip().partition("\n")[0]
            raise StudyError(f"{bundle.graph}: expected a graph in ONNX, got: {reason}") from error
        return cls(preprocessor, session, bundle.features)

    def _chunk_logits(
        self, dense: npt.NDArray[np.float32], sparse: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        [found] = self.session.run(["logit"], {"dense": dense, "sparse": sparse})
        return cast("npt.NDArray[np.float32]", found)
