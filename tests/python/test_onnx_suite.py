"""The node tests of ONNX's backend suite, which the `onnx` package makes, run optimised and as stored.

A case is left out only for something that it shows to be beyond Tercel (an operator, an old opset,
a map or a sparse value, training), and then the session must have said so: a case that Tercel refuses without
such a reason fails. The last lines of the run (pytest -rs) count what was left out.
"""

from __future__ import annotations

import os
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.loader import load_model_tests

REPO = Path(__file__).resolve().parents[2]
TERCEL = Path(os.environ.get("TERCEL_BUILD", REPO / "build")) / "tercel"
OLDEST_OPSET = 7
RTOL, ATOL = 1e-3, 1e-5
RANDOM = {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"}
"""What the suite drew is not what anybody else draws: only types and shapes are compared."""
HALF_ERRORS = {"float16": 2e-3, "bfloat16": 2e-2}
"""The suite rounds to the type after every step, Tercel once: a few units in the last place."""


def load_cases() -> list[TestCase]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the suite overflows on purpose while it makes its data
        return sorted(load_model_tests(kind="node"), key=lambda case: case.name)


@pytest.fixture(scope="module")
def operators() -> set[str]:
    """What Tercel runs; operators of other domains than ONNX's own are "domain.Name"."""
    listing = subprocess.run([TERCEL, "show", "--operators"], check=True, capture_output=True, text=True)
    return set(listing.stdout.split())


def nodes_of(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for subgraph in [attribute.g, *attribute.graphs]:
                yield from nodes_of(subgraph)


def trains(node: onnx.NodeProto) -> bool:
    mode = any(attribute.name == "training_mode" and attribute.i == 1 for attribute in node.attribute)
    return mode or (node.op_type == "Dropout" and len(node.input) == 3 and node.input[2] != "")


def beyond(model: onnx.ModelProto, operators: set[str]) -> tuple[str, str] | None:
    """Why Tercel may refuse the model: what kind of reason, and the name of what it lacks."""
    for opset in model.opset_import:
        if opset.domain == "" and opset.version < OLDEST_OPSET:
            return "an old opset", str(opset.version)
    nodes = list(nodes_of(model.graph))
    for node in nodes:
        name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
        if name not in operators:
            return "an operator", name
    for value in [*model.graph.input, *model.graph.output]:
        kind = value.type.WhichOneof("value")
        if kind not in ("tensor_type", "sequence_type", "optional_type"):
            return "a value that is no tensor", kind.removesuffix("_type")
    for node in nodes:
        if trains(node):
            return "training", node.op_type
    return None


def to_value(value: object) -> object:
    """An array; a list of them for a sequence; None for an optional value that is missing."""
    if isinstance(value, list):
        return [to_value(item) for item in value]
    if value is None:
        return None
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def check_value(name: str, got: object, expected: object, rtol: float, atol: float) -> None:
    """Types and shapes alone where the tolerance is infinite."""
    if expected is None:
        assert got is None, name
        return
    if isinstance(expected, list):
        assert len(got) == len(expected), name
        for item, other in zip(got, expected):
            check_value(name, item, other, rtol, atol)
        return
    assert got.shape == expected.shape, name
    if expected.dtype.kind in "OSUT":
        assert got.astype(str).tolist() == expected.astype(str).tolist(), name
        return
    assert got.dtype == expected.dtype, name
    if np.isinf(rtol):
        return
    if expected.dtype.kind in "biu":
        np.testing.assert_array_equal(got, expected, name)
        return
    half = HALF_ERRORS.get(expected.dtype.name, 0)
    got, expected = got.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_allclose(got, expected, max(rtol, half), max(atol, half), err_msg=name)


def check_info(info: tercel.TensorInfo, got: np.ndarray) -> None:
    """What the session says of an output before it runs holds after."""
    if info.shape is None:
        return
    assert len(info.shape) == got.ndim, info
    assert all(isinstance(dim, str) or dim == size for dim, size in zip(info.shape, got.shape)), info


def run_case(case: TestCase, path: Path, optimize: bool) -> None:
    session = tercel.Session(path, threads=1, optimize=optimize)
    names = [value.name for value in case.model.graph.input]
    drawn = any(node.op_type in RANDOM for node in nodes_of(case.model.graph))
    rtol, atol = (np.inf, np.inf) if drawn else (max(case.rtol, RTOL), max(case.atol, ATOL))
    for inputs, outputs in case.data_sets:
        # An optional input that is left out is None; where it is one at all, the session has to say so.
        given = {name: to_value(value) for name, value in zip(names, inputs) if value is not None}
        results = session.run(given)
        for info, value in zip(session.outputs, outputs):
            check_info(info, results[info.name])
            check_value(info.name, results[info.name], to_value(value), rtol, atol)


@pytest.mark.parametrize("case", load_cases(), ids=lambda case: case.name)
def test_node(case: TestCase, tmp_path: Path, operators: set[str]) -> None:
    path = tmp_path / "model.onnx"
    onnx.save(case.model, path)
    reason = beyond(case.model, operators)
    refused: list[Exception] = []
    for optimize in (True, False):
        try:
            run_case(case, path, optimize)
        except tercel.errors.UnsupportedError as error:
            if reason is None:
                raise
            refused.append(error)
        except AssertionError as error:
            if reason is None or reason[0] != "training":
                raise
            refused.append(error)
    if refused:
        assert len(refused) == 2, "refused in one mode only"
        kind, name = reason
        pytest.skip(f"ONNX suite, for {kind}: {name}")
