"""Models of every opset from 7 on mean what ONNX Runtime says they mean, and what they mean when `onnx` raises them."""

import subprocess

import numpy as np
import onnx
import pytest
import tercel
import test_onnx_suite
from onnx import TensorProto, helper, version_converter

from models import assert_same, make, onnx_runtime, ours

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
NEWEST_OF_RUNTIME = 23
RNG = np.random.default_rng(5)
node, tensor, graph = helper.make_node, helper.make_tensor_value_info, helper.make_graph


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def case(name, versions, nodes, inputs, outputs=1, constants=(), element=FLOAT):
    return pytest.param(versions, nodes, inputs, outputs, constants, element, id=name)


def one(op, inputs=("x",), **attributes):
    return [node(op, list(inputs), ["y"], **attributes)]


X = {"x": floats(2, 3, 4)}
IMAGE = {"x": floats(2, 3, 4, 6)}
ROWS = {"x": floats(4, 6)}
STATISTICS = [("scale", floats(3)), ("b", floats(3)), ("mean", floats(3)), ("var", np.abs(floats(3)) + 0.1)]
FULL_STATISTICS = [(name, np.broadcast_to(v[:, None], (3, 4)).copy() + 0.1) for name, v in STATISTICS]
REDUCTIONS = ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"]
NORM = ["x", "scale", "b", "mean", "var"]

