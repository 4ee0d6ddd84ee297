"""A measured cost model: ONNX Runtime on the processor at hand.

This is an example of a user's own `CostModel`. Each operation of a workload becomes an ONNX graph
with its shapes, which is run and timed. Times add up along the critical path, as in every other
model. Effects between neighbouring operations, such as caches and fusions, are not measured.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from hw import (
    ComponentCost,
    Cost,
    DescriptionError,
    Digital,
    Lookup,
    MatrixVector,
    Operation,
    OperatorCost,
    Workload,
    critical_path,
)
from nasrec_opt.errors import MissingExtraError
from nasrec_opt.space import FLOAT_BITS

__all__ = ["OnnxRuntimeCPU"]

FloatArray = npt.NDArray[np.float32]
WARM_UP = 3  # runs before time is taken: the first allocate
MOST_ROWS = 1 << 18  # of a table that rows are gathered from: more than caches hold at 16 values


@dataclass(frozen=True, slots=True)
class OnnxRuntimeCPU:
    """ONNX Runtime on this processor, in fp32, one operation at a time.

    It measures floating point, so it refuses products of integers: give the model `bits = 32`.

    Latency is the median of `repeats` runs of a batch; every shape is measured once. Energy is that
    time at `watts`, which is a figure and not a measurement. Area and leakage of a bought processor
    are 0.

    Args:
        batch: Samples that run together; costs are those of one of them.
        threads: Threads of an operation.
        repeats: Number of runs; their median counts.
        watts: Power while the processor works, W. A core of a Xeon Gold 6254 has 200 W / 18.

    Raises:
        DescriptionError: An option is out of range.

    Example:
        >>> from hw import Workload
        >>> product = MatrixVector(
        ...     name="fc", operator="fc", inputs=64, outputs=16, weight_bits=32, activation_bits=32
        ... )
        >>> OnnxRuntimeCPU(repeats=3).cost(Workload((product,))).latency_ns > 0
        True
    """

    batch: int = 1
    threads: int = 1
    repeats: int = 21
    watts: float = 11.1
    _known: dict[Any, float] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("batch", "threads", "repeats"):
            if getattr(self, name) < 1:
                raise DescriptionError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if not 0 <= self.watts < float("inf"):
            raise DescriptionError(f"watts: expected a number from 0, got {self.watts}")

    def cost(self, workload: Workload) -> Cost:
        """Measure the cost of one sample.

        Args:
            workload: The operations of one sample.

        Returns:
            Latency in ns and energy in pJ, with a breakdown by operation.

        Raises:
            DescriptionError: A product is in integers.
            MissingExtraError: ONNX or ONNX Runtime is not installed.
        """
        for operation in workload.operations:
            if isinstance(operation, MatrixVector):
                _require_floats(operation)
        latency_ns = {o.name: self._latency_ns(o) for o in workload.operations}
        path = critical_path(workload.operations, latency_ns)
        parts = []
        for operation in workload.operations:
            spent_ns = latency_ns[operation.name]
            energy_pj = spent_ns * self.watts * 1e3  # W x ns = nJ -> pJ
            on_path_ns = spent_ns if operation.name in path else 0.0
            component = ComponentCost("processor", on_path_ns, energy_pj, 0.0)
            part = OperatorCost(
                name=operation.name,
                operator=operation.operator,
                latency_ns=on_path_ns,
                energy_pj=energy_pj,
                area_mm2=0.0,
                components=(component,),
            )
            parts.append(part)
        return Cost.of(parts, leakage_mw=0.0)

    def _latency_ns(self, operation: Operation) -> float:
        """Latency of one sample, measured if the shape is new."""
        shape = _shape(operation)
        if shape not in self._known:
            self._known[shape] = self._measure(*_graph(operation, self.batch)) / self.batch
        return self._known[shape]

    def _measure(self, model: bytes, feeds: dict[str, Any]) -> float:
        runtime = _packages()[1]
        options = runtime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        session = runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        times = []
        for number in range(WARM_UP + self.repeats):
            started = time.perf_counter_ns()
            session.run(None, feeds)
            if number >= WARM_UP:
                times.append(time.perf_counter_ns() - started)
        return float(np.median(times))


def _require_floats(product: MatrixVector) -> None:
    bits = min(product.weight_bits, product.activation_bits)
    if bits != FLOAT_BITS:
        raise DescriptionError(
            f"{product.name}: expected a model in floating point (bits = {FLOAT_BITS}), since fp32 "
            f"is what is measured, got {bits} bits"
        )


def _shape(operation: Operation) -> tuple[Any, ...]:
    """The fields of an operation that decide its time; all are fp32."""
    if isinstance(operation, MatrixVector):
        return ("product", operation.inputs, operation.outputs, operation.repeats)
    if isinstance(operation, Lookup):
        return ("lookup", operation.vectors, operation.dim, _table_rows(operation))
    return ("digital", operation.macs, operation.additions, operation.special_functions)


def _table_rows(lookup: Lookup) -> int:
    return min(max(lookup.table_rows, lookup.vectors), MOST_ROWS)


def _graph(operation: Operation, batch: int) -> tuple[bytes, dict[str, Any]]:
    """An ONNX model of an operation for a batch, and its inputs."""
    rng = np.random.default_rng(0)
    if isinstance(operation, MatrixVector):
        weights = rng.standard_normal((operation.inputs, operation.outputs), dtype=np.float32)
        vectors = rng.standard_normal((batch * operation.repeats, operation.inputs))
        nodes = [("MatMul", ["given", "weights"], "made")]
        return _model(nodes, {"weights": weights}, {"given": vectors.astype(np.float32)})
    if isinstance(operation, Lookup):
        rows = _table_rows(operation)
        table = rng.standard_normal((rows, operation.dim), dtype=np.float32)
        ids = rng.integers(0, rows, (batch, operation.vectors))
        return _model([("Gather", ["table", "given"], "made")], {"table": table}, {"given": ids})
    return _digital_graph(operation, batch)


def _digital_graph(operation: Digital, batch: int) -> tuple[bytes, dict[str, Any]]:
    """Element-wise products, additions and sigmoids, as many as the operation has."""
    rng = np.random.default_rng(0)
    kinds = (
        ("Mul", operation.macs),
        ("Add", operation.additions),
        ("Sigmoid", operation.special_functions),
    )
    nodes, feeds = [], {}
    for kind, count in kinds:
        if count:
            feeds[kind] = rng.standard_normal((batch, count), dtype=np.float32)
            operands = [kind] if kind == "Sigmoid" else [kind, kind]
            nodes.append((kind, operands, f"{kind}_made"))
    if not nodes:  # work that counts for nothing is still a call
        feeds["none"] = np.zeros((batch, 1), dtype=np.float32)
        nodes.append(("Identity", ["none"], "made"))
    return _model(nodes, {}, feeds)


def _model(
    nodes: list[tuple[str, list[str], str]], weights: dict[str, Any], feeds: dict[str, Any]
) -> tuple[bytes, dict[str, Any]]:
    onnx = _packages()[0]
    helper, proto = onnx.helper, onnx.TensorProto
    kinds = {np.dtype(np.float32): proto.FLOAT, np.dtype(np.int64): proto.INT64}
    inputs = [
        helper.make_tensor_value_info(name, kinds[value.dtype], value.shape)
        for name, value in feeds.items()
    ]
    outputs = [helper.make_tensor_value_info(made, proto.FLOAT, None) for _, _, made in nodes]
    graph = helper.make_graph(
        [helper.make_node(kind, operands, [made]) for kind, operands, made in nodes],
        "operation",
        inputs,
        outputs,
        [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    # Old enough for any ONNX Runtime of the last years.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString(), feeds


@lru_cache
def _packages() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("ONNX Runtime", "onnx") from error
    return onnx, onnxruntime
