"""Operators of ONNX Runtime's QOperator format on 8-bit integers, each against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto, helper
from op_cases.dice import Dice

import models

TYPES = {"u8": np.uint8, "s8": np.int8}


def integers(dice: Dice, dtype, shape) -> np.ndarray:
    info = np.iinfo(dtype)
    return dice.integers(info.min, info.max + 1, shape, dtype)


def scale(dice: Dice, shape=()) -> np.ndarray:
    return dice.numpy.uniform(0.02, 0.1, shape).astype(np.float32)


def zero(dice: Dice, dtype, shape=()) -> np.ndarray:
    """Away from 0 and from the ends."""
    middle = int(np.iinfo(dtype).max) // 2
    return dice.integers(middle // 2, middle, shape, dtype)


def tensor(dice: Dice, dtype, shape) -> list[np.ndarray]:
    return [integers(dice, dtype, shape), scale(dice), zero(dice, dtype)]


def result(dice: Dice, dtype, factor: float = 1) -> list[np.ndarray]:
    return [np.float32(factor) * scale(dice), zero(dice, dtype)]


# Each gives the inputs and the attributes of a node.


def binary(dice, dtype):
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    return [*tensor(dice, dtype, shape), *tensor(dice, dtype, dice.broadcast(shape)), *result(dice, dtype, 4)], {}


def sigmoid(dice, dtype):
    return [*tensor(dice, dtype, dice.shape(low=1)), np.float32(1 / 256), zero(dice, dtype)], {}


def leaky_relu(dice, dtype):
    attributes = {"alpha": dice.random.uniform(0.01, 0.4)} if dice.chance(0.7) else {}
    return [*tensor(dice, dtype, dice.shape(low=1)), *result(dice, dtype)], attributes


def average_pool(dice, dtype):
    spatial = dice.random.randint(1, 3)
    attributes = {
        "kernel_shape": [dice.random.randint(1, 3) for _ in range(spatial)],
        "strides": [dice.random.randint(1, 2) for _ in range(spatial)],
        # Not both: what lies behind the padding is counted as well, unlike in ONNX's AveragePool.
        **dice.pick([{}, {"count_include_pad": 1}, {"ceil_mode": 1}]),
    }
    if dice.chance(0.5):
        attributes["pads"] = [min(1, kernel - 1) for kernel in attributes["kernel_shape"]] * 2
    elif dice.chance(0.3):
        attributes["auto_pad"] = dice.pick(["SAME_UPPER", "SAME_LOWER", "VALID"])
    shape = [*dice.shape(2, low=1), *(dice.random.randint(5, 9) for _ in range(spatial))]
    return [*tensor(dice, dtype, shape), *result(dice, dtype)], attributes


def global_average_pool(dice, dtype):
    return [*tensor(dice, dtype, dice.shape(4, low=1)), *result(dice, dtype)], {"channels_last": 0}


def softmax(dice, dtype):
    shape = dice.shape(dice.random.randint(2, 4), low=1)
    attributes = {"opset": dice.pick([11, 13, 21])}
    if dice.chance(0.7):
        attributes["axis"] = dice.axis(len(shape))
    return [*tensor(dice, dtype, shape), np.float32(1 / 256), zero(dice, dtype)], attributes


def concat(dice, dtype):
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    axis = dice.axis(len(shape))
    tensors = []
    for _ in range(dice.random.randint(1, 4)):
        shape[axis] = dice.size(1)
        tensors += tensor(dice, dtype, shape)
    return [*result(dice, dtype), *tensors], {"axis": axis}


def where(dice, dtype):
    shape = dice.shape(low=1)
    one, other = tensor(dice, dtype, shape), tensor(dice, dtype, shape)
    return [dice.bools(dice.broadcast(shape)), *one, *other, *result(dice, dtype)], {}


def weight(dice, dtype, k, n) -> list[np.ndarray]:
    """Of a matrix [k, n]: by columns or whole. Small ones: without VNNI, ONNX Runtime cuts sums of two products off."""
    w_type = np.int8 if dtype is np.int8 else dice.pick([np.int8, np.uint8])
    columns = dice.pick([[], [n]])
    values = integers(dice, w_type, [k, n])
    return [values // 2 if w_type is np.int8 else values, scale(dice, columns), zero(dice, w_type, columns) // 2]


def gemm(dice, dtype):
    m, n, k = (dice.size(1) for _ in range(3))
    attributes = {"transA": dice.random.randint(0, 1), "transB": dice.random.randint(0, 1)}
    if dice.chance(0.4):
        attributes["alpha"] = dice.random.uniform(0.5, 2)
    a, w = tensor(dice, dtype, [m, k]), weight(dice, dtype, k, n)
    a[0], w[0] = (x.T.copy() if attributes[name] else x for x, name in ((a[0], "transA"), (w[0], "transB")))
    bias = dice.integers(-900, 900, dice.pick([[n], [1, n], [], [1], [m, n], [m, 1]]), np.int32)
    return [*a, *w, dice.pick([bias, None]), *dice.pick([result(dice, dtype, 8 * k**0.5), [None, None]])], attributes


def to_float(dice, dtype):
    n, k = dice.size(1), dice.size(1)
    a, w = tensor(dice, dtype, [*dice.shape(dice.random.randint(1, 2), low=1), k]), weight(dice, dtype, k, n)
    zeros = [z if dice.chance(0.7) else None for z in (a[2], w[2])]
    return [a[0], w[0], a[1], w[1], *zeros, dice.floats([n]) if dice.chance(0.5) else None], {}


def dynamic(dice, dtype):
    n, k = dice.size(1), dice.size(1)
    w = weight(dice, dtype, k, n)
    a = dice.floats([*dice.shape(dice.random.randint(1, 2), low=1), k])
    return [a, w[0], w[1], w[2] if dice.chance(0.7) else None, dice.floats([n]) if dice.chance(0.5) else None], {}


def matmul(dice, dtype):
    """ONNX's own, by a factor that is computed."""
    k = dice.size(1)
    a, b = tensor(dice, dtype, [2, dice.size(1), k]), tensor(dice, dtype, [2, k, dice.size(1)])
    return [*a, *b, *result(dice, dtype, 8 * k**0.5)], {}


