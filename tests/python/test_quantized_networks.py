"""Networks that ONNX Runtime quantised, as QOperator and as QDQ, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

import models


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
