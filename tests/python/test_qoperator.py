"""Models in ONNX Runtime's QOperator format, against ONNX Runtime: each operator on 8-bit integers, and networks."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
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


class Samples(CalibrationDataReader):
    """What static quantisation looks at."""

    def __init__(self, shape):
        dice = np.random.default_rng(1)
        self.samples = iter([dice.standard_normal(shape).astype(np.float32) for _ in range(4)])

    def get_next(self):
        sample = next(self.samples, None)
        return None if sample is None else {"x": sample}


def network(nodes, shape, weights, outputs, constants=()):
    dice = np.random.default_rng(2)
    scaled = [(name, dice.standard_normal(size) / np.sqrt(np.prod(size[1:]) or 1)) for name, size in weights.items()]
    return models.make(
        [helper.make_node(*node[:3], name=node[2][0], **node[3]) for node in nodes],
        [("x", TensorProto.FLOAT, ["batch", *shape])],
        outputs,
        [*((name, value.astype(np.float32)) for name, value in scaled), *constants],
        opset=21,
    )


def images():
    """Residuals, activations, pools, branches that are joined, a classifier; every operator of the domain but Where."""
    nodes = [
        ("Conv", ["x", "w0", "b0"], ["c0"], {"pads": [1] * 4, "strides": [2, 2]}),
        ("Relu", ["c0"], ["r0"], {}),
        ("Conv", ["r0", "w1", "b1"], ["c1"], {"pads": [1] * 4}),
        ("Add", ["c1", "r0"], ["s0"], {}),
        ("Conv", ["s0", "w2"], ["c2"], {"pads": [1] * 4, "group": 4}),
        ("LeakyRelu", ["c2"], ["l2"], {"alpha": 0.1}),
        ("Conv", ["l2", "w3"], ["c3"], {}),
        ("Sigmoid", ["c3"], ["g3"], {}),
        ("Mul", ["c3", "g3"], ["m3"], {}),
        ("AveragePool", ["m3"], ["ap"], {"kernel_shape": [3, 3], "pads": [1] * 4}),
        ("MaxPool", ["m3"], ["mp"], {"kernel_shape": [3, 3], "pads": [1] * 4}),
        ("Concat", ["ap", "mp", "s0"], ["joined"], {"axis": 1}),
        ("Conv", ["joined", "w4"], ["c4"], {}),
        ("GlobalAveragePool", ["c4"], ["p"], {}),
        ("Flatten", ["p"], ["f"], {}),
        ("Gemm", ["f", "w5", "b5"], ["h"], {"transB": 1}),
        ("Relu", ["h"], ["r5"], {}),
        ("Gemm", ["r5", "w6", "b6"], ["z"], {}),
        ("Softmax", ["z"], ["y"], {"axis": 1}),
    ]
    weights = {
        "w0": (36, 3, 3, 3), "b0": (36,), "w1": (36, 36, 3, 3), "b1": (36,), "w2": (36, 9, 3, 3), "w3": (24, 36, 1, 1),
        "w4": (45, 84, 1, 1), "w5": (290, 45), "b5": (290,), "w6": (290, 251), "b6": (251,),
    }  # fmt: skip
    shape = (3, 19, 23)
    return network(nodes, shape, weights, [("y", TensorProto.FLOAT, ["batch", 251])]), shape


def moved():
    """What only moves bytes: ONNX's own operators, which stay as they are."""
    nodes = [
        ("Conv", ["x", "w0", "b0"], ["c0"], {"pads": [1] * 4}),
        ("Relu", ["c0"], ["r0"], {}),
        ("Split", ["r0"], ["s0", "s1"], {"axis": 1, "num_outputs": 2}),
        ("Pad", ["s0", "pads", "zero"], ["p0"], {}),
        ("Conv", ["p0", "w1"], ["c1"], {}),
        ("Clip", ["c1", "zero", "six"], ["k1"], {}),
        ("Resize", ["k1", "", "twice"], ["u1"], {"mode": "nearest"}),
        ("MaxPool", ["u1"], ["p1"], {"kernel_shape": [2, 2], "strides": [2, 2]}),
        ("Add", ["p1", "s1"], ["a1"], {}),
        ("Transpose", ["a1"], ["t1"], {"perm": [0, 2, 3, 1]}),
        ("Reshape", ["t1", "rows"], ["f1"], {}),
        ("MatMul", ["f1", "w2"], ["m2"], {}),
        ("Softmax", ["m2"], ["y"], {"axis": 1}),
    ]
    constants = [
        ("pads", np.array([0, 0, 1, 1, 0, 0, 1, 1])),
        ("zero", np.float32(0)),
        ("six", np.float32(6)),
        ("twice", np.array([1, 1, 2, 2], np.float32)),
        ("rows", np.array([0, -1, 12])),
    ]
    weights = {"w0": (24, 3, 3, 3), "b0": (24,), "w1": (12, 12, 3, 3), "w2": (12, 10)}
    shape = (3, 9, 11)
    return network(nodes, shape, weights, [("y", TensorProto.FLOAT, ["batch", 99, 10])], constants), shape


