"""Models through Tercel's file and text forms, held against the onnx package and ONNX Runtime."""

import os
import pathlib
import re
import subprocess

import numpy as np
import onnx
import onnx.backend.test
import onnx.parser
import onnx.printer
import pytest
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = pathlib.Path(os.environ.get("TERCEL_BUILD", ROOT / "build")) / "tests" / "ir_tool"
FIXTURES = sorted((ROOT / "tests" / "data" / "onnx").glob("*.onnx"))
BACKEND = sorted(pathlib.Path(onnx.backend.test.__file__).parent.glob("data/**/*.onnx"))

pytestmark = pytest.mark.skipif(not TOOL.exists(), reason=f"{TOOL} is not built")


def tool(*arguments):
    done = subprocess.run([TOOL, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def value_of(tensor):
    array = numpy_helper.to_array(tensor)
    return tensor.data_type, array.shape, array.tobytes() if array.dtype != object else array.tolist()


def dense(sparse):
    """Sparse tensors are held, and written, as dense ones."""
    values = numpy_helper.to_array(sparse.values)
    indices = numpy_helper.to_array(sparse.indices)
    array = np.zeros(list(sparse.dims), values.dtype)
    if indices.ndim == 1:
        array.flat[indices] = values
    else:
        array[tuple(indices.T)] = values
    return numpy_helper.from_array(array)


def kind_of(type_proto):
    return type_proto.SerializeToString(deterministic=True)


def attribute_of(attribute):
    if attribute.ref_attr_name:
        return attribute.name, attribute.type, attribute.ref_attr_name
    value = helper.get_attribute_value(attribute)
    kind = attribute.type
    name = "value" if attribute.name == "sparse_value" else attribute.name
    if kind == onnx.AttributeProto.SPARSE_TENSOR:
        return name, onnx.AttributeProto.TENSOR, value_of(dense(value))
    if kind == onnx.AttributeProto.SPARSE_TENSORS:
        return name, onnx.AttributeProto.TENSORS, [value_of(dense(sparse)) for sparse in value]
    if kind == onnx.AttributeProto.TENSOR:
        value = value_of(value)
    elif kind == onnx.AttributeProto.GRAPH:
        value = graph_of(value)
    elif kind == onnx.AttributeProto.GRAPHS:
        value = [graph_of(graph) for graph in value]
    elif kind == onnx.AttributeProto.TENSORS:
        value = [value_of(tensor) for tensor in value]
    elif kind == onnx.AttributeProto.TYPE_PROTO:
        value = kind_of(value)
    elif kind == onnx.AttributeProto.TYPE_PROTOS:
        value = [kind_of(each) for each in value]
    elif kind in (onnx.AttributeProto.INTS, onnx.AttributeProto.FLOATS, onnx.AttributeProto.STRINGS):
        value = list(value)
    return attribute.name, kind, value


def node_of(node):
    domain = "" if node.domain == "ai.onnx" else node.domain
    return (
        node.name,
        domain,
        node.op_type,
        node.overload,
        list(node.input),
        list(node.output),
        [attribute_of(attribute) for attribute in node.attribute],
    )


def graph_of(graph):
    known = {name for node in graph.node for name in node.output}
    outputs = {value.name for value in graph.output}
    return (
        graph.name,
        [(value.name, kind_of(value.type)) for value in graph.input],
        [(value.name, kind_of(value.type)) for value in graph.output],
        {tensor.name: value_of(tensor) for tensor in graph.initializer}
        | {sparse.values.name: value_of(dense(sparse)) for sparse in graph.sparse_initializer},
        {value.name: kind_of(value.type) for value in graph.value_info if value.name in known - outputs},
        [node_of(node) for node in graph.node],
    )


def function_of(function):
    return (
        function.domain,
        function.name,
        function.overload,
        list(function.input),
        list(function.output),
        list(function.attribute),
        [attribute_of(attribute) for attribute in function.attribute_proto],
        [node_of(node) for node in function.node],
    )


def model_of(model):
    opsets = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}
    return (
        model.ir_version,
        opsets,
        graph_of(model.graph),
        sorted((function_of(function) for function in model.functions), key=repr),
    )


def through_file(path, out, *options):
    tool("onnx2onnx", path, out, *options)
    return onnx.load(out)


def through_text(path, tmp_path):
    text = tool("onnx2text", path)
    (tmp_path / "model.txt").write_text(text)
    tool("text2onnx", tmp_path / "model.txt", tmp_path / "text.onnx")
    assert tool("onnx2text", tmp_path / "text.onnx") == text
    return text, onnx.load(tmp_path / "text.onnx")


def valid(path):
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception:
        return False
    return True


@pytest.mark.parametrize("path", FIXTURES + BACKEND, ids=lambda path: path.parent.name + "/" + path.name)
def test_what_is_written_is_what_was_read(path, tmp_path):
    original = onnx.load(path)
    written = through_file(path, tmp_path / "file.onnx")
    assert model_of(written) == model_of(original)
    if valid(path):
        onnx.checker.check_model(str(tmp_path / "file.onnx"), full_check=True)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_text_comes_back(path, tmp_path):
    _, read = through_text(path, tmp_path)
    assert model_of(read) == model_of(onnx.load(path))


def text_models():
    small = [path for path in FIXTURES + BACKEND if path.stat().st_size < 300_000]
    return small[:: max(1, len(small) // 60)]


@pytest.mark.parametrize("path", text_models(), ids=lambda path: path.parent.name + "/" + path.name)
def test_onnx_parser_reads_our_text(path, tmp_path):
    text, ours = through_text(path, tmp_path)
    if re.search(": (tensors|graphs|type_protos) =", text):
        pytest.skip("onnx reads no lists of these kinds")
    theirs = onnx.parser.parse_model(text)
    assert model_of(theirs) == model_of(ours)


@pytest.mark.parametrize("path", text_models(), ids=lambda path: path.parent.name + "/" + path.name)
def test_we_read_text_of_onnx_printer(path, tmp_path):
    model = onnx.load(path)
    if any(function.attribute_proto for function in model.functions):
        pytest.skip("onnx leaves defaults of functions out of the text")
    text = onnx.printer.to_text(model)
    try:
        expected = onnx.parser.parse_model(text)
    except onnx.parser.ParseError:
        pytest.skip("onnx does not read its own text of this model")
    (tmp_path / "theirs.txt").write_text(text)
    tool("text2onnx", tmp_path / "theirs.txt", tmp_path / "theirs.onnx")
    assert model_of(onnx.load(tmp_path / "theirs.onnx")) == model_of(expected)


def random_feeds(session, seed=3):
    random = np.random.default_rng(seed)
    types = {
        "tensor(float)": np.float32,
        "tensor(int64)": np.int64,
        "tensor(bool)": np.bool_,
        "tensor(int32)": np.int32,
        "tensor(double)": np.float64,
        "tensor(float16)": np.float16,
    }
    feeds = {}
    for value in session.get_inputs():
        if value.type not in types:
            return None
        shape = [dim if isinstance(dim, int) else 3 for dim in value.shape]
        feeds[value.name] = random.integers(0, 2, shape).astype(types[value.type])
    return feeds


@pytest.mark.parametrize("options", [[], ["--external"]], ids=["inside", "external"])
@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_onnx_runtime_computes_the_same(path, options, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    through_file(path, tmp_path / "file.onnx", *options)
    again = tmp_path / "again.onnx"
    through_file(tmp_path / "file.onnx", again)
    settings = ort.SessionOptions()
    settings.log_severity_level = 4
    try:
        session = ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        feeds = random_feeds(session)
        expected = session.run(None, feeds) if feeds is not None else None
    except Exception:
        pytest.skip("ONNX Runtime does not run the model")
    if expected is None:
        pytest.skip("inputs of other types")
    for written in (tmp_path / "file.onnx", again):
        outputs = ort.InferenceSession(str(written), settings, providers=["CPUExecutionProvider"]).run(None, feeds)
        for value, other in zip(outputs, expected, strict=True):
            np.testing.assert_array_equal(value, other)


TYPES = [value for name, value in TensorProto.DataType.items() if name != "UNDEFINED"]


@pytest.mark.parametrize("raw", [False, True], ids=["typed", "raw"])
@pytest.mark.parametrize("dtype", TYPES, ids=TensorProto.DataType.Name)
def test_every_element_type(dtype, raw, tmp_path):
    shape = [3, 5]
    if dtype == TensorProto.STRING:
        if raw:
            pytest.skip("strings are never raw")
        values = np.array([f'a"{i}\\ é' for i in range(15)], dtype=object).reshape(shape)
    else:
        values = (np.arange(15).reshape(shape) % 2).astype(helper.tensor_dtype_to_np_dtype(dtype))
    if raw or dtype == TensorProto.STRING:
        tensor = numpy_helper.from_array(values, "w")
    else:
        tensor = helper.make_tensor("w", dtype, shape, values.flatten().tolist())
    output = helper.make_tensor_value_info("y", dtype, shape)
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [], [output], [tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 28)], ir_version=14)
    onnx.save(model, tmp_path / "in.onnx")
    assert model_of(through_file(tmp_path / "in.onnx", tmp_path / "out.onnx")) == model_of(model)
    _, read = through_text(tmp_path / "in.onnx", tmp_path)
    assert model_of(read) == model_of(model)