CASES = [
    *(case(op, (7, 13), one(op, ["x", "z"]), X | {"z": floats(3, 1)}) for op in ["Add", "Sub", "Mul", "Div"]),
    *(case(op, (8, 12, 13), one(op, ["x", "z", "z"]), X | {"z": floats(3, 1)}) for op in ["Max", "Min", "Sum", "Mean"]),
    *(case(f"{op}-7", (7,), one(op, ["x", "z"]), X | {"z": floats(2, 3, 4)}) for op in ["Max", "Min", "Sum", "Mean"]),
    case("Pow", (7, 12, 13, 15), one("Pow", ["x", "z"]), {"x": np.abs(floats(2, 3)), "z": floats(3)}),
    case(
        "Gemm",
        (7, 9, 11, 13),
        one("Gemm", ["x", "w", "c"], transB=1, alpha=0.5),
        ROWS | {"w": floats(5, 6), "c": floats(5)},
    ),
    case("MatMul", (7, 9, 13), one("MatMul", ["x", "z"]), X | {"z": floats(4, 5)}),
    case("PRelu", (7, 9, 16), one("PRelu", ["x", "z"]), X | {"z": floats(3, 1)}),
    *(case(op, (7, 9, 13), one(op, ["x", "z"]), X | {"z": floats(4)}, element=BOOL) for op in ["Greater", "Less"]),
    case("Cast", (7, 9, 13, 19, 21), one("Cast", to=INT64), {"x": 10 * floats(3, 4)}, element=INT64),
    case("Clip", (7, 10), one("Clip", min=-0.5, max=0.75), X),
    case("Clip-min", (7,), one("Clip", min=-0.5), X),
    case("Clip-none", (7, 11), one("Clip"), X),
    case("Clip-inputs", (11, 12, 13), one("Clip", ["x", "", "top"]), X, constants=[("top", np.float32(0.5))]),
    *(
        case(f"Pad-{mode}", (7, 10), one("Pad", pads=[0, 1, 2, 1, 0, 1], mode=mode, **value), X)
        for mode, value in [("constant", {"value": 1.5}), ("reflect", {}), ("edge", {})]
    ),
    case("Pad-inputs", (11, 13, 18), one("Pad", ["x", "p"]), X, constants=[("p", np.array([0, 1, 2, 1, 0, 1]))]),
    case("Slice", (7, 9), one("Slice", starts=[1, -3], ends=[2, 1000], axes=[0, 2]), X),
    case("Slice-all-axes", (7,), one("Slice", starts=[0, 1], ends=[1, -1]), X),
    case(
        "Slice-inputs",
        (10, 11, 13),
        one("Slice", ["x", "s", "e"]),
        X,
        constants=[("s", np.array([0, 1])), ("e", np.array([1, 3]))],
    ),
    case("TopK", (7, 9), [node("TopK", ["x"], ["y", "i"], k=2, axis=1)], X, outputs=2),
    case(
        "TopK-input", (10, 11), [node("TopK", ["x", "k"], ["y", "i"])], X, outputs=2, constants=[("k", np.array([2]))]
    ),
    case("Upsample", (7, 8), one("Upsample", scales=[1.0, 1.0, 2.0, 3.0], mode="nearest"), IMAGE),
    case("Upsample-linear", (7,), one("Upsample", scales=[1.0, 1.0, 2.0, 2.0], mode="linear"), IMAGE),
    case("Upsample-input", (9,), one("Upsample", ["x", "s"]), IMAGE, constants=[("s", np.float32([1, 1, 2, 1.5]))]),
    *(
        case(
            f"Resize-10-{mode}-{factor}",
            (10,),
            one("Resize", ["x", "s"], mode=mode),
            IMAGE,
            constants=[("s", np.float32([1, 1, factor, factor]))],
        )
        for mode in ["nearest", "linear"]
        for factor in [2, 0.5]
    ),
    *(
        case(
            f"Resize-11-{mode}-{how}",
            (11, 12),
            one("Resize", ["x", "roi", "s"], mode=mode, coordinate_transformation_mode=how, nearest_mode="floor"),
            IMAGE,
            constants=[("roi", np.float32([])), ("s", np.float32([1, 1, 2, 1.5]))],
        )
        for mode, how in [
            ("nearest", "asymmetric"),
            ("nearest", "tf_half_pixel_for_nn"),
            ("linear", "half_pixel"),
            ("linear", "align_corners"),
        ]
    ),
    *(
        case(
            f"Resize-tf_half_pixel_for_nn-{rounding}",
            (11, 13, 18),
            one(
                "Resize",
                ["x", "roi", "s"],
                mode="nearest",
                coordinate_transformation_mode="tf_half_pixel_for_nn",
                nearest_mode=rounding,
            ),
            IMAGE,
            constants=[("roi", np.float32([])), ("s", np.float32([1, 1, 2, 1.5]))],
        )
        for rounding in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")
    ),
    case(
        "Resize-sizes",
        (11, 13, 18),
        one("Resize", ["x", "roi", "s", "sizes"], mode="linear"),
        IMAGE,
        constants=[("roi", np.float32([])), ("s", np.float32([])), ("sizes", np.array([2, 3, 8, 5]))],
    ),
    *(
        case(f"{op}-{axis}", (7, 11, 13), one(op, axis=axis), X)
        for op in ["Softmax", "LogSoftmax", "Hardmax"]
        for axis in [0, 1, 2]
    ),
    *(
        case(
            f"Reduce{op}", (7, 11, 13, 17), one(f"Reduce{op}", axes=[0, 2], keepdims=0), {"x": np.abs(floats(2, 3, 4))}
        )
        for op in REDUCTIONS
        if op != "Sum"
    ),
    case("ReduceSum", (7, 11), one("ReduceSum", axes=[1]), X),
    case("ReduceSum-input", (13,), one("ReduceSum", ["x", "a"]), X, constants=[("a", np.array([1]))]),
    *(case(op, (7, 11, 12, 13), one(op, axis=1, keepdims=0), X, element=INT64) for op in ["ArgMax", "ArgMin"]),
    case("Squeeze", (7, 11), one("Squeeze", axes=[1]), {"x": floats(2, 1, 3)}),
    case("Unsqueeze", (7, 11), one("Unsqueeze", axes=[0, 2]), {"x": floats(2, 3)}),
    case("Split", (7, 11), [node("Split", ["x"], ["y", "z"], axis=2, split=[1, 3])], X, outputs=2),
    case("Split-equal", (7, 11, 13), [node("Split", ["x"], ["y", "z"], axis=2)], X, outputs=2),
    case("Concat", (7, 11, 13), one("Concat", ["x", "x"], axis=1), X),
    case("Flatten", (7, 9, 11, 13), one("Flatten", axis=2), X),
    case("Gather", (7, 11, 13), one("Gather", ["x", "i"], axis=1), X, constants=[("i", np.array([2, 0]))]),
    case(
        "Scatter",
        (9, 10),
        one("Scatter", ["x", "i", "u"], axis=1),
        ROWS,
        constants=[("i", np.array([[1, 0]])), ("u", floats(1, 2))],
    ),
    case(
        "OneHot",
        (9, 11),
        one("OneHot", ["i", "d", "v"]),
        {"i": np.array([0, 2, 5])},
        constants=[("d", np.array([4])), ("v", np.float32([0.5, 2]))],
    ),
    case("Reshape", (7, 13, 14), one("Reshape", ["x", "s"]), X, constants=[("s", np.array([0, -1]))]),
    case("Expand", (8, 13), one("Expand", ["x", "s"]), {"x": floats(3, 1)}, constants=[("s", np.array([2, 1, 4]))]),
    case("Tile", (7, 13), one("Tile", ["x", "r"]), ROWS, constants=[("r", np.array([2, 1]))]),
    case("Transpose", (7, 13), one("Transpose", perm=[2, 0, 1]), X),
    case(
        "Where",
        (9, 16),
        one("Where", ["c", "x", "z"]),
        X | {"z": floats(4)},
        constants=[("c", np.array([True, False, True, False]))],
    ),
    case("Dropout", (7, 10), one("Dropout", ratio=0.3), X),
    case("Dropout-input", (12, 13), one("Dropout", ["x", "r"]), X, constants=[("r", np.float32(0.3))]),
    case(
        "BatchNormalization", (7, 9, 14, 15), one("BatchNormalization", NORM, epsilon=1e-3), IMAGE, constants=STATISTICS
    ),
    case("BatchNormalization-spatial", (7, 8), one("BatchNormalization", NORM, spatial=1), IMAGE, constants=STATISTICS),
    case("LayerNormalization", (17,), one("LayerNormalization", ["x", "s"]), X, constants=[("s", floats(4))]),
    case("DepthToSpace", (7, 11, 13), one("DepthToSpace", blocksize=2), {"x": floats(1, 8, 2, 3)}),
    *(
        case(op, (7, 10, 11), one(op, kernel_shape=[2, 3], strides=[2, 1], pads=[0, 1, 0, 1]), IMAGE)
        for op in ["MaxPool", "AveragePool"]
    ),
    case("DFT", (17, 19), one("DFT", axis=1, onesided=1), {"x": floats(2, 6, 1)}),
    case("GridSample", (16,), one("GridSample", ["x", "g"], mode="bilinear"), IMAGE | {"g": floats(2, 3, 5, 2)}),
    case("GridSample-cubic", (16,), one("GridSample", ["x", "g"], mode="bicubic"), IMAGE | {"g": floats(2, 3, 5, 2)}),
    case(
        "RoiAlign",
        (10, 16),
        one("RoiAlign", ["x", "rois", "batch"], output_height=2, output_width=3, sampling_ratio=2),
        IMAGE,
        constants=[("rois", np.float32([[0, 0, 3, 2], [1, 1, 5, 3]])), ("batch", np.array([0, 1]))],
    ),
    case(
        "GroupNormalization",
        (18,),
        one("GroupNormalization", ["x", "s", "b"], num_groups=2),
        {"x": floats(2, 4, 3)},
        constants=[("s", floats(2)), ("b", floats(2))],
    ),
    case("LpPool", (7, 11, 18), one("LpPool", kernel_shape=[2, 2], p=2), IMAGE),
    case("Conv", (7, 11), one("Conv", ["x", "w"], pads=[1, 1, 1, 1]), IMAGE, constants=[("w", floats(5, 3, 3, 3))]),
    case(
        "ConvTranspose",
        (7, 11),
        one("ConvTranspose", ["x", "w"], strides=[2, 2]),
        IMAGE,
        constants=[("w", floats(3, 2, 3, 3))],
    ),
    *(
        case(
            op,
            (7, 14),
            [node(op, ["x", "w", "r"], ["y", "h"], hidden_size=3, direction="forward")],
            {"x": floats(5, 2, 4)},
            outputs=2,
            constants=[("w", floats(1, gates * 3, 4)), ("r", floats(1, gates * 3, 3))],
        )
        for op, gates in [("RNN", 1), ("GRU", 3), ("LSTM", 4)]
    ),
    *(
        case(op, (7, 13), one(op), {"x": floats(3, 4)})
        for op in ["Relu", "Tanh", "Sigmoid", "Exp", "Abs", "Neg", "Floor", "Elu", "LeakyRelu"]
    ),
    case("Erf", (9, 13), one("Erf"), X),
]