def conv(dice, dtype):
    """ONNX's own, of groups; every other one depthwise."""
    groups, inside, times = dice.random.randint(2, 5), dice.random.randint(1, 3), dice.random.randint(1, 3)
    if dice.chance(0.5):
        groups, inside, times = dice.random.randint(2, 40), 1, 1
    outside = groups * times
    by_channel = dice.pick([[], [outside]])
    values = integers(dice, np.int8, [outside, inside, dice.random.randint(1, 4), dice.random.randint(1, 3)]) // 2
    w = [values, scale(dice, by_channel), np.zeros(by_channel, np.int8)]
    bias = dice.pick([dice.integers(-900, 900, [outside], np.int32), None])
    x = tensor(dice, dtype, [dice.size(1), groups * inside, 7, 9])
    attributes = {"group": groups, "pads": [1, 0, 1, 2]}
    for name in ("strides", "dilations"):
        attributes[name] = [dice.random.randint(1, 2), dice.random.randint(1, 3)]
    return [*x, *w, *result(dice, dtype, 30), bias], attributes


OPERATORS = {
    "QLinearAdd": binary,
    "QLinearMul": binary,
    "QLinearSigmoid": sigmoid,
    "QLinearLeakyRelu": leaky_relu,
    "QLinearAveragePool": average_pool,
    "QLinearGlobalAveragePool": global_average_pool,
    "QLinearSoftmax": softmax,
    "QLinearConcat": concat,
    "QLinearWhere": where,
    "QGemm": gemm,
    "MatMulIntegerToFloat": to_float,
    "DynamicQuantizeMatMul": dynamic,
}
OF_ONNX = {"QLinearMatMul": matmul, "QLinearConv": conv}


def model_of(op, inputs, attributes, constants):
    """A node between values that are fed and those, by place, that are constant."""
    names = [f"x{i}" if value is not None else "" for i, value in enumerate(inputs)]
    while names[-1] == "":
        names.pop()
    values = {name: np.asarray(value) for name, value in zip(names, inputs) if name}
    feeds = {name: value for name, value in values.items() if int(name[1:]) not in constants}
    in_floats = op in ("MatMulIntegerToFloat", "DynamicQuantizeMatMul") or (op == "QGemm" and len(names) < 8)
    like = {"QLinearConcat": 2, "QLinearWhere": 1}.get(op, 0)
    out = TensorProto.FLOAT if in_floats else helper.np_dtype_to_tensor_dtype(inputs[like].dtype)

    def described(name, value):
        dims = [f"{name}_{axis}" for axis in range(value.ndim)]
        return name, helper.np_dtype_to_tensor_dtype(value.dtype), dims

    model = models.make(
        [helper.make_node(op, names, ["y"], "node", domain="" if op in OF_ONNX else "com.microsoft", **attributes)],
        [described(name, value) for name, value in feeds.items()],
        [("y", out, None)],
        [(name, value) for name, value in values.items() if name not in feeds],
        opset=21,
    )
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model, feeds


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("op", [*OPERATORS, *OF_ONNX])
def test_operators_as_onnx_runtime(op, dtype, tmp_path):
    """A step of the result apart at most, where a rounding falls to the other side, and that is rare."""
    steps, elements = 0, 0
    for seed in range(30):
        dice = Dice(seed)
        inputs, attributes = {**OPERATORS, **OF_ONNX}[op](dice, TYPES[dtype])
        model, feeds = model_of(op, inputs, attributes, dice.pick([(), range(1, 2), range(1, len(inputs))]))
        (expected,) = models.onnx_runtime(model, feeds)
        for optimize in (True, False):
            (got,) = models.ours(model, feeds, tmp_path, optimize=optimize)
            assert (got.dtype, got.shape) == (expected.dtype, expected.shape), seed
            if got.dtype == np.float32:
                np.testing.assert_allclose(got, expected, 1e-5, 1e-5 * np.abs(expected).max())
                continue
            apart = np.abs(got.astype(np.int32) - expected)
            assert apart.max(initial=0) <= 1, (seed, attributes)
            steps, elements = steps + apart.sum(), elements + apart.size
    assert steps <= 1e-3 * elements


@pytest.mark.parametrize("op", ["DequantizeLinear", "Identity", "QLinearConv", "QLinearMatMul"])
def test_an_output_that_is_left_out(op, tmp_path):
    constants = {"s": np.float32(0.5), "z": np.uint8(3), "w": np.ones((4, 1, 1, 1), np.uint8)}
    product = ["x", "s", "z", "w" if op == "QLinearConv" else "x", "s", "z", "s", "z"]
    inputs = {"DequantizeLinear": ["w", "s", "z"], "Identity": ["w"]}.get(op, product)
    nodes = [
        helper.make_node(op, inputs, [""], **({"group": 4} if op == "QLinearConv" else {})),
        helper.make_node("DequantizeLinear", ["x", "s", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 4, 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    x = np.arange(16, dtype=np.uint8).reshape(1, 4, 2, 2)
    assert np.array_equal(tercel.Session(path).run({"x": x})["y"], (x.astype(np.float32) - 3) / 2)
