"""The Python session against ONNX Runtime and numpy, on models made here."""

import gc
import sys
import threading
import weakref

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
import tercel
from onnx import TensorProto, helper, numpy_helper

from cli import CHECKPOINTS

RNG = np.random.default_rng(7)


def save(path, nodes, inputs, outputs, constants=(), opset=20):
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(*entry) for entry in inputs],
        [helper.make_tensor_value_info(*entry) for entry in outputs],
        [numpy_helper.from_array(array, name) for name, array in constants],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


@pytest.fixture
def linear(tmp_path):
    """y = relu(x · w + b), with a symbolic batch."""
    return save(
        tmp_path / "linear.onnx",
        [
            helper.make_node("MatMul", ["x", "w"], ["product"]),
            helper.make_node("Add", ["product", "b"], ["sum"]),
            helper.make_node("Relu", ["sum"], ["y"]),
        ],
        [("x", TensorProto.FLOAT, ["batch", 37])],
        [("y", TensorProto.FLOAT, ["batch", 19])],
        [
            ("w", RNG.standard_normal((37, 19)).astype(np.float32)),
            ("b", RNG.standard_normal(19).astype(np.float32)),
        ],
    )


def identity(tmp_path, element_type, shape):
    return save(
        tmp_path / "identity.onnx",
        [helper.make_node("Identity", ["x"], ["y"])],
        [("x", element_type, shape)],
        [("y", element_type, shape)],
    )


def test_inputs_and_outputs_are_listed(linear):
    session = tercel.Session(linear)
    assert session.inputs == [tercel.TensorInfo("x", "f32", ("batch", 37), "float[batch,37]")]
    assert session.outputs == [tercel.TensorInfo("y", "f32", ("batch", 19), "float[batch,19]")]


@pytest.mark.parametrize("batch", [1, 2, 33])
def test_agrees_with_onnx_runtime(linear, batch):
    x = RNG.standard_normal((batch, 37)).astype(np.float32)
    (expected,) = onnxruntime.InferenceSession(str(linear)).run(None, {"x": x})
    actual = tercel.Session(linear, dtype="f32", threads=2, devices="cpu").run({"x": x})
    assert list(actual) == ["y"]
    np.testing.assert_allclose(actual["y"], expected, rtol=1e-5, atol=1e-5)


def test_an_array_that_is_not_contiguous_is_read_in_order(linear):
    session = tercel.Session(linear)
    x = RNG.standard_normal((37, 4)).astype(np.float32)
    np.testing.assert_array_equal(session.run({"x": x.T})["y"], session.run({"x": x.T.copy()})["y"])


@pytest.mark.parametrize(
    "dtype",
    ["float16", "float32", "float64", "int8", "uint8", "int32", "int64", "bool", ml_dtypes.bfloat16],
    ids=str,
)
@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 3, 4)], ids=str)
def test_every_type_goes_through(tmp_path, dtype, shape):
    x = np.asarray(RNG.integers(0, 2, shape)).astype(dtype)
    path = identity(tmp_path, helper.np_dtype_to_tensor_dtype(x.dtype), list(shape))
    y = tercel.Session(path).run({"x": x})["y"]
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)


def test_strings_go_through(tmp_path):
    x = np.array([["a", "é\0b"], ["", "日本"]], dtype=object)
    session = tercel.Session(identity(tmp_path, TensorProto.STRING, [2, 2]))
    np.testing.assert_array_equal(session.run({"x": x})["y"], x)


def test_results_do_not_share_memory_with_inputs(tmp_path):
    x = np.arange(6, dtype=np.float32)
    x.flags.writeable = False
    y = tercel.Session(identity(tmp_path, TensorProto.FLOAT, [6])).run({"x": x})["y"]
    y[:] = -1
    assert x.tolist() == [0, 1, 2, 3, 4, 5]


