"""The products of 8 bits of an ONNX graph in kernels of int8: ONNX Runtime's own quantisation.

Ranges of activations are taken once from training rows, so that an answer does not depend on the
other rows of a batch.
"""

from __future__ import annotations

import copy
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nasrec_opt.data import Inputs
from nasrec_opt.errors import MissingExtraError, StudyError
from nasrec_opt.retrain import Ensemble
from nasrec_opt.space import FLOAT_BITS, BlockGene, Genotype, live_bits
from nasrec_opt.supernet import Subnet

PRODUCTS = ("MatMul", "Gemm")
SHAPES = ("Transpose", "Reshape", "Concat", "Unsqueeze", "Squeeze", "Identity", "Cast")
STEP_ROWS = 512  # of the calibration


def without_eight_bits(model: Subnet | Ensemble) -> Subnet | Ensemble:
    """Copy a model, and leave the rounding to 8 bits out: the kernels of int8 do it.

    Args:
        model: The model.

    Returns:
        The same weights; operators of fewer bits round their values as before.

    Raises:
        StudyError: No operator has 8 bits, or some have 8 bits and others none.
    """
    found = copy.deepcopy(model)
    for member in found.members if isinstance(found, Ensemble) else [found]:
        assert isinstance(member, Subnet)
        bits = live_bits(member.genotype)
        if 8 not in bits or FLOAT_BITS in bits:
            had = ", ".join(sorted(map(str, bits)))
            raise StudyError(
                f"int8: expected a model with products of 8 bits and none in floating point, got "
                f"one whose bits are {had}"
            )
        member.genotype = _in_floats(member.genotype)
        member.check_genotype(member.genotype)
    return found


def quantize(graph: Path, out: Path, rows: Inputs) -> tuple[int, int]:
    """Write a graph whose products of unrounded values with weights are those of int8.

    Args:
        graph: The graph of a model `without_eight_bits`.
        out: The file to write.
        rows: Encoded rows, from which the ranges of activations are taken.

    Returns:
        Number of products of int8, and of all products with weights.

    Raises:
        MissingExtraError: ONNX Runtime is not installed.
    """
    try:
        import onnx
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise MissingExtraError("ONNX Runtime", "onnx") from error
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
        products, others = _products(onnx.load(prepared, load_external_data=False).graph)
        quantization.quantize_static(
            str(prepared),
            str(out),
            _reader(quantization.CalibrationDataReader, rows),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            weight_type=quantization.QuantType.QInt8,
            activation_type=quantization.QuantType.QUInt8,
            nodes_to_quantize=products,
        )
    return len(products), len(products) + others


def _in_floats(genotype: Genotype) -> Genotype:
    def floats(gene: BlockGene) -> BlockGene:
        return replace(
            gene,
            dense_bits=FLOAT_BITS if gene.dense_bits == 8 else gene.dense_bits,
            sparse_bits=FLOAT_BITS if gene.sparse_bits == 8 else gene.sparse_bits,
        )

    return replace(genotype, blocks=tuple(map(floats, genotype.blocks)))


def _products(graph: Any) -> tuple[list[str], int]:
    """Names of products of a weight matrix with unrounded values, and the number of others."""
    weights = {weight.name: len(weight.dims) for weight in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    names, others = [], 0
    for node in graph.node:
        if node.op_type in PRODUCTS and weights.get(node.input[1]) == 2:
            if _is_rounded(node.input[0], makers):
                others += 1
            else:
                names.append(node.name)
    return names, others


def _is_rounded(value: str, makers: dict[str, Any]) -> bool:
    """Whether a value comes from a rounding, through nothing but changes of shape."""
    node = makers.get(value)
    if node is None:
        return False
    if node.op_type in SHAPES:
        return any(_is_rounded(name, makers) for name in node.input)
    sources = [makers[name].op_type for name in node.input if name in makers]
    return node.op_type == "Mul" and "Round" in sources


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's remarks on itself, which go to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _reader(base: Any, rows: Inputs) -> Any:
    class Reader(base):  # type: ignore[misc] # a class of ONNX Runtime, which has no types
        """Yields the rows in steps."""

        def __init__(self) -> None:
            self.steps = _steps(rows)

        def get_next(self) -> dict[str, npt.NDArray[Any]] | None:
            return next(self.steps, None)

    return Reader()


def _steps(rows: Inputs) -> Iterator[dict[str, npt.NDArray[Any]]]:
    for start in range(0, len(rows.dense), STEP_ROWS):
        step = slice(start, start + STEP_ROWS)
        yield {"dense": rows.dense[step], "sparse": rows.sparse[step].astype(np.int32)}
