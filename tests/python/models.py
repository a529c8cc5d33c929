"""Small ONNX models for tests, and two ways to run them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import tercel
from onnx import helper, numpy_helper

onnxruntime.set_default_logger_severity(4)


def make(nodes, inputs, outputs, constants=(), opset=28, ir_version=10, functions=()) -> onnx.ModelProto:
    """inputs and outputs: (name, element type, shape), or a ValueInfoProto."""

    def info(entry):
        return helper.make_tensor_value_info(*entry) if isinstance(entry, tuple) else entry

    graph = helper.make_graph(
        nodes,
        "graph",
        [info(entry) for entry in inputs],
        [info(entry) for entry in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    domains = sorted({function.domain for function in functions})
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=ir_version, functions=list(functions))


def ours(model: onnx.ModelProto, feeds: Mapping[str, Any], folder: Path, **options: Any) -> list:
    path = folder / "model.onnx"
    onnx.save(model, path)
    session = tercel.Session(path, threads=1, **options)
    results = session.run(feeds)
    return [results[output.name] for output in session.outputs]


def onnx_runtime(model: onnx.ModelProto, feeds: Mapping[str, Any], optimize: bool = True) -> list:
    options = onnxruntime.SessionOptions()
    if not optimize:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, dict(feeds))


def assert_same(got: Sequence, expected: Sequence, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    assert len(got) == len(expected)
    for a, b in zip(got, expected):
        if isinstance(b, list):
            assert isinstance(a, list)
            assert_same(a, b, rtol, atol)
        elif b is None:
            assert a is None
        else:
            b = np.asarray(b)
            assert a.shape == b.shape
            if b.dtype.kind in "OSUT":
                assert a.astype(str).tolist() == b.astype(str).tolist()
            else:
                assert a.dtype == b.dtype
                np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64), rtol, atol)
