"""Operators whose small inputs name a result of 10^12 elements: refused at the memory cap, before anything is made."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto, helper, numpy_helper

HUGE = 10**12
CAP = 64 << 20
SECONDS = 1.0


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*shape: int) -> np.ndarray:
    return np.ones(shape, np.float32)


def scalar(value: float, dtype=np.int64) -> np.ndarray:
    return np.array(value, dtype)


# The operator, its inputs, and its attributes.
BOMBS = [
    ("AffineGrid", [floats(1, 2, 3), ints(1, 1, 10**6, 10**6)], {}),
    ("CenterCropPad", [floats(1), ints(HUGE)], {}),
    ("Col2Im", [floats(1, 1, 1), ints(HUGE, 1), ints(1, 1)], {"strides": [HUGE, 1]}),
    ("ConstantOfShape", [ints(HUGE)], {}),
    ("Conv", [floats(1, 1, 1), floats(1, 1, 1)], {"pads": [HUGE, HUGE]}),
    ("ConvTranspose", [floats(1, 1, 2), floats(1, 1, 1)], {"strides": [HUGE]}),
    ("DFT", [floats(1, 2, 1), scalar(HUGE)], {}),
    ("Expand", [floats(1), ints(HUGE)], {}),
    ("HannWindow", [scalar(HUGE)], {}),
    ("MaxPool", [floats(1, 1, 1), None], {"kernel_shape": [2], "pads": [HUGE, HUGE]}),
    ("MaxUnpool", [floats(1, 1, 1), ints(0).reshape(1, 1, 1), ints(1, 1, HUGE)], {"kernel_shape": [1]}),
    (
        "MelWeightMatrix",
        [scalar(10**6), scalar(10**6), scalar(10**6), scalar(0, np.float32), scalar(9, np.float32)],
        {},
    ),
    ("OneHot", [ints(0), scalar(HUGE), floats(2)], {}),
    ("Pad", [floats(1), ints(0, HUGE)], {}),
    ("Range", [scalar(0), scalar(HUGE), scalar(1)], {}),
    ("Range", [scalar(value, np.float32) for value in (0, 1e12, 1)], {}),
    ("Resize", [floats(1, 1, 1), None, None, ints(1, 10**6, 10**6)], {}),
    ("Resize", [floats(1, 1, 1), None, np.array([1, 1e6, 1e6], np.float32)], {"mode": "linear"}),
    ("Tile", [floats(1), ints(HUGE)], {}),
    ("TopK", [floats(1), ints(HUGE)], {}),
]


@pytest.mark.parametrize("constant", [True, False], ids=["constant", "fed"])
@pytest.mark.parametrize(("op", "values", "attributes"), BOMBS, ids=[bomb[0] for bomb in BOMBS])
def test_bomb(op: str, values: list[np.ndarray | None], attributes: dict, constant: bool, tmp_path: Path) -> None:
    names = ["" if value is None else f"x{index}" for index, value in enumerate(values)]
    given = {name: value for name, value in zip(names, values) if value is not None}
    while not names[-1]:
        names.pop()
    kind = helper.np_dtype_to_tensor_dtype
    inputs = [helper.make_tensor_value_info(name, kind(value.dtype), value.shape) for name, value in given.items()]
    constants = [numpy_helper.from_array(value, name) for name, value in given.items()] if constant else []
    outputs = 2 if op == "TopK" else 1
    nodes = [helper.make_node(op, names, [f"y{index}" for index in range(outputs)], **attributes)]
    results = [helper.make_tensor_value_info(f"y{index}", TensorProto.UNDEFINED, None) for index in range(outputs)]
    graph = helper.make_graph(nodes, "bomb", [] if constant else inputs, results, constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)]), tmp_path / "bomb.onnx")

    start = time.monotonic()
    refusals = (tercel.errors.OutOfMemoryError, tercel.errors.InvalidArgumentError, tercel.errors.InvalidFileError)
    with pytest.raises(refusals):
        session = tercel.Session(tmp_path / "bomb.onnx", threads=1, memory_limit=CAP)
        session.run({} if constant else given)
    assert time.monotonic() - start < SECONDS