@pytest.fixture(scope="module")
def operators():
    listing = subprocess.run(
        [test_onnx_suite.TERCEL, "show", "--operators"], check=True, capture_output=True, text=True
    )
    return set(listing.stdout.split()) | {"Upsample", "Scatter"}


def build(version, nodes, feeds, outputs, constants, element):
    declared = [
        (name, helper.np_dtype_to_tensor_dtype(value.dtype), list(value.shape)) for name, value in feeds.items()
    ]
    names = list(nodes[0].output)[:outputs]
    kinds = [element] + [INT64 if nodes[0].op_type == "TopK" else FLOAT] * (outputs - 1)
    results = [(name, kind, None) for name, kind in zip(names, kinds)]
    return make(nodes, declared, results, constants, opset=version, ir_version=8)


def is_known(nodes, operators):
    replaced = {"Upsample": "Resize", "Scatter": "ScatterElements"}
    return all(replaced.get(each.op_type, each.op_type) in operators for each in nodes)


@pytest.mark.parametrize("versions, nodes, feeds, outputs, constants, element", CASES)
def test_old_models(versions, nodes, feeds, outputs, constants, element, operators, tmp_path):
    if not is_known(nodes, operators):
        pytest.skip(f"{nodes[0].op_type} is not an operator of Tercel")
    for version in versions:
        model = build(version, nodes, feeds, outputs, constants, element)
        expected = onnx_runtime(model, feeds)
        for optimize in (True, False):
            assert_same(ours(model, feeds, tmp_path, optimize=optimize), expected, 1e-4, 1e-5)
        if any(attribute.s == b"tf_half_pixel_for_nn" for attribute in nodes[0].attribute):
            continue  # gone since opset 13, but the converter keeps it
        try:
            raised = version_converter.convert_version(model, NEWEST_OF_RUNTIME)
        except Exception:
            continue  # the converter has no way for this operator
        if any(each.s == b"tf_half_pixel_for_nn" for node in raised.graph.node for each in node.attribute):
            continue  # a mode that is gone since opset 13, which the converter leaves as it is
        if raised.opset_import[0].version == NEWEST_OF_RUNTIME:
            try:
                runtime_result = onnx_runtime(raised, feeds)
            except Exception:
                continue  # what it wrote is no model
            if all(np.allclose(a, b, 1e-4, 1e-5) for a, b in zip(runtime_result, expected)):
                assert_same(ours(raised, feeds, tmp_path), expected, 1e-4, 1e-5)


