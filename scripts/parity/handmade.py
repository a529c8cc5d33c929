"""Small ONNX files made node by node: parts of the format that exporters of encoders seldom write.

Where ONNX Runtime runs a file, ``<name>.expected.safetensors`` holds inputs and its outputs.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from exports import run
from onnx import TensorProto, helper, numpy_helper, parser
from tiny import generator, save_cases

FUNCTIONS = """
<ir_version: 8, opset_import: ["" : 17, "local" : 1]>
main (float[N, 6] x) => (float[N, 6] y) {
  a = local.ScaledGelu <scale: float = 1.5> (x)
  b = local.ScaledGelu (a)
  y = local.Twice (b)
}
<domain: "local", opset_import: ["" : 17]>
Gelu (x) => (y) {
  root = Constant <value_float: float = 1.4142135> ()
  half = Constant <value_float: float = 0.5> ()
  one = Constant <value_float: float = 1.0> ()
  a = Div (x, root)
  b = Erf (a)
  c = Add (b, one)
  d = Mul (x, c)
  y = Mul (d, half)
}
<domain: "local", opset_import: ["" : 17, "local" : 1]>
ScaledGelu <scale: float = 0.75> (x) => (y) {
  factor = Constant <value_float: float = @scale> ()
  a = local.Gelu (x)
  y = Mul (a, factor)
}
<domain: "local", opset_import: ["" : 17]>
Twice (x) => (y) {
  y = Add (x, x)
}
"""

IF_CAPTURE = """
<ir_version: 8, opset_import: ["" : 17]>
main (float[N, 4] x, bool flag, bool deep) => (float[N, M] y)
<float[4] bias = {0.5, -1.0, 2.0, 0.25}>
{
  outer = Add (x, bias)
  y = If (flag) <
    then_branch = positive () => (float[N, 4] p) {
      p = Relu (outer)
    },
    else_branch = other () => (float[N, M] o) {
      o = If (deep) <
        then_branch = inner () => (float[N, 8] both) { both = Concat <axis = 1> (outer, x) },
        else_branch = plain () => (float[N, 4] negative) { negative = Neg (outer) }
      >
    }
  >
}
"""

OPSET_11 = """
<ir_version: 6, opset_import: ["" : 11]>
main (float[B, S, 8] x) => (float[B, S, 8] y, float[B, 8] pooled, float[B, S, 8] flat)
{
  mean = ReduceMean <axes = [-1]> (x)
  d = Sub (x, mean)
  d2 = Mul (d, d)
  variance = ReduceMean <axes = [-1], keepdims = 1> (d2)
  eps = Constant <value = float {0.00001}> ()
  v = Add (variance, eps)
  s = Sqrt (v)
  n = Div (d, s)
  h = MatMul (n, w1)
  h1 = Add (h, b1)
  low = Constant <value = float {-0.5}> ()
  high = Constant <value = float {2.0}> ()
  h2 = Clip (h1, low, high)
  h3, mask = Dropout <ratio = 0.1> (h2)
  g, u = Split <axis = -1, split = [8, 4]> (h3)
  probabilities = Softmax <axis = -1> (g)
  flat = Softmax (x)
  wide = Unsqueeze <axes = [1, -1]> (probabilities)
  narrow = Squeeze <axes = [-1, 1]> (wide)
  u2 = Concat <axis = -1> (u, u)
  gate = Sigmoid (u2)
  y = Mul (narrow, gate)
  sum = ReduceSum <axes = [1], keepdims = 0> (y)
  pooled = Gemm <alpha = 0.5, beta = 2.0, transB = 1> (sum, w2, b2)
}
"""

NUMBERS = [
    "float",
    "double",
    "float16",
    "int8",
    "uint8",
    "int16",
    "uint16",
    "int32",
    "uint32",
    "int64",
    "uint64",
    "bool",
    "bfloat16",
]


def text_model(text: str, **initializers: np.ndarray) -> onnx.ModelProto:
    model = parser.parse_model(text)
    for name, value in initializers.items():
        model.graph.initializer.append(numpy_helper.from_array(value, name))
    return model


def random(name: str, *shape: int) -> np.ndarray:
    return generator("handmade", name).standard_normal(shape).astype(np.float32)


def functions() -> onnx.ModelProto:
    """Nested model-local functions; an attribute with a default, called with and without it."""
    return text_model(FUNCTIONS)


def if_capture() -> onnx.ModelProto:
    """Branches that use values of the graphs around them, one nested, of different shapes."""
    return text_model(IF_CAPTURE)


def opset_11() -> onnx.ModelProto:
    """What later opsets changed: Softmax over a 2-D view, axes and ratio as attributes."""
    names = {"w1": (8, 12), "b1": (12,), "w2": (8, 8), "b2": (8,)}
    return text_model(OPSET_11, **{name: random(name, *shape) for name, shape in names.items()})


def types() -> onnx.ModelProto:
    """An initializer of every plain type, in raw bytes and in typed fields, and one of strings."""
    nodes, tensors, outputs = [], [], []
    values = [0, 1, 2, 5, 100, 127]
    for name in NUMBERS:
        code = getattr(TensorProto, name.upper())
        plain = [bool(v) for v in values] if name == "bool" else values
        typed = helper.make_tensor(f"{name}_typed", code, [2, 3], plain)
        raw = helper.make_tensor(f"{name}_raw", code, [6], numpy_helper.to_array(typed).tobytes(), True)
        tensors.extend([typed, raw])
        for tensor in (typed, raw):
            nodes.append(helper.make_node("Cast", [tensor.name], [tensor.name + "_out"], to=1))
            outputs.append(helper.make_tensor_value_info(tensor.name + "_out", 1, tensor.dims))
    tensors.append(helper.make_tensor("texts", TensorProto.STRING, [2], [b"plain", "gr\u00fcn".encode()]))
    nodes.append(helper.make_node("Identity", ["texts"], ["texts_out"]))
    outputs.append(helper.make_tensor_value_info("texts_out", TensorProto.STRING, [2]))
    tensors.append(helper.make_tensor("empty", TensorProto.FLOAT, [0, 4], []))
    nodes.append(helper.make_node("Identity", ["empty"], ["empty_out"]))
    outputs.append(helper.make_tensor_value_info("empty_out", 1, [0, 4]))
    graph = helper.make_graph(nodes, "types", [], outputs, tensors)
    return helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])


def external() -> onnx.ModelProto:
    """Weights for a file with external data; saved by the caller."""
    graph = """
    <ir_version: 8, opset_import: ["" : 17]>
    main (float[N, 16] x) => (float[N, 4] y) {
      h = MatMul (x, w)
      h1 = Relu (h)
      y = Gemm (h1, v, b)
    }
    """
    shapes = {"w": (16, 8), "v": (8, 4), "b": (4,)}
    return text_model(graph, **{name: random(name, *shape) for name, shape in shapes.items()})


def attributes() -> onnx.ModelProto:
    """Every kind of attribute, symbolic dimensions, and documentation and metadata at each place.

    The node of the function ``local.Everything`` carries the kinds that no standard operator has.
    """
    small = numpy_helper.from_array(np.array([[1.5, -2.0]], np.float32), "small")
    inner = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["inner_out"])],
        "inner",
        [],
        [helper.make_tensor_value_info("inner_out", 1, ["batch", 3])],
    )
    sparse = helper.make_sparse_tensor(
        numpy_helper.from_array(np.array([3.0, 4.0], np.float32), "values"),
        numpy_helper.from_array(np.array([1, 4], np.int64), "indices"),
        [6],
    )
    kinds = {
        "a_float": 0.1,
        "an_int": -(2**63),
        "a_string": 'gr\u00fcn "quoted" \\ \n',
        "a_tensor": small,
        "a_graph": inner,
        "floats": [1.0, -0.0, 3.4028234663852886e38],
        "ints": [1, -2, 2**63 - 1],
        "strings": ["a", "", "\u6f22"],
        "tensors": [small, small],
        "graphs": [inner, inner],
        "a_sparse": sparse,
        "sparses": [sparse, sparse],
        "a_type": helper.make_optional_type_proto(helper.make_tensor_type_proto(1, ["n", 2])),
        "types": [helper.make_sequence_type_proto(helper.make_tensor_type_proto(7, None))],
    }
    everything = helper.make_node("Everything", ["x"], ["e"], domain="local", name="all kinds")
    everything.attribute.extend(helper.make_attribute(key, value) for key, value in kinds.items())
    everything.doc_string = "A node's documentation."
    helper.set_metadata_props(everything, {"namespace": "root/everything"})
    function = helper.make_function(
        "local",
        "Everything",
        ["v"],
        ["w"],
        [helper.make_node("Identity", ["v"], ["w"])],
        [helper.make_opsetid("", 21)],
        list(kinds),
    )
    function.doc_string = "A function's documentation."
    constants = {
        "value": small,
        "sparse_value": sparse,
        "value_float": 2.5,
        "value_floats": [1.0, 2.0],
        "value_int": 7,
        "value_ints": [7, 8],
        "value_string": "one",
        "value_strings": ["one", "two"],
    }
    nodes = [everything]
    outputs = [helper.make_tensor_value_info("e", 1, ["batch", 3])]
    shapes = [(1, [1, 2]), (1, [6]), (1, []), (1, [2]), (7, []), (7, [2]), (8, []), (8, [2])]
    for (key, value), (code, shape) in zip(constants.items(), shapes):
        nodes.append(helper.make_node("Constant", [], [key], **{key: value}))
        nodes.append(helper.make_node("Identity", [key], [key + "_out"]))
        outputs.append(helper.make_tensor_value_info(key + "_out", code, shape))
    inputs = [helper.make_tensor_value_info("x", 1, ["batch", 3])]
    inputs[0].doc_string = "Rows of three."
    helper.set_metadata_props(inputs[0], {"unit": "none"})
    graph = helper.make_graph(nodes, "attributes", inputs, outputs, doc_string="A graph's documentation.")
    helper.set_metadata_props(graph, {"graph key": "graph value"})
    model = helper.make_model(
        graph,
        functions=[function],
        ir_version=10,
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("local", 1)],
        producer_name="by hand",
        producer_version="1.0",
        domain="example",
        model_version=3,
        doc_string="A model's documentation.",
    )
    helper.set_model_props(model, {"author": "nobody", "empty": ""})
    return model


def inputs_of(name: str, case: int) -> dict[str, np.ndarray]:
    rows = case + 1
    if name == "if_capture":
        flags = {"flag": np.array(case == 0), "deep": np.array(case == 1)}
        return {"x": random(f"{name}{case}", rows, 4)} | flags
    shape = {"functions": (rows, 6), "opset_11": (2, rows, 8), "external": (rows, 16)}
    shape |= {"attributes": (rows, 3)}
    return {"x": random(f"{name}{case}", *shape[name])} if name in shape else {}


def make(folder: Path) -> None:
    """Writes every file into the folder."""
    for build in (functions, if_capture, opset_11, types, external, attributes):
        name = build.__name__
        path = folder / f"{name}.onnx"
        model = build()
        onnx.checker.check_model(model)
        if name == "external":
            onnx.save(
                model,
                path,
                save_as_external_data=True,
                location=f"{name}.data",
                size_threshold=0,
            )
            (folder / f"{name}.data").chmod(0o644)
        else:
            onnx.save(model, path)
        onnx.checker.check_model(str(path))
        cases = []
        for case in range(3 if inputs_of(name, 0) else 1):
            inputs = inputs_of(name, case)
            outputs = {key: v for key, v in run(path, inputs).items() if v.dtype.kind not in "OUS"}
            cases.append(inputs | outputs)
        save_cases(folder / f"{name}.expected.safetensors", cases)
