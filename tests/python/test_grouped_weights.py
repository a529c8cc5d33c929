"""Weights of 4 and 8 bits that products of f32 read as they are: DequantizeLinear and com.microsoft.MatMulNBits."""

import ml_dtypes
import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto, helper

import cli
import models

RNG = np.random.default_rng(11)
TYPES = {"int4": ml_dtypes.int4, "uint4": ml_dtypes.uint4, "int8": np.int8, "uint8": np.uint8}


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def integers(dtype, *shape):
    info = ml_dtypes.iinfo(dtype)
    return RNG.integers(int(info.min), int(info.max) + 1, shape).astype(dtype)


def packed_nibbles(values):
    """Two to a byte along the last axis, the first in the lower half; a row begins at a byte."""
    values = np.pad(values, [(0, 0)] * (values.ndim - 1) + [(0, values.shape[-1] % 2)])
    return (values[..., ::2] | values[..., 1::2] << 4).astype(np.uint8)


def dequantised(values, scale, zero, axis, block):
    """What DequantizeLinear gives, rounded once to f32."""
    if block:
        at = np.arange(values.shape[axis]) // block
        scale, zero = (np.take(each, at, axis) for each in (scale, zero))
    elif scale.ndim == 1:
        shape = [1, 1]
        shape[axis] = -1
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    return ((values.astype(np.float64) - zero.astype(np.float64)) * scale).astype(np.float32)


def pair(values, scale, zero, axis, block, transposed, gemm):
    """The model, and the one that has the weight in f32."""
    weight = dequantised(values, scale, zero, axis, block)
    k, n = weight.shape[::-1] if transposed else weight.shape
    constants = [("w", values), ("scale", scale), ("zero", zero)]
    attributes = {"axis": axis, **({"block_size": block} if block else {})}
    nodes = [helper.make_node("DequantizeLinear", ["w", "scale", "zero"], ["d"], **attributes)]
    by_name = "d"
    if transposed and not gemm:
        nodes.append(helper.make_node("Transpose", ["d"], ["t"], perm=[1, 0]))
        by_name = "t"
    if gemm:
        nodes.append(helper.make_node("Gemm", ["x", by_name, "bias"], ["y"], transB=int(transposed)))
    else:
        nodes += [
            helper.make_node("MatMul", ["x", by_name], ["p"]),
            helper.make_node("Add", ["p", "bias"], ["q"]),
            helper.make_node("Relu", ["q"], ["y"]),
        ]
    bias = ("bias", normal(n))
    ends = [("x", TensorProto.FLOAT, ["rows", k])], [("y", TensorProto.FLOAT, ["rows", n])]
    quantised = models.make(nodes, *ends, [*constants, bias], opset=21)
    plain = models.make(nodes[1:], *ends, [("d", weight), bias], opset=21)
    return quantised, plain, k