def test_statistics_of_each_feature(tmp_path):
    """BatchNormalization with spatial = 0, which ONNX Runtime does not run in this form."""
    feeds = {"x": floats(2, 3, 4)}
    model = build(7, one("BatchNormalization", NORM, spatial=0, epsilon=1e-3), feeds, 1, FULL_STATISTICS, FLOAT)
    values = dict(FULL_STATISTICS)
    expected = (feeds["x"] - values["mean"]) / np.sqrt(values["var"] + 1e-3) * values["scale"] + values["b"]
    assert_same(ours(model, feeds, tmp_path), [expected.astype(np.float32)])


def test_dropout_masks_have_the_type_of_the_data(tmp_path):
    feeds = {"x": floats(2, 3)}
    model = build(7, [node("Dropout", ["x"], ["y", "m"])], feeds, 2, [], FLOAT)
    assert_same(ours(model, feeds, tmp_path), [feeds["x"], np.ones((2, 3), np.float32)])


def test_negative_indices_were_off(tmp_path):
    feeds = {"i": np.array([0, -1, 3])}
    constants = [("d", np.int64(3)), ("v", np.float32([0, 1]))]
    old = build(9, one("OneHot", ["i", "d", "v"]), feeds, 1, constants, FLOAT)
    new = build(11, one("OneHot", ["i", "d", "v"]), feeds, 1, constants, FLOAT)
    assert_same(ours(old, feeds, tmp_path), [np.float32([[1, 0, 0], [0, 0, 0], [0, 0, 0]])])
    assert_same(ours(new, feeds, tmp_path), [np.float32([[1, 0, 0], [0, 0, 1], [0, 0, 0]])])