def test_inputs_are_let_go_and_results_outlive_the_session(linear):
    session = tercel.Session(linear)
    x = np.ones((2, 37), np.float32)
    references = sys.getrefcount(x)
    for _ in range(10):
        y = session.run({"x": x})["y"]
    assert sys.getrefcount(x) == references
    alive = weakref.ref(session)
    expected = y.copy()
    del session
    gc.collect()
    assert alive() is None
    np.testing.assert_array_equal(y, expected)


def test_many_threads_share_a_session(linear):
    session = tercel.Session(linear, threads=1)
    inputs = [RNG.standard_normal((n, 37)).astype(np.float32) for n in range(1, 9)]
    expected = [session.run({"x": x})["y"] for x in inputs]
    results = [None] * len(inputs)

    def work(index):
        for _ in range(20):
            results[index] = session.run({"x": inputs[index]})["y"]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(inputs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for actual, wanted in zip(results, expected):
        np.testing.assert_array_equal(actual, wanted)


def test_errors_are_exceptions_with_codes(linear, tmp_path):
    with pytest.raises(FileNotFoundError) as missing:
        tercel.Session(tmp_path / "none.onnx")
    assert isinstance(missing.value, tercel.Error) and missing.value.code == "not_found"
    assert "none.onnx" in str(missing.value)

    (tmp_path / "garbage.onnx").write_bytes(RNG.bytes(1000))
    with pytest.raises(tercel.Error) as garbage:
        tercel.Session(tmp_path / "garbage.onnx")
    assert garbage.value.code == "invalid_file"

    session = tercel.Session(linear)
    with pytest.raises(ValueError, match="x"):
        session.run({"x": np.ones((2, 36), np.float32)})
    with pytest.raises(ValueError, match="x"):
        session.run({"x": np.ones((2, 37), np.float64)})
    with pytest.raises(tercel.Error):
        session.run({})
    with pytest.raises(tercel.Error, match="nothing"):
        session.run({"x": np.ones((2, 37), np.float32)}, outputs=["nothing"])
    with pytest.raises(ValueError, match="by name"):
        session.run({0: np.ones((2, 37), np.float32)})
    with pytest.raises(ValueError, match="datetime64"):
        session.run({"x": np.zeros(2, "datetime64[s]")})
    with pytest.raises(ValueError, match="half"):
        tercel.Session(linear, dtype="half")
    with pytest.raises(TypeError, match="thread_count"):
        tercel.Session(linear, thread_count=2)


def test_a_deadline_stops_a_run(linear):
    with pytest.raises(TimeoutError):
        tercel.Session(linear).run({"x": np.ones((2, 37), np.float32)}, timeout=0)


def test_bound_arrays_are_read_and_written_in_place():
    session = tercel.Session(CHECKPOINTS / "bert_qa")
    inputs = {info.name: np.ones((2, 5), np.int64) for info in session.inputs}
    expected = session.run(inputs)
    binding = session.bind()
    start = np.zeros((2, 5), np.float32)
    for name, array in inputs.items():
        binding.bind_input(name, array)
    binding.bind_output("start_logits", start)
    binding.bind_output("end_logits")
    binding.run()
    np.testing.assert_array_equal(start, expected["start_logits"])
    np.testing.assert_array_equal(binding.output("end_logits"), expected["end_logits"])
    inputs["input_ids"][:] = 2  # the array is seen, not its elements of before
    binding.run()
    np.testing.assert_array_equal(start, session.run(inputs)["start_logits"])


def test_what_cannot_be_bound_is_refused():
    binding = tercel.Session(CHECKPOINTS / "bert_qa").bind()
    with pytest.raises(tercel.errors.NotFoundError, match="nothing"):
        binding.bind_input("nothing", np.zeros((1, 1), np.int64))
    with pytest.raises(tercel.errors.InvalidArgumentError, match="input_ids"):
        binding.bind_input("input_ids", np.zeros((1, 1), np.float32))
    with pytest.raises(tercel.errors.InvalidArgumentError, match="contiguous"):
        binding.bind_input("input_ids", np.zeros((4, 4), np.int64)[:, ::2])
    with pytest.raises(tercel.errors.InvalidArgumentError, match="contiguous"):
        binding.bind_output("start_logits", "text")
