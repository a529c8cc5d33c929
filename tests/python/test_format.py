"""The whole of ONNX's format: element types, functions, sparse constants, metadata, files beyond 2 GiB."""

import os
import pathlib
import subprocess

import ml_dtypes
import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

import cli
from models import assert_same, make, onnx_runtime, ours

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
A_FLOAT = onnx.AttributeProto.FLOAT
RNG = np.random.default_rng(3)
node = helper.make_node
TOOL = (
    pathlib.Path(os.environ.get("TERCEL_BUILD", pathlib.Path(__file__).resolve().parents[2] / "build"))
    / "tests/ir_tool"
)

NUMBERS = [
    *("FLOAT", "DOUBLE", "FLOAT16", "BFLOAT16", "BOOL"),
    *("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "UINT4", "INT4", "UINT2", "INT2"),
    *("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ", "FLOAT4E2M1", "FLOAT6E2M3", "FLOAT6E3M2"),
]


def dtype_of(name):
    return helper.tensor_dtype_to_np_dtype(getattr(TensorProto, name))


def cast_model(source, target, shape, **attributes):
    kinds = [getattr(TensorProto, source), getattr(TensorProto, target)]
    return make(
        [node("Cast", ["x"], ["y"], to=kinds[1], **attributes)],
        [("x", kinds[0], shape)],
        [("y", kinds[1], shape)],
        ir_version=14,
    )


@pytest.mark.parametrize("source", NUMBERS)
def test_casts_agree_with_the_reference(source, tmp_path):
    """Whole numbers that both types hold; what does not fit is defined for few pairs."""
    for target in NUMBERS:
        values = (
            np.array([0, 1, 1, 0, 1, 0, 1])
            if {"BOOL", "INT2", "UINT2"} & {source, target}
            else np.array([0, 1, 2, 3, 4, 6, 7])
        )
        x = values.astype(np.float32).astype(dtype_of(source))
        model = cast_model(source, target, [7])
        try:
            expected = ReferenceEvaluator(model).run(None, {"x": x})[0]
        except TypeError:  # ml_dtypes has no cast between some of its own types
            expected = x.astype(np.float32).astype(dtype_of(target))
        got = ours(model, {"x": x}, tmp_path)[0]
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got.astype(np.float32), expected.astype(np.float32), f"{source} to {target}")


@pytest.mark.parametrize("saturate", [0, 1])
@pytest.mark.parametrize("target", ["FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"])
def test_float8_rounds_and_saturates(target, saturate, tmp_path):
    x = np.concatenate(
        [RNG.standard_normal(500) * 10.0 ** RNG.integers(-6, 7, 500), [0, -0.0, np.inf, -np.inf]]
    ).astype(np.float32)
    model = cast_model("FLOAT", target, [len(x)], saturate=saturate)
    expected = ReferenceEvaluator(model).run(None, {"x": x})[0].astype(np.float32)
    np.testing.assert_array_equal(ours(model, {"x": x}, tmp_path)[0].astype(np.float32), expected)


@pytest.mark.parametrize("round_mode", ["up", "down", "nearest"])
def test_float8e8m0_rounds(round_mode, tmp_path):
    x = np.abs(RNG.standard_normal(300) * 10.0 ** RNG.integers(-20, 20, 300)).astype(np.float32)
    model = cast_model("FLOAT", "FLOAT8E8M0", [len(x)], round_mode=round_mode)
    expected = ReferenceEvaluator(model).run(None, {"x": x})[0].view(np.uint8)
    np.testing.assert_array_equal(ours(model, {"x": x}, tmp_path)[0].view(np.uint8), expected)


@pytest.mark.parametrize("name", [*NUMBERS, "FLOAT8E8M0"])
def test_arrays_of_every_type_go_through(name, tmp_path):
    kind = getattr(TensorProto, name)
    model = make([node("Identity", ["x"], ["y"])], [("x", kind, [3, 5])], [("y", kind, [3, 5])], ir_version=14)
    x = (np.arange(15).reshape(3, 5) % 2).astype(np.float32).astype(dtype_of(name))
    (y,) = ours(model, {"x": x}, tmp_path)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y.astype(np.float32), x.astype(np.float32))


@pytest.mark.parametrize("values", [["1.5", "-2e3", "nan"], ["INF", "-inf", "+7"]])
def test_text_becomes_numbers(values, tmp_path):
    model = make([node("Cast", ["x"], ["y"], to=FLOAT)], [("x", TensorProto.STRING, [3])], [("y", FLOAT, [3])])
    (y,) = ours(model, {"x": np.array(values, object)}, tmp_path)
    np.testing.assert_array_equal(y, np.array(values, np.float32))
    with pytest.raises(tercel.errors.InvalidArgumentError, match="seven"):
        ours(model, {"x": np.array(["1", "seven", "2"], object)}, tmp_path)