def scan_body():
    return graph(
        [node("Add", ["s", "a"], ["t"]), node("Mul", ["t", "k"], ["u"]), node("Identity", ["t"], ["v"])],
        "body",
        [tensor("s", FLOAT, [3]), tensor("a", FLOAT, [3])],
        [tensor("v", FLOAT, [3]), tensor("u", FLOAT, [3])],
    )


@pytest.mark.parametrize("lengths", [None, [5, 5], [2, 4], [0, 1], [9, 5]])
@pytest.mark.parametrize("direction", [0, 1])
def test_scan_over_a_batch(direction, lengths, tmp_path):
    named = [] if lengths is None else [("n", INT64, [2])]
    model = make(
        [
            node(
                "Scan",
                ["n" if named else "", "s0", "x"],
                ["last", "y"],
                body=scan_body(),
                num_scan_inputs=1,
                directions=[direction],
            )
        ],
        [*named, ("s0", FLOAT, [2, 3]), ("x", FLOAT, [2, 5, 3]), ("k", FLOAT, [3])],
        [("last", FLOAT, [2, 3]), ("y", FLOAT, [2, 5, 3])],
        opset=8,
        ir_version=4,
    )
    feeds = {"s0": floats(2, 3), "x": floats(2, 5, 3), "k": floats(3)}
    if named:
        feeds["n"] = np.array(lengths)
    states, outputs = feeds["s0"].copy(), np.zeros((2, 5, 3), np.float32)
    for row, length in enumerate([5, 5] if lengths is None else np.minimum(lengths, 5)):
        for at, step in enumerate(range(length) if direction == 0 else range(length - 1, -1, -1)):
            states[row] += feeds["x"][row, step]
            outputs[row, at] = states[row] * feeds["k"]
    assert_same(ours(model, feeds, tmp_path), [states, outputs])
    if lengths is not None and max(lengths) <= 5 and min(lengths) > 0:
        assert_same(onnx_runtime(model, feeds), [states, outputs])


def test_loops_of_opset_7(tmp_path):
    body = graph(
        [node("Add", ["s", "x"], ["t"]), node("Identity", ["c"], ["d"])],
        "body",
        [tensor("i", INT64, []), tensor("c", BOOL, []), tensor("s", FLOAT, [3])],
        [tensor("d", BOOL, []), tensor("t", FLOAT, [3])],
    )
    model = make(
        [node("Loop", ["n", "", "x"], ["y"], body=body)],
        [("n", INT64, []), ("x", FLOAT, [3])],
        [("y", FLOAT, [3])],
        opset=7,
        ir_version=4,
    )
    feeds = {"n": np.array(3), "x": floats(3)}
    assert_same(ours(model, feeds, tmp_path), [4 * feeds["x"]])


def small(opset=20, ir_version=10):
    return make(one("Relu"), [("x", FLOAT, [3])], [("y", FLOAT, [3])], opset=opset, ir_version=ir_version)


@pytest.mark.parametrize("opset, ir_version", [(29, 14), (28, 15), (29, 15)])
def test_one_version_too_new_is_read_with_a_warning(opset, ir_version, tmp_path):
    onnx.save(small(opset, ir_version), tmp_path / "m.onnx")
    session = tercel.Session(tmp_path / "m.onnx")
    assert len(session.warnings) == (opset > 28) + (ir_version > 14)
    np.testing.assert_array_equal(session.run({"x": np.float32([-1, 0, 2])})["y"], [0, 0, 2])


@pytest.mark.parametrize("opset, ir_version, what", [(30, 14, "opset 30"), (28, 16, "version 16"), (6, 8, "opset 6")])
def test_other_versions_are_refused(opset, ir_version, what, tmp_path):
    onnx.save(small(opset, ir_version), tmp_path / "m.onnx")
    with pytest.raises(tercel.errors.UnsupportedError, match=what):
        tercel.Session(tmp_path / "m.onnx")


def test_known_versions_give_no_warning(tmp_path):
    onnx.save(small(), tmp_path / "m.onnx")
    assert tercel.Session(tmp_path / "m.onnx").warnings == []
