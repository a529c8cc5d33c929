"""8-bit weights and activations: what a session makes of a model, and what ONNX Runtime makes of the saved file."""

import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto, helper
from onnxruntime.quantization import QuantType, quantize_dynamic
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


def test_auto_says_what_it_tried(network):
    x = normal(40, 70)
    chosen = tercel.Session(network, dtype="auto", samples=[{"x": x}], least_cosine=0.999)
    lines = [line for line in chosen.explain().splitlines() if line.startswith("dtype: ")]
    assert lines[0].startswith("dtype: f32: ") and "is used" in lines[-1]
    assert any(line.startswith("dtype: int8: ") for line in lines)
    assert cosine(tercel.Session(network).run({"x": x})["y"], chosen.run({"x": x})["y"]) > 0.999
    with pytest.raises(tercel.errors.NotFoundError, match="no input of the model"):
        tercel.Session(network, dtype="auto", samples=[{"z": x}])


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