def function(name, inputs, outputs, nodes, overload="", attributes=(), defaults=()):
    made = helper.make_function(
        "local",
        name,
        inputs,
        outputs,
        nodes,
        [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)],
        attributes,
        list(defaults),
    )
    made.overload = overload
    return made


def reference_to(name, attribute, kind):
    made = onnx.AttributeProto(name=attribute, ref_attr_name=name, type=kind)
    return made


def with_references(each, *attributes):
    each.attribute.extend(attributes)
    return each


@pytest.mark.parametrize("optimize", [True, False])
def test_functions_call_functions_with_attributes_and_defaults(optimize, tmp_path):
    leaky = function(
        "Leaky",
        ["x"],
        ["y"],
        [with_references(node("LeakyRelu", ["x"], ["y"]), reference_to("slope", "alpha", A_FLOAT))],
        defaults=[helper.make_attribute("slope", 0.25)],
    )
    twice = function(
        "Twice",
        ["x"],
        ["y"],
        [
            with_references(node("Leaky", ["x"], ["a"], domain="local"), reference_to("alpha", "slope", A_FLOAT)),
            node("Leaky", ["a"], ["y"], domain="local"),
        ],
        attributes=["alpha"],
    )
    model = make(
        [node("Twice", ["x"], ["y"], domain="local", alpha=0.5)],
        [("x", FLOAT, [4])],
        [("y", FLOAT, [4])],
        opset=20,
        functions=[leaky, twice],
    )
    x = np.float32([-8, -1, 0, 3])
    assert_same(ours(model, {"x": x}, tmp_path, optimize=optimize), [np.float32([-1, -0.125, 0, 3])])


def test_functions_by_overload(tmp_path):
    up = function("F", ["x"], ["y"], [node("Add", ["x", "x"], ["y"])], "up")
    down = function("F", ["x"], ["y"], [node("Sub", ["x", "x"], ["y"])], "down")
    calls = [node("F", ["x"], ["a"], domain="local"), node("F", ["x"], ["b"], domain="local")]
    calls[0].overload, calls[1].overload = "up", "down"
    model = make(calls, [("x", FLOAT, [2])], [("a", FLOAT, [2]), ("b", FLOAT, [2])], opset=20, functions=[up, down])
    x = np.float32([1, 2])
    assert_same(ours(model, {"x": x}, tmp_path), [2 * x, 0 * x])


def test_recursive_functions_are_refused(tmp_path):
    loop = function("F", ["x"], ["y"], [node("F", ["x"], ["y"], domain="local")])
    model = make(
        [node("F", ["x"], ["y"], domain="local")], [("x", FLOAT, [2])], [("y", FLOAT, [2])], opset=20, functions=[loop]
    )
    with pytest.raises(tercel.errors.InvalidFileError, match="circle"):
        ours(model, {"x": np.float32([1, 2])}, tmp_path)


def test_sparse_initializers(tmp_path):
    values = numpy_helper.from_array(np.float32([2, 3]), "w")
    sparse = helper.make_sparse_tensor(values, numpy_helper.from_array(np.array([1, 5])), [2, 3])
    model = make([node("Add", ["x", "w"], ["y"])], [("x", FLOAT, [2, 3])], [("y", FLOAT, [2, 3])], opset=20)
    model.graph.sparse_initializer.append(sparse)
    x = np.zeros((2, 3), np.float32)
    assert_same(ours(model, {"x": x}, tmp_path), [np.float32([[0, 2, 0], [0, 0, 3]])])


def entries(field):
    return {entry.key: entry.value for entry in field}


def test_metadata_and_annotations_come_back(tmp_path):
    model = make(
        [node("Add", ["x", "w"], ["y"])],
        [("x", FLOAT, [2])],
        [("y", FLOAT, [2])],
        [("w", np.float32([1, 2])), ("s", np.float32(1))],
        opset=20,
    )
    for place in (model, model.graph, model.graph.node[0], model.graph.input[0], model.graph.initializer[0]):
        place.metadata_props.add(key="k", value=type(place).__name__)
    annotation = model.graph.quantization_annotation.add(tensor_name="w")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="s")
    onnx.save(model, tmp_path / "in.onnx")
    for options in ([], ["--external"]):
        subprocess.run([TOOL, "onnx2onnx", tmp_path / "in.onnx", tmp_path / "out.onnx", *options], check=True)
        read = onnx.load(tmp_path / "out.onnx")
        for place in (read, read.graph, read.graph.node[0], read.graph.input[0], read.graph.initializer[0]):
            assert entries(place.metadata_props) == {"k": type(place).__name__}
        (kept,) = read.graph.quantization_annotation
        assert kept.tensor_name == "w"
        assert entries(kept.quant_parameter_tensor_names) == {"SCALE_TENSOR": "s"}