@pytest.mark.parametrize("gemm", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("block", [0, 16, 32, 128, "tensor"])
@pytest.mark.parametrize("dtype", TYPES)
def test_a_dequantised_weight_stays_as_it_is(dtype, block, transposed, gemm, tmp_path):
    k, n = 200, 75
    dtype = TYPES[dtype]
    values = integers(dtype, *((n, k) if transposed else (k, n)))
    axis = 1 if transposed else 0
    if block == "tensor":
        block, shape = 0, ()
    elif block:
        shape = list(values.shape)
        shape[axis] = -(-k // block)
    else:
        axis, shape = 1 - axis, [n]
    scale = RNG.uniform(0.001, 0.1, shape).astype(np.float32)
    model, plain, _ = pair(values, scale, integers(dtype, *shape), axis, block, transposed, gemm)
    x = normal(21, k)
    (y,) = models.ours(model, {"x": x}, tmp_path)
    (expected,) = models.ours(plain, {"x": x}, tmp_path)
    assert np.array_equal(y, expected)
    # Its optimisations would round the rows of x to 8 bits.
    models.assert_same([y], models.onnx_runtime(model, {"x": x}, optimize=False), rtol=1e-4, atol=1e-3)
    onnx.save(model, tmp_path / "model.onnx")
    session = tercel.Session(tmp_path / "model.onnx")
    assert "gemm_f32_grouped" in session.explain()
    assert "dequantize" not in session.explain()
    for rows in (slice(0, 1), slice(3, 6), slice(20, 21)):
        assert np.array_equal(session.run({"x": x[rows]})["y"], y[rows])


def test_weight_bytes_show_what_is_saved(tmp_path):
    k, n, block = 512, 1024, 32
    scale = RNG.uniform(0.001, 0.1, (n, k // block)).astype(np.float32)
    sizes = {}
    for dtype in ("int4", "int8"):
        values = integers(TYPES[dtype], n, k)
        zero = np.zeros(scale.shape, TYPES[dtype])
        model, plain, _ = pair(values, scale, zero, 1, block, True, False)
        for name, each in ((dtype, model), ("f32", plain)):
            onnx.save(each, tmp_path / "model.onnx")
            done = cli.output_json("run", tmp_path / "model.onnx", "--random", f"x=1x{k}")
            sizes[name] = done["weight_bytes"]
    scales = scale.nbytes
    assert k * n * 4 <= sizes["f32"]
    assert sizes["int8"] <= k * n + scales + 65536
    assert sizes["int4"] <= k * n // 2 + scales + 65536


@pytest.mark.parametrize("block", [12, 1])
def test_blocks_that_no_kernel_takes_give_the_same(block, tmp_path):
    values = integers(TYPES["int4"], 48, 40)
    scale = RNG.uniform(0.001, 0.1, (48 // block, 40)).astype(np.float32)
    model, plain, _ = pair(values, scale, np.zeros(scale.shape, TYPES["int4"]), 0, block, False, False)
    x = normal(3, 48)
    (y,) = models.ours(model, {"x": x}, tmp_path)
    assert np.array_equal(y, models.ours(plain, {"x": x}, tmp_path)[0])


def n_bits_model(k, n, bits, block, with_zero, with_bias, flat=False):
    blocks = -(-k // block)
    values = RNG.integers(0, 1 << bits, (n, blocks, block)).astype(np.uint8)
    zeros = RNG.integers(0, 1 << bits, (n, blocks)).astype(np.uint8)
    if bits == 4:
        values, zeros = packed_nibbles(values), packed_nibbles(zeros)
    scales = RNG.uniform(0.001, 0.1, (n, blocks)).astype(np.float32)
    constants = [("w", values), ("s", scales.reshape(-1) if flat else scales)]
    inputs = ["x", "w", "s"]
    if with_zero:
        constants.append(("z", zeros.reshape(-1) if flat else zeros))
        inputs.append("z")
    if with_bias:
        constants.append(("b", normal(n)))
        inputs += [""] * (5 - len(inputs)) + ["b"]
    named = {"K": k, "N": n, "bits": bits, "block_size": block}
    node = helper.make_node("MatMulNBits", inputs, ["y"], domain="com.microsoft", name="product", **named)
    model = models.make(
        [node],
        [("x", TensorProto.FLOAT, ["batch", "rows", k])],
        [("y", TensorProto.FLOAT, ["batch", "rows", n])],
        constants,
        opset=17,
    )
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return model


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("with_zero", [False, True])
@pytest.mark.parametrize("k, n, block", [(64, 33, 16), (96, 40, 32), (80, 17, 32), (256, 20, 128), (30, 7, 64)])
@pytest.mark.parametrize("bits", [4, 8])
def test_mat_mul_n_bits(bits, k, n, block, with_zero, with_bias, tmp_path):
    model = n_bits_model(k, n, bits, block, with_zero, with_bias, flat=block == 32)
    x = normal(2, 3, k)
    (y,) = models.ours(model, {"x": x}, tmp_path)
    (expected,) = models.onnx_runtime(model, {"x": x})
    models.assert_same([y], [expected], rtol=1e-4, atol=1e-4 * np.abs(expected).max())
    session = tercel.Session(tmp_path / "model.onnx")
    if k * n * bits // 8 >= 1024:  # smaller ones become f32
        assert "gemm_f32_grouped" in session.explain()
    tercel.export_onnx(tmp_path / "model.onnx", tmp_path / "saved.onnx")
    saved = onnx.load(tmp_path / "saved.onnx")
    onnx.checker.check_model(saved, full_check=True)
    assert "MatMulNBits" not in {node.op_type for node in saved.graph.node}
    assert np.array_equal(tercel.Session(tmp_path / "saved.onnx").run({"x": x})["y"], y)


def test_mat_mul_n_bits_that_is_refused(tmp_path):
    def error_of(change, **attributes):
        model = n_bits_model(64, 8, 4, 32, True, False)
        change(model.graph)
        for attribute in model.graph.node[0].attribute:
            attribute.i = attributes.get(attribute.name, attribute.i)
        onnx.save(model, tmp_path / "model.onnx")
        with pytest.raises(tercel.Error) as caught:
            tercel.Session(tmp_path / "model.onnx")
        return str(caught.value)

    def short(graph):
        graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(np.zeros((8, 1, 16), np.uint8), "w"))

    def no_constant(graph):
        graph.node[0].input[1] = "x"

    assert 'MatMulNBits "product"] its weights are 128 elements of u8; expected 256 of u8' in error_of(short)
    assert "its weights are no initializer" in error_of(no_constant)
    assert "block_size is 3; expected" in error_of(lambda graph: None, block_size=3)
    assert "bits is 2; 4 and 8 are read" in error_of(lambda graph: None, bits=2)
    assert "K is -1 and N is 8" in error_of(lambda graph: None, K=-1)


def test_a_session_and_a_saved_model_of_int4(tmp_path):
    weights = normal(90, 70), normal(33, 90)
    model = models.make(
        [
            helper.make_node("Transpose", ["w1"], ["t"], perm=[1, 0]),
            helper.make_node("MatMul", ["x", "t"], ["p"]),
            helper.make_node("Relu", ["p"], ["r"]),
            helper.make_node("Gemm", ["r", "w2", "b"], ["y"], transB=1),
        ],
        [("x", TensorProto.FLOAT, ["rows", 70])],
        [("y", TensorProto.FLOAT, ["rows", 33])],
        [("w1", weights[0]), ("w2", weights[1]), ("b", normal(33))],
        opset=21,
    )
    onnx.save(model, tmp_path / "model.onnx")
    x = normal(40, 70)
    exact = tercel.Session(tmp_path / "model.onnx").run({"x": x})["y"]
    session = tercel.Session(tmp_path / "model.onnx", dtype="int4")
    assert session.explain().count("gemm_f32_grouped") == 2
    y = session.run({"x": x})["y"]
    assert float((y * exact).sum() / np.linalg.norm(y) / np.linalg.norm(exact)) > 0.98
    for rows in (slice(0, 1), slice(3, 19), slice(39, 40)):
        assert np.array_equal(session.run({"x": x[rows]})["y"], y[rows])
    saved = tmp_path / "int4.onnx"
    tercel.export_onnx(tmp_path / "model.onnx", saved, dtype="int4")
    written = onnx.load(saved)
    onnx.checker.check_model(written, full_check=True)
    assert np.array_equal(tercel.Session(saved).run({"x": x})["y"], y)
    models.assert_same([y], models.onnx_runtime(written, {"x": x}, optimize=False), rtol=1e-4, atol=1e-3)
    stored = [onnx.numpy_helper.to_array(each) for each in written.graph.initializer if each.name.endswith("_int4")]
    scales = [onnx.numpy_helper.to_array(each) for each in written.graph.initializer if each.name.endswith("_scale")]
    assert [each.shape for each in stored] == [(70, 90), (90, 33)]
    for weight, values, scale in zip(weights, stored, scales):
        rounded = dequantised(values, scale, np.zeros(scale.shape), 0, 32)
        # Half a step; beyond the greatest, 7, a whole one.
        assert np.all(np.abs(rounded - weight.T) <= 1.001 * np.abs(scale[np.arange(len(rounded)) // 32]))


def test_int4_refuses_a_gpu(tmp_path):
    onnx.save(n_bits_model(64, 8, 4, 32, True, False), tmp_path / "model.onnx")
    with pytest.raises(tercel.Error):
        tercel.Session(tmp_path / "model.onnx", dtype="int4", devices="cuda")


def test_mat_mul_n_bits_of_absurd_sizes_is_refused(tmp_path):
    for name, value in (("K", 2**63 - 1), ("N", 2**63 - 1), ("block_size", 2**62), ("K", 10**12)):
        model = n_bits_model(64, 8, 4, 32, True, False)
        for attribute in model.graph.node[0].attribute:
            attribute.i = value if attribute.name == name else attribute.i
        onnx.save(model, tmp_path / "model.onnx")
        with pytest.raises(tercel.Error, match=r"MatMulNBits|overflow"):
            tercel.Session(tmp_path / "model.onnx")