def perceptron():
    """That of a transformer: two products by weights, a residual; and one by what is computed."""
    nodes = [
        ("LayerNormalization", ["x", "g", "b"], ["n"], {}),
        ("MatMul", ["n", "w1"], ["m1"], {}),
        ("Add", ["m1", "b1"], ["a1"], {}),
        ("Gelu", ["a1"], ["g1"], {}),
        ("MatMul", ["g1", "w2"], ["m2"], {}),
        ("Add", ["m2", "b2"], ["a2"], {}),
        ("Add", ["a2", "x"], ["s2"], {}),
        ("Transpose", ["s2"], ["t2"], {"perm": [0, 2, 1]}),
        ("MatMul", ["s2", "t2"], ["y"], {}),
    ]
    weights = {"g": (47,), "b": (47,), "w1": (47, 93), "b1": (93,), "w2": (93, 47), "b2": (47,)}
    shape = (7, 47)
    return network(nodes, shape, weights, [("y", TensorProto.FLOAT, ["batch", 7, 7])]), shape


def mobile():
    """Inverted residuals: depthwise convolutions between products of pixels, with ReLU6 and without."""
    nodes = [
        ("Conv", ["x", "w0", "b0"], ["c0"], {"pads": [1] * 4, "strides": [2, 2]}),
        ("Clip", ["c0", "zero", "six"], ["r0"], {}),
        ("Conv", ["r0", "w1", "b1"], ["c1"], {}),
        ("Clip", ["c1", "zero", "six"], ["r1"], {}),
        ("Conv", ["r1", "w2", "b2"], ["c2"], {"pads": [1] * 4, "group": 52}),
        ("Clip", ["c2", "zero", "six"], ["r2"], {}),
        ("Conv", ["r2", "w3", "b3"], ["c3"], {}),
        ("Add", ["c3", "r0"], ["s3"], {}),
        ("Conv", ["s3", "w4"], ["c4"], {}),
        ("Relu", ["c4"], ["r4"], {}),
        ("Conv", ["r4", "w5"], ["c5"], {"pads": [2] * 4, "group": 37, "strides": [2, 2]}),
        ("Conv", ["c5", "w6"], ["c6"], {"pads": [2] * 4, "group": 37, "dilations": [2, 2]}),
        ("Relu", ["c6"], ["r6"], {}),
        ("Conv", ["r6", "w7"], ["c7"], {}),
        ("GlobalAveragePool", ["c7"], ["p"], {}),
        ("Flatten", ["p"], ["f"], {}),
        ("Gemm", ["f", "w8"], ["y"], {"transB": 1}),
    ]
    weights = {
        "w0": (20, 3, 3, 3), "b0": (20,), "w1": (52, 20, 1, 1), "b1": (52,), "w2": (52, 1, 3, 3), "b2": (52,),
        "w3": (20, 52, 1, 1), "b3": (20,), "w4": (37, 20, 1, 1), "w5": (37, 1, 5, 5), "w6": (37, 1, 3, 3),
        "w7": (24, 37, 1, 1), "w8": (31, 24),
    }  # fmt: skip
    shape = (3, 21, 26)
    constants = [("zero", np.float32(0)), ("six", np.float32(6))]
    return network(nodes, shape, weights, [("y", TensorProto.FLOAT, ["batch", 31])], constants), shape