def test_maps_and_sparse_tensors_are_shown_and_kept(tmp_path):
    """Types that no operator of Tercel takes: shown, written back, and refused by the operator's name when run."""
    tensor = helper.make_tensor_type_proto
    scores = helper.make_map_type_proto(INT64, tensor(FLOAT, []))
    kinds = {
        "maps": helper.make_sequence_type_proto(scores),
        "table": helper.make_map_type_proto(TensorProto.STRING, helper.make_sequence_type_proto(tensor(FLOAT, ["n"]))),
        "perhaps": helper.make_optional_type_proto(scores),
        "sparse": helper.make_sparse_tensor_type_proto(FLOAT, ["a", 4]),
    }
    inputs = [helper.make_tensor_value_info("x", FLOAT, ["batch", 3])]
    inputs += [helper.make_value_info(name, kind) for name, kind in kinds.items() if name != "maps"]
    zip_map = node("ZipMap", ["x"], ["maps"], name="zip", domain="ai.onnx.ml", classlabels_int64s=[1, 2, 3])
    graph = helper.make_graph([zip_map], "g", inputs, [helper.make_value_info("maps", kinds["maps"])])
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("ai.onnx.ml", 3)]
    path, copy = tmp_path / "maps.onnx", tmp_path / "copy.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets), path)
    shown = cli.output("show", path)
    for name, text in {
        "maps": "seq(map(int64, float))",
        "table": "map(string, seq(float[n]))",
        "perhaps": "optional(map(int64, float))",
        "sparse": "sparse_tensor(float[a,4])",
    }.items():
        assert f"{name}: {text}\n" in shown
    cli.output("export", path, "--output", copy)
    written = onnx.load(copy).graph
    assert list(written.input) == inputs and written.output[0] == graph.output[0]
    text = subprocess.run([TOOL, "onnx2text", path], capture_output=True, text=True, check=True).stdout
    (tmp_path / "m.txt").write_text(text)
    assert onnx.parser.parse_model(text).graph.input[1].type == kinds["table"]
    with pytest.raises(tercel.Error, match=r'\[ai.onnx.ml.ZipMap "zip"\] is not an operator'):
        tercel.Session(str(path))


def test_training_information_is_left_out_with_a_warning(tmp_path):
    model = make([node("Relu", ["x"], ["y"])], [("x", FLOAT, [2])], [("y", FLOAT, [2])], opset=20)
    model.training_info.add().algorithm.name = "a"
    onnx.save(model, tmp_path / "m.onnx")
    assert any("training" in warning for warning in tercel.Session(tmp_path / "m.onnx").warnings)


def test_a_model_over_2_gib_by_external_data(tmp_path):
    """A sparse file: only the pages that are touched exist."""
    rows, columns = 12_000_000, 64
    with open(tmp_path / "w.bin", "wb") as file:
        file.truncate(rows * columns * 4)
        file.seek((rows - 1) * columns * 4)
        file.write(np.arange(columns, dtype=np.float32).tobytes())
    model = make([node("Gather", ["w", "i"], ["y"])], [("i", INT64, [1])], [("y", FLOAT, [1, columns])], opset=20)
    weight = model.graph.initializer.add(
        name="w", data_type=FLOAT, dims=[rows, columns], data_location=TensorProto.EXTERNAL
    )
    weight.external_data.add(key="location", value="w.bin")
    onnx.save(model, tmp_path / "m.onnx")
    session = tercel.Session(tmp_path / "m.onnx", threads=1, memory_limit=64 << 20)
    assert_same([session.run({"i": np.array([rows - 1])})["y"]], [np.arange(columns, dtype=np.float32)[None]])


def test_external_data_is_written_beside_the_model(tmp_path):
    w = RNG.standard_normal((64, 64)).astype(np.float32)
    model = make(
        [node("MatMul", ["x", "w"], ["y"])], [("x", FLOAT, [1, 64])], [("y", FLOAT, [1, 64])], [("w", w)], opset=20
    )
    onnx.save(model, tmp_path / "in.onnx")
    tercel.export_onnx(tmp_path / "in.onnx", tmp_path / "out.onnx", external_data=True)
    assert (tmp_path / "out.onnx.data").stat().st_size >= w.nbytes
    assert (tmp_path / "out.onnx").stat().st_size < 1000
    x = RNG.standard_normal((1, 64)).astype(np.float32)
    exported = onnx.load(tmp_path / "out.onnx")
    assert_same(onnx_runtime(exported, {"x": x}), ours(model, {"x": x}, tmp_path), 1e-4, 1e-4)


def test_ml_dtypes_are_the_results(tmp_path):
    (y,) = ours(cast_model("FLOAT", "INT4", [3]), {"x": np.float32([-8, 7, -1])}, tmp_path)
    assert y.dtype == ml_dtypes.int4
    np.testing.assert_array_equal(y.astype(np.int8), [-8, 7, -1])
