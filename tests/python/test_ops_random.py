"""Operators on random shapes, empty and odd ones among them, in Tercel and in ONNX Runtime.

The cases are in op_cases, a module a family. Each test prints its seed when it fails; TERCEL_SEED repeats a run,
TERCEL_CASES makes it longer.
"""

from __future__ import annotations

import os
import random
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tercel
from onnx import helper, numpy_helper
from op_cases import elementwise, images, networks, quantized, recurrent, signals, strings, tensors
from op_cases.dice import Call, Dice

SEED = int(os.environ.get("TERCEL_SEED", random.SystemRandom().randrange(1 << 31)))
CASES = int(os.environ.get("TERCEL_CASES", "10"))
OPSETS = (18, 20, 21)
FAMILIES = (elementwise, tensors, networks, images, quantized, recurrent, signals, strings)
OPERATORS = {op: case for family in FAMILIES for op, case in family.CASES.items()}


def element_type(value: np.ndarray) -> int:
    return helper.np_dtype_to_tensor_dtype(value.dtype)


def build(call: Call, dice: Dice) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The node between two Identity nodes, some inputs constant, with fixed, symbolic or unknown dimensions."""
    constants, inputs, feeds, names = [], [], {}, []
    for index, value in enumerate(call.inputs):
        name = f"x{index}" if value is not None else ""
        names.append(name)
        if value is None:
            continue
        value = np.asarray(value)
        if index in call.constants or (index > 0 and dice.chance(0.5)):
            constants.append(numpy_helper.from_array(value, name))
            continue
        symbolic = dice.chance(0.5)
        dims = [f"{name}_{axis}" if symbolic else size for axis, size in enumerate(value.shape)]
        inputs.append(helper.make_tensor_value_info(name, element_type(value), dims))
        feeds[name] = value
    while names[-1] == "":
        names.pop()
    results = [f"r{index}" for index in range(call.outputs)]
    outputs = [helper.make_empty_tensor_value_info(f"y{index}") for index in range(call.outputs)]
    nodes = [helper.make_node(call.op, names, results, **call.attributes)]
    nodes += [helper.make_node("Identity", [f"r{index}"], [f"y{index}"]) for index in range(call.outputs)]
    graph = helper.make_graph(nodes, "random", inputs, outputs, constants)
    opset = call.opset or dice.pick(OPSETS)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    # ONNX Runtime wants the types of outputs; the ranks are left to both.
    for info, output in zip(graph.output, onnx.shape_inference.infer_shapes(model).graph.output):
        info.CopyFrom(output)
        info.type.tensor_type.ClearField("shape")
        if not info.type.tensor_type.elem_type:  # onnx infers nothing for some
            info.type.tensor_type.elem_type = element_type(call.inputs[0])
    model.graph.CopyFrom(graph)
    return model, feeds


def reference(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """ONNX Runtime's results; nothing when it has no kernel for the element type."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        return None
    return session.run(None, feeds)


def check(got: np.ndarray, expected: np.ndarray, apart: int = 0) -> None:
    """`apart`: by so much integers may differ."""
    if expected.dtype.kind == "O":
        assert (got.shape, got.astype(str).tolist()) == (expected.shape, expected.astype(str).tolist())
        return
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    if apart:
        assert np.abs(got.astype(np.int64) - expected).max(initial=0) <= apart
    elif expected.dtype.kind in "biu":
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, 2e-4, 2e-5)


@pytest.mark.parametrize("op", OPERATORS)
def test_as_onnx_runtime(op: str, tmp_path: Path) -> None:
    compared = 0
    for number in range(CASES):
        dice = Dice(SEED + number)
        call = OPERATORS[op](dice)
        model, feeds = build(call, dice)
        expected = reference(model, feeds)
        if expected is None:
            continue
        onnx.save(model, tmp_path / "model.onnx")
        text = onnx.printer.to_text(model)
        for optimize in (True, False):
            try:
                session = tercel.Session(tmp_path / "model.onnx", threads=2, optimize=optimize)
                got = session.run(feeds)
                for index, value in enumerate(expected):
                    check(got[f"y{index}"], value, apart=int(optimize and op in quantized.ROUNDED))
            except (AssertionError, tercel.Error) as error:
                shapes = [None if value is None else value.shape for value in call.inputs]
                pytest.fail(
                    f"TERCEL_SEED={SEED}, case {number}, optimize={optimize}, inputs {shapes}:\n{text}\n{error}"
                )
        compared += 1
    assert compared > 0, f"ONNX Runtime refused every case of seed {SEED}"