STEPS = {
    images: [
        "QLinearConv + tercel.QLinearAdd", "conv_int8", "conv_f32_packed", "concat_channels_last",
        "pool_channels_last",
    ],
    mobile: ["QLinearConv + tercel.QLinearAdd", "conv_int8"],
    moved: ["tercel.QLinearAdd", "conv_int8", "gemm_int8"],
    perceptron: ["tercel.QLinearAdd", "gemm_int8", "gemm_f32_batched"],
}  # fmt: skip


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("activation", [QuantType.QUInt8, QuantType.QInt8])
@pytest.mark.parametrize("build", STEPS)
def test_networks_run_on_bytes(build, activation, by_channel, tmp_path):
    model, shape = build()
    onnx.save(model, tmp_path / "float.onnx")
    # Weights of 7 bits: of 8, ONNX Runtime cuts sums of two products off where there is no VNNI.
    quantize_static(
        tmp_path / "float.onnx", tmp_path / "bytes.onnx", Samples((2, *shape)), quant_format=QuantFormat.QOperator,
        per_channel=by_channel, activation_type=activation, weight_type=QuantType.QInt8, reduce_range=True,
    )  # fmt: skip
    quantised = onnx.load(tmp_path / "bytes.onnx")
    assert "com.microsoft" in {node.domain for node in quantised.graph.node}
    session = tercel.Session(tmp_path / "bytes.onnx")
    x = np.random.default_rng(3).standard_normal((5, *shape)).astype(np.float32)
    y = session.run({"x": x})["y"]
    (expected,) = models.onnx_runtime(quantised, {"x": x}, optimize=False)
    step = np.diff(np.unique(expected)).min()
    assert np.abs(y - expected).max() < 2.5 * step
    assert (y != expected).mean() < 0.05
    for part in STEPS[build]:
        assert part in session.explain()
    for refused in ("conv_integer ", "matmul_integer "):
        assert refused not in session.explain()
    assert np.array_equal(tercel.Session(tmp_path / "bytes.onnx", threads=1).run({"x": x[1:3]})["y"], y[1:3])
    tercel.export_onnx(tmp_path / "bytes.onnx", tmp_path / "saved.onnx")
    saved = onnx.load(tmp_path / "saved.onnx")
    onnx.checker.check_model(saved, full_check=True)
    assert not any(node.domain == "com.microsoft" for node in saved.graph.node)
    assert np.array_equal(tercel.Session(tmp_path / "saved.onnx").run({"x": x})["y"], y)


@pytest.mark.parametrize("by_channel", [False, True])
@pytest.mark.parametrize("activation", [QuantType.QUInt8, QuantType.QInt8])
@pytest.mark.parametrize("form", [QuantFormat.QOperator, QuantFormat.QDQ])
def test_depthwise_convolutions_stay_bytes(form, activation, by_channel, tmp_path):
    model, shape = mobile()
    onnx.save(model, tmp_path / "float.onnx")
    quantize_static(
        tmp_path / "float.onnx", tmp_path / "bytes.onnx", Samples((2, *shape)), quant_format=form,
        per_channel=by_channel, activation_type=activation, weight_type=QuantType.QInt8, reduce_range=True,
    )  # fmt: skip
    session = tercel.Session(tmp_path / "bytes.onnx")
    x = np.random.default_rng(3).standard_normal((3, *shape)).astype(np.float32)
    y = session.run({"x": x})["y"]
    (expected,) = models.onnx_runtime(onnx.load(tmp_path / "bytes.onnx"), {"x": x}, optimize=False)
    step = np.diff(np.unique(expected)).min()
    assert np.abs(y - expected).max() < 1.5 * step
    assert (y != expected).mean() < 0.05
    steps = [line.split() for line in session.explain().splitlines()]
    convolutions = [step for step in steps if step and "Conv" in step[0]]
    assert len(convolutions) >= 8 and all("conv_int8" in step for step in convolutions), session.explain()
    for isa in ("generic", "avx2", "avx512"):
        try:
            forced = tercel.Session(tmp_path / "bytes.onnx", cpu_isa=isa, threads=1)
        except tercel.errors.UnsupportedError:
            continue
        assert np.array_equal(forced.run({"x": x[1:]})["y"], y[1:])


@pytest.mark.parametrize("activation", [QuantType.QUInt8, QuantType.QInt16])
def test_quantize_linear_of_the_domain(activation, tmp_path):
    model, shape = images()
    onnx.save(model, tmp_path / "float.onnx")
    found = {}
    for own in (False, True):
        path = tmp_path / f"{own}.onnx"
        quantize_static(
            tmp_path / "float.onnx", path, Samples((2, *shape)), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=activation, weight_type=QuantType.QInt8, extra_options={"UseQDQContribOps": own},
        )  # fmt: skip
        domains = {node.domain for node in onnx.load(path).graph.node if node.op_type.endswith("uantizeLinear")}
        assert domains == {"com.microsoft" if own else ""}
        x = np.random.default_rng(3).standard_normal((2, *shape)).astype(np.float32)
        found[own] = tercel.Session(path).run({"x": x})["y"]
    assert np.array_equal(found[False], found[True])


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
