"""If, Loop, Scan, sequences and optional values against ONNX Runtime."""

import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto, helper

from models import assert_same, make, onnx_runtime, ours

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
RNG = np.random.default_rng(11)
tensor, node, graph = helper.make_tensor_value_info, helper.make_node, helper.make_graph


def floats(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def check(model, feeds, tmp_path):
    expected = onnx_runtime(model, feeds)
    for optimize in (True, False):
        assert_same(ours(model, feeds, tmp_path, optimize=optimize), expected)


@pytest.mark.parametrize("trips", [0, 1, 5])
@pytest.mark.parametrize("limit", [0.5, 100.0])
def test_loop_with_condition_and_scan_outputs(trips, limit, tmp_path):
    body = graph(
        [
            node("Add", ["s", "x"], ["t"]),
            node("ReduceMax", ["t"], ["m"], keepdims=0),
            node("Less", ["m", "limit"], ["go"]),
            node("Mul", ["t", "t"], ["q"]),
            node("Cast", ["i"], ["f"], to=FLOAT),
        ],
        "body",
        [tensor("i", INT64, []), tensor("c", BOOL, []), tensor("s", FLOAT, [3])],
        [tensor("go", BOOL, []), tensor("t", FLOAT, [3]), tensor("q", FLOAT, [3]), tensor("f", FLOAT, [])],
    )
    model = make(
        [node("Loop", ["n", "go_on", "x"], ["last", "all", "counts"], body=body)],
        [("n", INT64, []), ("go_on", BOOL, []), ("x", FLOAT, [3]), ("limit", FLOAT, [])],
        [("last", FLOAT, [3]), ("all", FLOAT, [None, 3]), ("counts", FLOAT, [None])],
        opset=20,
    )
    feeds = {"n": np.int64(trips), "go_on": np.True_, "x": np.abs(floats(3)), "limit": np.float32(limit)}
    check(model, {name: np.array(value) for name, value in feeds.items()}, tmp_path)


def test_while_loop_without_trip_count(tmp_path):
    body = graph(
        [node("Mul", ["s", "two"], ["t"]), node("Less", ["t", "limit"], ["go"])],
        "body",
        [tensor("i", INT64, []), tensor("c", BOOL, []), tensor("s", FLOAT, [])],
        [tensor("go", BOOL, []), tensor("t", FLOAT, [])],
    )
    model = make(
        [node("Loop", ["", "yes", "x"], ["y"], body=body)],
        [("x", FLOAT, [])],
        [("y", FLOAT, [])],
        [("two", np.float32(2)), ("limit", np.float32(1000)), ("yes", np.array(True))],
        opset=20,
    )
    check(model, {"x": np.array(1.5, np.float32)}, tmp_path)


def test_loops_in_loops_capture_from_every_level(tmp_path):
    inner = graph(
        [
            node("Add", ["v", "x"], ["v1"]),
            node("Add", ["v1", "u"], ["v2"]),
            node("Mul", ["v2", "scaled"], ["w"]),
            node("Identity", ["ci"], ["co"]),
        ],
        "inner",
        [tensor("j", INT64, []), tensor("ci", BOOL, []), tensor("v", FLOAT, [2])],
        [tensor("co", BOOL, []), tensor("w", FLOAT, [2])],
    )
    outer = graph(
        [
            node("Mul", ["u", "half"], ["scaled"]),
            node("Loop", ["n", "", "u"], ["r"], body=inner),
            node("Tanh", ["r"], ["u_next"]),
            node("Identity", ["c"], ["d"]),
        ],
        "outer",
        [tensor("i", INT64, []), tensor("c", BOOL, []), tensor("u", FLOAT, [2])],
        [tensor("d", BOOL, []), tensor("u_next", FLOAT, [2])],
    )
    model = make(
        [node("Loop", ["n", "", "x"], ["y"], body=outer)],
        [("n", INT64, []), ("x", FLOAT, [2])],
        [("y", FLOAT, [2])],
        [("half", np.float32(0.5))],
        opset=20,
    )
    check(model, {"n": np.array(3), "x": floats(2)}, tmp_path)


@pytest.mark.parametrize("in_axis, out_axis", [(0, 0), (1, 0), (-1, 1), (0, -1)])
@pytest.mark.parametrize("backwards", [0, 1])
def test_scan_axes_and_directions(in_axis, out_axis, backwards, tmp_path):
    body = graph(
        [
            node("Add", ["s", "a"], ["s1"]),
            node("Mul", ["s1", "b"], ["out"]),
            node("Add", ["s1", "k"], ["s2"]),
        ],
        "body",
        [tensor("s", FLOAT, [2, 3]), tensor("a", FLOAT, [2, 3]), tensor("b", FLOAT, [2, 3])],
        [tensor("s2", FLOAT, [2, 3]), tensor("out", FLOAT, [2, 3])],
    )
    shape = [2, 3]
    shape.insert(in_axis if in_axis >= 0 else in_axis + 3, 4)
    scan = node(
        "Scan",
        ["s0", "x", "z"],
        ["s_last", "y"],
        body=body,
        num_scan_inputs=2,
        scan_input_axes=[in_axis, 0],
        scan_input_directions=[backwards, 0],
        scan_output_axes=[out_axis],
        scan_output_directions=[backwards],
    )
    model = make(
        [scan],
        [("s0", FLOAT, [2, 3]), ("x", FLOAT, shape), ("z", FLOAT, [4, 2, 3]), ("k", FLOAT, [])],
        [("s_last", FLOAT, [2, 3]), ("y", FLOAT, None)],
        opset=20,
    )
    feeds = {"s0": floats(2, 3), "x": floats(*shape), "z": floats(4, 2, 3), "k": np.array(0.25, np.float32)}
    expected = onnx_runtime(model, feeds)
    for optimize in (True, False):
        assert_same(ours(model, feeds, tmp_path, optimize=optimize), expected)


def sequence_info(name, element=FLOAT, shape=None):
    return helper.make_tensor_sequence_value_info(name, element, shape)


@pytest.mark.parametrize("position", [None, 0, 1, -1])
def test_sequences_are_built_and_read(position, tmp_path):
    at = [] if position is None else ["p"]
    model = make(
        [
            node("SequenceConstruct", ["a", "b"], ["s"]),
            node("SequenceInsert", ["s", "c", *at], ["t"]),
            node("SequenceAt", ["t", "one"], ["second"]),
            node("SequenceErase", ["t", *at], ["shorter"]),
            node("SequenceLength", ["t"], ["n"]),
            node("ConcatFromSequence", ["shorter"], ["joined"], axis=0),
        ],
        [("a", FLOAT, [2, 2]), ("b", FLOAT, [1, 2]), ("c", FLOAT, [3, 2])],
        [
            sequence_info("t"),
            ("second", FLOAT, None),
            sequence_info("shorter"),
            ("n", INT64, []),
            ("joined", FLOAT, None),
        ],
        [("one", np.int64(1)), ("p", np.int64(position or 0))],
        opset=20,
    )
    check(model, {"a": floats(2, 2), "b": floats(1, 2), "c": floats(3, 2)}, tmp_path)


@pytest.mark.parametrize("split, keepdims", [(None, 1), (None, 0), (2, 1), ([1, 3, 1], 1)])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_split_to_sequence_and_back(split, keepdims, axis, tmp_path):
    inputs = ["x"] if split is None else ["x", "split"]
    model = make(
        [
            node("SplitToSequence", inputs, ["s"], axis=axis, keepdims=keepdims),
            node("ConcatFromSequence", ["s"], ["y"], axis=axis, new_axis=1 - keepdims),
        ],
        [("x", FLOAT, [5, 5])],
        [sequence_info("s"), ("y", FLOAT, None)],
        [] if split is None else [("split", np.array(split, np.int64))],
        opset=20,
    )
    x = floats(5, 5)
    check(model, {"x": x}, tmp_path)
    np.testing.assert_array_equal(ours(model, {"x": x}, tmp_path)[1], x)


def test_sequences_grow_in_a_loop(tmp_path):
    body = graph(
        [
            node("Identity", ["c"], ["d"]),
            node("Unsqueeze", ["i", "axes"], ["end"]),
            node("Slice", ["x", "axes", "end"], ["part"]),
            node("SequenceInsert", ["s", "part"], ["t"]),
        ],
        "body",
        [tensor("i", INT64, []), tensor("c", BOOL, []), sequence_info("s")],
        [tensor("d", BOOL, []), sequence_info("t")],
    )
    model = make(
        [node("SequenceEmpty", [], ["e"], dtype=FLOAT), node("Loop", ["n", "", "e"], ["y"], body=body)],
        [("n", INT64, []), ("x", FLOAT, [4])],
        [sequence_info("y")],
        [("axes", np.array([0]))],
        opset=20,
    )
    check(model, {"n": np.array(4), "x": floats(4)}, tmp_path)


def test_sequence_map_over_sequences_and_tensors(tmp_path):
    body = graph(
        [node("Add", ["a", "b"], ["c"]), node("Mul", ["c", "x"], ["d"]), node("Neg", ["d"], ["e"])],
        "body",
        [tensor("a", FLOAT, None), tensor("b", FLOAT, None)],
        [tensor("d", FLOAT, None), tensor("e", FLOAT, None)],
    )
    model = make(
        [node("SequenceMap", ["s", "y"], ["p", "q"], body=body)],
        [sequence_info("s"), ("y", FLOAT, [2]), ("x", FLOAT, [2])],
        [sequence_info("p"), sequence_info("q")],
        opset=20,
    )
    s, x, y = [floats(2), floats(3, 2)], floats(2), floats(2)
    p, q = ours(model, {"s": s, "x": x, "y": y}, tmp_path)
    for given, got, negative in zip(s, p, q):
        np.testing.assert_allclose(got, (given + y) * x, rtol=1e-6)
        np.testing.assert_array_equal(negative, -got)


def test_sequences_of_strings(tmp_path):
    model = make(
        [node("SequenceAt", ["s", "one"], ["x"]), node("SequenceInsert", ["s", "x"], ["t"])],
        [sequence_info("s", TensorProto.STRING)],
        [("x", TensorProto.STRING, None), sequence_info("t", TensorProto.STRING)],
        [("one", np.int64(1))],
        opset=20,
    )
    s = [np.array(["a", "b"], object), np.array(["größe"], object)]
    check(model, {"s": s}, tmp_path)


def optional_info(name, value):
    return helper.make_value_info(name, helper.make_optional_type_proto(value))


def test_optional_values(tmp_path):
    value = helper.make_tensor_type_proto(FLOAT, [3])
    model = make(
        [
            node("OptionalHasElement", ["x"], ["has"]),
            node(
                "If",
                ["has"],
                ["y"],
                then_branch=graph([node("OptionalGetElement", ["x"], ["a"])], "t", [], [tensor("a", FLOAT, [3])]),
                else_branch=graph([node("Neg", ["z"], ["b"])], "e", [], [tensor("b", FLOAT, [3])]),
            ),
            node("Optional", ["z"], ["o"]),
        ],
        [optional_info("x", value), ("z", FLOAT, [3])],
        [("has", BOOL, []), ("y", FLOAT, [3]), optional_info("o", value)],
        opset=20,
    )
    x, z = floats(3), floats(3)
    assert_same(ours(model, {"x": x, "z": z}, tmp_path), [np.array(True), x, z])
    assert_same(ours(model, {"x": None, "z": z}, tmp_path), [np.array(False), -z, z])
    missing = make(
        [node("Optional", [], ["o"], type=value)], [("z", FLOAT, [3])], [optional_info("o", value)], opset=20
    )
    assert_same(ours(missing, {"z": z}, tmp_path), [None])


def test_the_session_describes_what_is_no_tensor(tmp_path):
    model = make(
        [node("SequenceLength", ["s"], ["n"])], [sequence_info("s", FLOAT, ["N", 3])], [("n", INT64, [])], opset=20
    )
    onnx.save(model, tmp_path / "m.onnx")
    session = tercel.Session(tmp_path / "m.onnx")
    assert session.inputs[0].type == "seq(float[N,3])"
    with pytest.raises(tercel.errors.InvalidArgumentError, match=r'"s": item 1 .*shape'):
        session.run({"s": [floats(2, 3), floats(2, 4)]})
    with pytest.raises(tercel.errors.InvalidArgumentError, match="sequence"):
        session.run({"s": floats(2, 3)})


def test_a_timeout_ends_an_endless_loop(tmp_path):
    body = graph(
        [node("Identity", ["c"], ["d"]), node("Identity", ["s"], ["t"])],
        "body",
        [tensor("i", INT64, []), tensor("c", BOOL, []), tensor("s", INT64, [])],
        [tensor("d", BOOL, []), tensor("t", INT64, [])],
    )
    loop = node("Loop", ["n", "yes", "n"], ["y"], body=body)
    model = make([loop], [("n", INT64, [])], [("y", INT64, [])], [("yes", np.array(True))], opset=20)
    onnx.save(model, tmp_path / "m.onnx")
    session = tercel.Session(tmp_path / "m.onnx", threads=1)
    with pytest.raises(tercel.errors.DeadlineExceededError):
        session.run({"n": np.array(2**63 - 1)}, timeout=0.2)
