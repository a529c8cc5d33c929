"""8-bit weights and activations: what a session makes of a model, and what ONNX Runtime makes of the saved file."""

import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from tercel.errors import UnsupportedError

import cli
import models

RNG = np.random.default_rng(7)
START = RNG.bit_generator.state


@pytest.fixture(autouse=True)
def own_numbers():
    """Those of a test do not depend on the tests before it: with some numbers a rounding falls to the other side."""
    RNG.bit_generator.state = START


def normal(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


@pytest.fixture
def network(tmp_path):
    """Two products, one behind a Transpose, one a Gemm over rows."""
    model = models.make(
        [
            helper.make_node("Transpose", ["w1"], ["w1t"]),
            helper.make_node("MatMul", ["x", "w1t"], ["p"]),
            helper.make_node("Add", ["p", "b1"], ["q"]),
            helper.make_node("Relu", ["q"], ["r"]),
            helper.make_node("Gemm", ["r", "w2", "b2"], ["y"], transB=1),
        ],
        [("x", TensorProto.FLOAT, ["rows", 70])],
        [("y", TensorProto.FLOAT, ["rows", 33])],
        [("w1", normal(90, 70)), ("b1", normal(90)), ("w2", normal(33, 90)), ("b2", normal(33))],
        opset=21,
    )
    path = tmp_path / "network.onnx"
    onnx.save(model, path)
    return path


@pytest.fixture
def convolutions(tmp_path):
    """A first convolution of few channels, then a residual block, one of groups, and a product of what is pooled."""
    nodes = [
        helper.make_node("Conv", ["x", "w0", "b0"], ["c0"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "w2"], ["c2"], auto_pad="SAME_UPPER", dilations=[1, 1], kernel_shape=[1, 1]),
        helper.make_node("Add", ["c2", "r0"], ["s"]),
        helper.make_node("Relu", ["s"], ["r2"]),
        helper.make_node("Conv", ["r2", "w3", "b3"], ["c3"], group=4, pads=[2, 2, 2, 2], dilations=[2, 2]),
        helper.make_node("Sigmoid", ["c3"], ["g"]),
        helper.make_node("Mul", ["c3", "g"], ["m"]),
        helper.make_node("Conv", ["m", "w4", "b4"], ["c4"], strides=[2, 1], pads=[0, 1, 2, 1], dilations=[1, 2]),
        helper.make_node("GlobalAveragePool", ["c4"], ["p"]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("MatMul", ["f", "w5"], ["y"]),
    ]
    shapes = {
        "w0": (36, 3, 3, 3), "w1": (36, 36, 3, 3), "w2": (36, 36, 1, 1), "w3": (36, 9, 3, 3), "w4": (45, 36, 3, 2),
        "w5": (45, 30), "b0": (36,), "b1": (36,), "b3": (36,), "b4": (45,),
    }  # fmt: skip
    weights = [(name, normal(*shape) / np.sqrt(np.prod(shape[1:]))) for name, shape in shapes.items()]
    weights = [(name, array.astype(np.float32)) for name, array in weights]
    inputs = [("x", TensorProto.FLOAT, ["batch", 3, 19, 23])]
    model = models.make(nodes, inputs, [("y", TensorProto.FLOAT, ["batch", 30])], weights, opset=21)
    path = tmp_path / "convolutions.onnx"
    onnx.save(model, path)
    return path


def cosine(a, b):
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


def run_runtime(path, feeds):
    """As the file says: its optimisations put products of its own, rounded otherwise, in the place of ours."""
    return models.onnx_runtime(onnx.load(path), feeds, optimize=False)[0]


ISAS = [None, "generic", "avx2", "avx2_vnni", "avx512", "avx512_vnni", "amx"]


def session(path, isa=None, **options):
    try:
        return tercel.Session(path, **options, **({"cpu_isa": isa} if isa else {}))
    except UnsupportedError:
        pytest.skip(f"this machine has no {isa}")


@pytest.mark.parametrize("isa", ISAS)
def test_int8_is_near_f32_and_does_not_depend_on_the_batch(network, isa):
    x = normal(40, 70)
    exact = tercel.Session(network).run({"x": x})["y"]
    quantised = session(network, isa, dtype="int8")
    y = quantised.run({"x": x})["y"]
    assert cosine(exact, y) > 0.9995
    assert not np.array_equal(exact, y)
    for rows in (slice(0, 1), slice(3, 19), slice(39, 40)):
        assert np.array_equal(quantised.run({"x": x[rows]})["y"], y[rows])


@pytest.mark.parametrize("isa", ISAS)
def test_convolutions_in_int8(convolutions, isa):
    x = normal(7, 3, 19, 23) * np.arange(1, 8, dtype=np.float32).reshape(7, 1, 1, 1)
    exact = tercel.Session(convolutions).run({"x": x})["y"]
    quantised = session(convolutions, isa, dtype="int8")
    assert quantised.explain().count("conv_int8_dynamic") == 3
    y = quantised.run({"x": x})["y"]
    assert cosine(exact, y) > 0.9995
    assert not np.array_equal(exact, y)
    for rows in (slice(0, 1), slice(2, 5), slice(6, 7)):
        assert np.array_equal(quantised.run({"x": x[rows]})["y"], y[rows])
    assert np.array_equal(session(convolutions, isa, dtype="int8", threads=1).run({"x": x})["y"], y)


def test_saved_convolutions_are_the_same_elsewhere(convolutions, tmp_path):
    saved = tmp_path / "int8.onnx"
    tercel.export_onnx(convolutions, saved, dtype="int8")
    model = onnx.load(saved)
    onnx.checker.check_model(model, full_check=True)
    weights = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert list(weights.values()).count(TensorProto.INT8) == 4
    x = normal(3, 3, 19, 23)
    ours = tercel.Session(saved).run({"x": x})["y"]
    assert np.array_equal(ours, tercel.Session(convolutions, dtype="int8").run({"x": x})["y"])
    theirs = run_runtime(saved, {"x": x})
    assert np.abs(ours - theirs).max() < 0.05 * np.abs(theirs).max()
    assert cosine(ours, theirs) > 0.9999


def test_a_rounded_convolution_by_a_weight_that_is_given(convolutions, tmp_path):
    """The function's name with a weight that no kernel packs: as its body says."""
    saved = tmp_path / "int8.onnx"
    tercel.export_onnx(convolutions, saved, dtype="int8")
    model = onnx.load(saved)
    model.graph.ClearField("node")
    model.graph.ClearField("initializer")
    model.graph.node.append(
        helper.make_node("DynamicQuantizedConv", ["x", "w", "b"], ["y"], domain="tercel", strides=[2, 1])
    )
    model.graph.ClearField("input")
    model.graph.input.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in {"x": [2, 5, 8, 9], "w": [4, 5, 3, 3], "b": [4]}.items()
    )
    model.graph.ClearField("output")
    model.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    onnx.save(model, saved)
    feeds = {"x": normal(2, 5, 8, 9), "w": normal(4, 5, 3, 3), "b": normal(4)}
    ours = tercel.Session(saved)
    np.testing.assert_allclose(ours.run(feeds)["y"], run_runtime(saved, feeds), rtol=1e-4, atol=1e-4)
    assert "conv_f32_rounded" in ours.explain()


@pytest.mark.parametrize("dtype, function", [("int8", "DynamicQuantizedMatMul"), ("int4", "BlockQuantizedMatMul")])
def test_a_saved_encoder_computes_no_padding(dtype, function, tmp_path):
    saved = tmp_path / "saved.onnx"
    tercel.export_onnx(cli.CHECKPOINTS / "bert_qa", saved, dtype=dtype)
    assert function in {node.op_type for node in onnx.load(saved).graph.node}
    session = tercel.Session(saved)
    assert session.explain().startswith("rows: packed")
    ids, mask = np.arange(12).reshape(2, 6) + 5, np.array([[1] * 6, [1] * 4 + [0] * 2])
    inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
    both = session.run(inputs)["start_logits"]
    alone = session.run({name: array[1:, :4] for name, array in inputs.items()})["start_logits"]
    assert np.array_equal(both[1:, :4], alone)


def test_auto_says_what_it_tried(network):
    x = normal(40, 70)
    chosen = tercel.Session(network, dtype="auto", samples=[{"x": x}], least_cosine=0.999)
    lines = [line for line in chosen.explain().splitlines() if line.startswith("dtype: ")]
    assert lines[0].startswith("dtype: f32: ") and "is used" in lines[-1]
    assert any(line.startswith("dtype: int8: ") for line in lines)
    assert cosine(tercel.Session(network).run({"x": x})["y"], chosen.run({"x": x})["y"]) > 0.999
    with pytest.raises(tercel.errors.NotFoundError, match="no input of the model"):
        tercel.Session(network, dtype="auto", samples=[{"z": x}])


def test_auto_leaves_out_kinds_of_convolutions(convolutions):
    """A cosine that int8 cannot keep: either another type is faster, or weights of one shape after the other stay."""
    x = normal(2, 3, 19, 23)
    chosen = tercel.Session(convolutions, dtype="auto", samples=[{"x": x}], least_cosine=0.9999999)
    lines = [line for line in chosen.explain().splitlines() if line.startswith("dtype: ")]
    assert any(line.startswith("dtype: int8: ") for line in lines) and "is used" in lines[-1]
    assert cosine(tercel.Session(convolutions).run({"x": x})["y"], chosen.run({"x": x})["y"]) > 0.999


def test_auto_on_the_command_line_tries_the_arrays_that_are_read(network, tmp_path):
    np.save(tmp_path / "x.npy", normal(4, 70))
    run = ["run", network, "--dtype", "auto", "--explain", "--input"]
    done = cli.tercel(*run, f"x={tmp_path / 'x.npy'}")
    assert done.returncode == 0 and b"dtype: int8: " in done.stderr
    assert 'a sample has "z", which is no input of the model' in cli.refused(*run, f"z={tmp_path / 'x.npy'}")


def test_the_saved_model_is_the_same_elsewhere(network, tmp_path):
    saved = tmp_path / "int8.onnx"
    tercel.export_onnx(network, saved, dtype="int8")
    model = onnx.load(saved)
    onnx.checker.check_model(model, full_check=True)
    weights = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert list(weights.values()).count(TensorProto.INT8) == 2
    x = normal(9, 70)
    ours = tercel.Session(saved).run({"x": x})["y"]
    assert np.array_equal(ours, tercel.Session(network, dtype="int8").run({"x": x})["y"])
    theirs = run_runtime(saved, {"x": x})
    # A rounding of the second product's rows may fall to the other side: one step of 255.
    assert np.abs(ours - theirs).max() < 0.05 * np.abs(theirs).max()
    assert cosine(ours, theirs) > 0.99999


@pytest.mark.parametrize("weight_type", [QuantType.QInt8, QuantType.QUInt8])
def test_models_that_onnx_runtime_quantised(network, tmp_path, weight_type):
    saved = tmp_path / "dynamic.onnx"
    quantize_dynamic(network, saved, per_channel=True, weight_type=weight_type)
    assert any(node.op_type == "MatMulInteger" for node in onnx.load(saved).graph.node)
    x = normal(9, 70)
    ours = tercel.Session(saved)
    np.testing.assert_allclose(ours.run({"x": x})["y"], run_runtime(saved, {"x": x}), rtol=1e-4, atol=1e-3)
    assert "gemm_int8" in ours.explain()


class Images(CalibrationDataReader):
    """What static quantisation looks at."""

    def __init__(self):
        self.images = iter([normal(2, 3, 19, 23) for _ in range(4)])

    def get_next(self):
        image = next(self.images, None)
        return None if image is None else {"x": image}


@pytest.mark.parametrize("activation", [QuantType.QUInt8, QuantType.QInt8])
@pytest.mark.parametrize("form", [QuantFormat.QOperator, QuantFormat.QDQ])
def test_convolutions_that_onnx_runtime_quantised(convolutions, tmp_path, form, activation):
    saved = tmp_path / "static.onnx"
    quantize_static(
        convolutions, saved, Images(), quant_format=form, per_channel=True, activation_type=activation,
        weight_type=QuantType.QInt8, op_types_to_quantize=["Conv", "Relu"],
    )  # fmt: skip
    x = normal(3, 3, 19, 23)
    ours = tercel.Session(saved)
    y = ours.run({"x": x})["y"]
    theirs = run_runtime(saved, {"x": x})
    assert np.abs(y - theirs).max() < 0.05 * np.abs(theirs).max()
    assert cosine(y, theirs) > 0.999
    assert ours.explain().count("conv_int8") >= 3


@pytest.mark.parametrize("activation", [QuantType.QUInt8, QuantType.QInt8])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("isa", [None, "generic"])
def test_a_static_network_runs_on_bytes(convolutions, tmp_path, activation, symmetric, isa):
    """Every operator that ONNX Runtime quantises: few steps of the last bytes apart; batches and threads alike."""
    saved = tmp_path / "static.onnx"
    quantize_static(
        convolutions, saved, Images(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=activation,
        weight_type=QuantType.QInt8, extra_options={"ActivationSymmetric": symmetric},
    )  # fmt: skip
    x = normal(5, 3, 19, 23)
    ours = session(saved, isa)
    y = ours.run({"x": x})["y"]
    theirs = run_runtime(saved, {"x": x})
    step = np.diff(np.unique(theirs)).min()
    assert np.abs(y - theirs).max() < 4.5 * step
    assert cosine(y, theirs) > 0.9995
    assert "QLinearConv + tercel.QLinearAdd" in ours.explain()
    assert np.array_equal(session(saved, isa, threads=1).run({"x": x})["y"], y)
    for rows in (slice(0, 1), slice(2, 5)):
        assert np.array_equal(ours.run({"x": x[rows]})["y"], y[rows])
