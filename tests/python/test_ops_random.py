"""Operators on random shapes, empty and odd ones among them, in Tercel and in ONNX Runtime.

Each test prints its seed when it fails; TERCEL_SEED repeats a run, TERCEL_CASES makes it longer.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tercel
from onnx import helper, numpy_helper

SEED = int(os.environ.get("TERCEL_SEED", random.SystemRandom().randrange(1 << 31)))
CASES = int(os.environ.get("TERCEL_CASES", "10"))
OPSETS = (18, 20, 21)
FLOATS = (np.float32, np.float32, np.float64)
INTEGERS = (np.int64, np.int32, np.int8, np.uint8)


@dataclass
class Call:
    """A node: its inputs in order (None: left out), how many outputs, and its attributes."""

    op: str
    inputs: list[np.ndarray | None]
    outputs: int = 1
    attributes: dict[str, object] = field(default_factory=dict)
    constants: tuple[int, ...] = ()
    """Inputs that ONNX Runtime takes as constants only."""
    opset: int | None = None


class Dice:
    def __init__(self, seed: int):
        self.random = random.Random(seed)
        self.numpy = np.random.default_rng(seed)

    def pick(self, options):
        return self.random.choice(list(options))

    def chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def size(self, low: int = 0) -> int:
        return self.pick([size for size in (0, 1, 1, 2, 3, 5, 7, 17, 33) if size >= low])

    def shape(self, rank: int | None = None, low: int = 0) -> list[int]:
        rank = self.random.randint(0, 4) if rank is None else rank
        return [self.size(low if self.chance(0.1) else max(low, 1)) for _ in range(rank)]

    def axis(self, rank: int) -> int:
        return self.random.randrange(-rank, rank)

    def axes(self, rank: int) -> list[int]:
        axes = self.random.sample(range(rank), self.random.randint(0, rank))
        return [axis - rank if self.chance(0.5) else axis for axis in axes]

    def floats(self, shape, dtype=np.float32) -> np.ndarray:
        return self.numpy.standard_normal(shape).astype(dtype)

    def integers(self, low: int, high: int, shape, dtype=np.int64) -> np.ndarray:
        return self.numpy.integers(low, max(high, low + 1), shape).astype(dtype)

    def bools(self, shape) -> np.ndarray:
        return self.numpy.integers(0, 2, shape).astype(bool)

    def any(self, shape) -> np.ndarray:
        dtype = self.pick([*FLOATS, np.int64, np.int32])
        return self.floats(shape, dtype) if dtype in FLOATS else self.integers(-9, 9, shape, dtype)

    def broadcast(self, shape) -> list[int]:
        """A shape that broadcasts with `shape`."""
        other = [1 if self.chance(0.3) else size for size in shape]
        return other[self.random.randint(0, len(other)) :] if self.chance(0.4) else other


def ints(*values) -> np.ndarray:
    return np.array(values, np.int64)


def unary(op: str, low: float = -3, high: float = 3, **attributes) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        values = dice.numpy.uniform(low, high, dice.shape()).astype(np.float32)
        return Call(op, [values], attributes=attributes)

    return make


def binary(op: str, dtypes, low: int = -9, high: int = 9) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        shape, dtype = dice.shape(), dice.pick(dtypes)
        shapes = [shape, dice.broadcast(shape)]
        dice.random.shuffle(shapes)
        floor = 0 if np.dtype(dtype).kind == "u" else low
        if dtype is bool:
            return Call(op, [dice.bools(each) for each in shapes])
        if dtype in FLOATS:
            return Call(op, [dice.numpy.uniform(low, high, each).astype(dtype) for each in shapes])
        return Call(op, [dice.integers(floor, high, each, dtype) for each in shapes])

    return make


def divide(dice: Dice) -> Call:
    call = binary("Div", [np.float32, np.int32, np.int64])(dice)
    call.inputs[1][call.inputs[1] == 0] = 3
    return call


def modulo(dice: Dice) -> Call:
    call = binary("Mod", [np.float32, np.int32, np.int64, np.uint8])(dice)
    call.inputs[1][call.inputs[1] == 0] = 3
    call.attributes = {"fmod": int(call.inputs[0].dtype == np.float32 or dice.chance(0.5))}
    return call


def power(dice: Dice) -> Call:
    call = binary("Pow", [np.float32], 0, 4)(dice)
    if dice.chance(0.3):
        call.inputs[1] = np.full((), dice.pick([0, 0.5, 1, 2, 3, -1]), np.float32)
    return call


def bit_shift(dice: Dice) -> Call:
    call = binary("BitShift", [np.uint8, np.uint32, np.uint64], 0, 7)(dice)
    call.attributes = {"direction": dice.pick(["LEFT", "RIGHT"])}
    return call


def variadic(op: str) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        shape = dice.shape()
        return Call(op, [dice.floats(dice.broadcast(shape)) for _ in range(dice.random.randint(1, 4))])

    return make


def where(dice: Dice) -> Call:
    shape = dice.shape()
    values = dice.any(dice.broadcast(shape))
    return Call("Where", [dice.bools(dice.broadcast(shape)), values, dice.any(shape).astype(values.dtype)])


def clip(dice: Dice) -> Call:
    values = dice.any(dice.shape())
    bounds = [np.array(bound, values.dtype) if dice.chance(0.7) else None for bound in (-1, 2)]
    return Call("Clip", [values, *bounds])


def prelu(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4))
    slope = [1 if dice.chance(0.3) else size for size in shape]
    return Call("PRelu", [dice.floats(shape), dice.floats(slope[dice.random.randrange(len(slope)) :])])


def along_axis(op: str) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        shape = dice.shape(dice.random.randint(1, 4), low=1)
        return Call(op, [dice.floats(shape)], attributes={"axis": dice.axis(len(shape))})

    return make


def reduction(op: str) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        # What an empty maximum is differs between types and runtimes.
        shape = dice.shape(dice.random.randint(0, 5), low=0 if op in ("ReduceSum", "ReduceL1") else 1)
        values = dice.numpy.uniform(0.5, 2, shape).astype(np.float32)
        axes = ints(*dice.axes(len(shape))) if dice.chance(0.8) else None
        attributes = {"keepdims": dice.random.randint(0, 1), "noop_with_empty_axes": dice.random.randint(0, 1)}
        return Call(op, [values, axes], attributes=attributes, constants=(1,))

    return make


def arg(op: str) -> Callable[[Dice], Call]:
    def make(dice: Dice) -> Call:
        shape = dice.shape(dice.random.randint(1, 4), low=1)
        attributes = {"axis": dice.axis(len(shape)), "keepdims": dice.random.randint(0, 1)}
        attributes["select_last_index"] = dice.random.randint(0, 1)
        return Call(op, [dice.integers(-3, 3, shape).astype(np.float32)], attributes=attributes)

    return make


def top_k(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    axis = dice.axis(len(shape))
    values = dice.numpy.permutation(int(np.prod(shape))).reshape(shape).astype(dice.pick([np.float32, np.int64]))
    attributes = {"axis": axis, "largest": dice.random.randint(0, 1)}
    return Call("TopK", [values, ints(dice.random.randint(0, shape[axis]))], 2, attributes)


def cum_sum(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4))
    attributes = {"exclusive": dice.random.randint(0, 1), "reverse": dice.random.randint(0, 1)}
    return Call("CumSum", [dice.any(shape), np.array(dice.axis(len(shape)), np.int64)], attributes=attributes)


def gemm(dice: Dice) -> Call:
    m, n, k = dice.size(), dice.size(1), dice.size(1)
    transposed = dice.random.randint(0, 1), dice.random.randint(0, 1)
    a, b = dice.floats([k, m] if transposed[0] else [m, k]), dice.floats([n, k] if transposed[1] else [k, n])
    c = dice.floats(dice.pick([[m, n], [n], [1, n], [m, 1], [1], []])) if dice.chance(0.8) else None
    attributes = {"transA": transposed[0], "transB": transposed[1], "alpha": dice.pick([1.0, 0.5]), "beta": 0.25}
    return Call("Gemm", [a, b, c], attributes=attributes)


def matmul(dice: Dice) -> Call:
    m, n, k = dice.size(), dice.size(), dice.size(1)
    batch = dice.shape(dice.random.randint(0, 2))
    a, b = [*dice.broadcast(batch), m, k], [*batch, k, n]
    if dice.chance(0.2):
        a = [k]
    elif dice.chance(0.2):
        b = [k]
    dtype = dice.pick([*FLOATS, np.int32])
    values = [
        dice.integers(-5, 5, shape, dtype) if dtype is np.int32 else dice.floats(shape, dtype) for shape in (a, b)
    ]
    return Call("MatMul", values)


def concat(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4))
    axis, values = dice.axis(len(shape)), []
    for _ in range(dice.random.randint(1, 4)):
        shape[axis] = dice.size()
        values.append(dice.floats(shape))
    return Call("Concat", values, attributes={"axis": axis})


def split(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4))
    axis, parts = dice.axis(len(shape)), dice.random.randint(1, 4)
    if dice.chance(0.5):
        shape[axis] = dice.pick([parts, 2 * parts, 4 * parts - 1])
        return Call("Split", [dice.any(shape)], parts, {"axis": axis, "num_outputs": parts})
    sizes = [dice.size() for _ in range(parts)]
    shape[axis] = sum(sizes)
    return Call("Split", [dice.any(shape), ints(*sizes)], parts, {"axis": axis})


def slice_(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4))
    axes = dice.axes(len(shape)) or [0]
    starts, ends = ([dice.random.randint(-40, 40) for _ in axes] for _ in range(2))
    steps = [dice.pick([1, 1, 2, -1, -3, 100]) for _ in axes]
    # The far end as the specification recommends it; ONNX Runtime takes the other one for "left out".
    ends = [dice.pick([end, 2**63 - 1 if step > 0 else 1 - 2**63]) for end, step in zip(ends, steps)]
    return Call("Slice", [dice.any(shape), ints(*starts), ints(*ends), ints(*axes), ints(*steps)])


def gather(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    axis = dice.axis(len(shape))
    indices = dice.integers(-shape[axis], shape[axis], dice.shape(dice.random.randint(0, 2)))
    return Call("Gather", [dice.any(shape), indices.astype(dice.pick([np.int32, np.int64]))], attributes={"axis": axis})


def gather_elements(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    axis = dice.axis(len(shape))
    indices = [dice.random.randint(1, size) for size in shape]
    indices[axis] = dice.size()
    indices = dice.integers(-shape[axis], shape[axis], indices)
    return Call("GatherElements", [dice.any(shape), indices], attributes={"axis": axis})


def gather_nd(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    batch = dice.random.randrange(len(shape))
    depth = dice.random.randint(1, len(shape) - batch)
    lead = [*shape[:batch], *dice.shape(dice.random.randint(0, 2))]
    indices = [dice.integers(-size, size, lead) for size in shape[batch : batch + depth]]
    return Call("GatherND", [dice.any(shape), np.stack(indices, -1)], attributes={"batch_dims": batch})


def scatter_elements(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 3), low=1)
    axis = dice.axis(len(shape))
    counts = [dice.random.randint(1, size) for size in shape]
    order = np.argsort(dice.floats(shape), axis)  # an index twice would leave the result open
    indices = order[tuple(slice(count) for count in counts)].astype(np.int64)
    attributes = {"axis": axis, "reduction": dice.pick(["none", "add", "mul", "max", "min"])}
    return Call("ScatterElements", [dice.floats(shape), indices, dice.floats(counts)], attributes=attributes)


def scatter_nd(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    depth = dice.random.randint(1, len(shape))
    places = int(np.prod(shape[:depth]))
    flat = dice.numpy.permutation(places)[: dice.random.randint(0, places)]
    indices = np.stack(np.unravel_index(flat, shape[:depth]), -1).astype(np.int64)
    attributes = {"reduction": dice.pick(["none", "add", "mul", "max", "min"])}
    updates = dice.floats([len(flat), *shape[depth:]])
    return Call("ScatterND", [dice.floats(shape), indices, updates], attributes=attributes)


def pad(dice: Dice) -> Call:
    mode = dice.pick(["constant", "constant", "reflect", "edge", "wrap"])
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    low = [-(size // 3) if mode == "constant" else 0 for size in shape]
    high = [3 if mode == "constant" else min(size - 1, 3) for size in shape]
    pads = [dice.random.randint(*bounds) for bounds in [*zip(low, high), *zip(low, high)]]
    value = np.array(1.5, np.float32) if mode == "constant" and dice.chance(0.5) else None
    opset = 19 if mode == "wrap" else None
    return Call("Pad", [dice.floats(shape), ints(*pads), value], attributes={"mode": mode}, opset=opset)


def tile(dice: Dice) -> Call:
    shape = dice.shape()
    return Call("Tile", [dice.any(shape), dice.integers(0, 4, [len(shape)])])


def expand(dice: Dice) -> Call:
    shape = dice.shape()
    return Call("Expand", [dice.any(dice.broadcast(shape)), ints(*dice.broadcast(shape))])


def transpose(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(0, 5))
    order = dice.random.sample(range(len(shape)), len(shape))
    return Call("Transpose", [dice.any(shape)], attributes={"perm": order} if dice.chance(0.8) and shape else {})


def reshape(dice: Dice) -> Call:
    shape = dice.shape()
    target = [size for size in shape if size != 1 or dice.chance(0.5)]
    dice.random.shuffle(target)
    if target and 0 not in shape and dice.chance(0.6):
        target[dice.random.randrange(len(target))] = -1
    return Call("Reshape", [dice.any(shape), ints(*target)], attributes={"allowzero": 1} if 0 in shape else {})


def flatten(dice: Dice) -> Call:
    shape = dice.shape()
    return Call("Flatten", [dice.any(shape)], attributes={"axis": dice.random.randint(-len(shape), len(shape))})


def squeeze(dice: Dice) -> Call:
    shape = [dice.pick([1, 1, 3]) for _ in range(dice.random.randint(1, 5))]
    ones = [axis for axis, size in enumerate(shape) if size == 1 and dice.chance(0.7)]
    axes = ints(*(axis - len(shape) if dice.chance(0.5) else axis for axis in ones)) if ones else None
    return Call("Squeeze", [dice.any(shape), axes])


def unsqueeze(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(0, 3))
    rank = len(shape) + dice.random.randint(1, 3)
    axes = dice.random.sample(range(rank), rank - len(shape))
    return Call("Unsqueeze", [dice.any(shape), ints(*(axis - rank if dice.chance(0.5) else axis for axis in axes))])


def trilu(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(2, 4))
    k = np.array(dice.random.randint(-9, 9), np.int64) if dice.chance(0.7) else None
    return Call("Trilu", [dice.any(shape), k], attributes={"upper": dice.random.randint(0, 1)})


def one_hot(dice: Dice) -> Call:
    shape, depth = dice.shape(dice.random.randint(1, 3)), dice.random.randint(1, 9)
    indices = dice.integers(-depth, depth, shape)
    attributes = {"axis": dice.random.randint(-len(shape) - 1, len(shape))}
    return Call("OneHot", [indices, np.array(depth, np.int64), np.array([-1, 2], np.float32)], attributes=attributes)


def non_zero(dice: Dice) -> Call:
    return Call(
        "NonZero", [dice.integers(0, 2, dice.shape(dice.random.randint(1, 4)), dice.pick([np.int64, np.float32]))]
    )


def compress(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    axis = dice.axis(len(shape)) if dice.chance(0.7) else None
    length = int(np.prod(shape)) if axis is None else shape[axis]
    condition = dice.bools([dice.random.randint(1, length)])
    return Call("Compress", [dice.any(shape), condition], attributes={} if axis is None else {"axis": axis})


def cast(dice: Dice) -> Call:
    kinds = [np.float32, np.float64, np.float16, np.int8, np.int32, np.int64, np.uint8, bool]
    values = dice.integers(0, 100, dice.shape()).astype(dice.pick(kinds))
    return Call("Cast", [values], attributes={"to": helper.np_dtype_to_tensor_dtype(np.dtype(dice.pick(kinds)))})


def range_(dice: Dice) -> Call:
    dtype = dice.pick([np.float32, np.int64, np.int32])
    start, limit, delta = dice.random.randint(-9, 9), dice.random.randint(-9, 30), dice.pick([1, 2, 7, -1, -4])
    return Call("Range", [np.array(value, dtype) for value in (start, limit, delta)])


def constant_of_shape(dice: Dice) -> Call:
    value = numpy_helper.from_array(np.array([dice.random.randint(-3, 3)], dice.pick([np.float32, np.int64])))
    return Call("ConstantOfShape", [ints(*dice.shape())], attributes={"value": value})


def depth_to_space(dice: Dice) -> Call:
    block = dice.random.randint(1, 3)
    shape = [dice.size(1), dice.random.randint(1, 3) * block * block, dice.size(1), dice.size(1)]
    return Call(
        "DepthToSpace", [dice.floats(shape)], attributes={"blocksize": block, "mode": dice.pick(["DCR", "CRD"])}
    )


def space_to_depth(dice: Dice) -> Call:
    block = dice.random.randint(1, 3)
    shape = [dice.size(1), dice.size(1), block * dice.random.randint(1, 4), block * dice.random.randint(1, 4)]
    return Call("SpaceToDepth", [dice.floats(shape)], attributes={"blocksize": block})


def layer_norm(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    axis = dice.axis(len(shape))
    scale, bias = dice.floats(shape[axis:]), dice.floats(shape[axis:]) if dice.chance(0.7) else None
    return Call("LayerNormalization", [dice.floats(shape), scale, bias], attributes={"axis": axis, "epsilon": 1e-3})


def batch_norm(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(2, 4), low=1)
    statistics = [dice.floats([shape[1]]) for _ in range(3)]
    return Call("BatchNormalization", [dice.floats(shape), *statistics, abs(dice.floats([shape[1]])) + 0.5])


def instance_norm(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(3, 4), low=2)
    values = [dice.floats(shape), dice.floats([shape[1]]), dice.floats([shape[1]])]
    return Call("InstanceNormalization", values, attributes={"epsilon": 1e-2})


def global_pool(op: str) -> Callable[[Dice], Call]:
    return lambda dice: Call(op, [dice.floats(dice.shape(dice.random.randint(3, 5), low=1))])


OPERATORS: dict[str, Callable[[Dice], Call]] = {
    **{op: unary(op) for op in ("Abs", "Ceil", "Cos", "Elu", "Erf", "Exp", "Floor", "HardSwish", "LeakyRelu", "Neg")},
    **{op: unary(op) for op in ("Relu", "Round", "Selu", "Sigmoid", "Sign", "Sin", "Softplus", "Softsign", "Tanh")},
    **{op: unary(op, 0.01, 9) for op in ("Log", "Sqrt", "Reciprocal")},
    **{op: binary(op, [np.float32, np.float64, np.int32, np.int64]) for op in ("Add", "Sub", "Mul")},
    **{op: binary(op, [np.float32, np.int32, np.int64]) for op in ("Equal", "Less", "Greater", "LessOrEqual")},
    **{op: binary(op, [bool]) for op in ("And", "Or", "Xor")},
    **{op: binary(op, INTEGERS) for op in ("BitwiseAnd", "BitwiseXor")},
    **{op: variadic(op) for op in ("Max", "Min", "Mean", "Sum")},
    **{op: along_axis(op) for op in ("Softmax", "LogSoftmax", "Hardmax", "LpNormalization")},
    **{f"Reduce{op}": reduction(f"Reduce{op}") for op in ("Sum", "Mean", "Max", "Min", "Prod", "SumSquare")},
    **{f"Reduce{op}": reduction(f"Reduce{op}") for op in ("L1", "L2", "LogSum", "LogSumExp")},
    **{op: arg(op) for op in ("ArgMax", "ArgMin")},
    **{op: global_pool(op) for op in ("GlobalAveragePool", "GlobalMaxPool")},
    "Div": divide,
    "Mod": modulo,
    "Pow": power,
    "BitShift": bit_shift,
    "Where": where,
    "Clip": clip,
    "PRelu": prelu,
    "TopK": top_k,
    "CumSum": cum_sum,
    "Gemm": gemm,
    "MatMul": matmul,
    "Concat": concat,
    "Split": split,
    "Slice": slice_,
    "Gather": gather,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "ScatterElements": scatter_elements,
    "ScatterND": scatter_nd,
    "Pad": pad,
    "Tile": tile,
    "Expand": expand,
    "Transpose": transpose,
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Trilu": trilu,
    "OneHot": one_hot,
    "NonZero": non_zero,
    "Compress": compress,
    "Cast": cast,
    "Range": range_,
    "ConstantOfShape": constant_of_shape,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
    "LayerNormalization": layer_norm,
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
}


def element_type(value: np.ndarray) -> int:
    return helper.np_dtype_to_tensor_dtype(value.dtype)


def build(call: Call, dice: Dice) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """The node between two Identity nodes, some inputs constant, with fixed, symbolic or unknown dimensions."""
    constants, inputs, feeds, names = [], [], {}, []
    for index, value in enumerate(call.inputs):
        name = f"x{index}" if value is not None else ""
        names.append(name)
        if value is None:
            continue
        if index in call.constants or (index > 0 and dice.chance(0.5)):
            constants.append(numpy_helper.from_array(np.asarray(value), name))
            continue
        symbolic = dice.chance(0.5)
        dims = [f"{name}_{axis}" if symbolic else size for axis, size in enumerate(value.shape)]
        inputs.append(helper.make_tensor_value_info(name, element_type(value), dims))
        feeds[name] = value
    while names[-1] == "":
        names.pop()
    results = [f"r{index}" for index in range(call.outputs)]
    outputs = [helper.make_empty_tensor_value_info(f"y{index}") for index in range(call.outputs)]
    nodes = [helper.make_node(call.op, names, results, **call.attributes)]
    nodes += [helper.make_node("Identity", [f"r{index}"], [f"y{index}"]) for index in range(call.outputs)]
    graph = helper.make_graph(nodes, "random", inputs, outputs, constants)
    opset = call.opset or dice.pick(OPSETS)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=9)
    # ONNX Runtime wants the types of outputs; the ranks are left to both.
    for info, output in zip(graph.output, onnx.shape_inference.infer_shapes(model).graph.output):
        info.CopyFrom(output)
        info.type.tensor_type.ClearField("shape")
    model.graph.CopyFrom(graph)
    return model, feeds


def reference(model: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray] | None:
    """ONNX Runtime's results; nothing when it has no kernel for the element type."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    except onnxruntime.capi.onnxruntime_pybind11_state.NotImplemented:
        return None
    return session.run(None, feeds)


def check(got: np.ndarray, expected: np.ndarray) -> None:
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    if expected.dtype.kind in "biu":
        np.testing.assert_array_equal(got, expected)
    else:
        np.testing.assert_allclose(got, expected, 2e-4, 2e-5)


@pytest.mark.parametrize("op", OPERATORS)
def test_as_onnx_runtime(op: str, tmp_path: Path) -> None:
    compared = 0
    for number in range(CASES):
        dice = Dice(SEED + number)
        call = OPERATORS[op](dice)
        model, feeds = build(call, dice)
        expected = reference(model, feeds)
        if expected is None:
            continue
        onnx.save(model, tmp_path / "model.onnx")
        text = onnx.printer.to_text(model)
        for optimize in (True, False):
            try:
                session = tercel.Session(tmp_path / "model.onnx", threads=2, optimize=optimize)
                got = session.run(feeds)
                for index, value in enumerate(expected):
                    check(got[f"y{index}"], value)
            except (AssertionError, tercel.Error) as error:
                shapes = [None if value is None else value.shape for value in call.inputs]
                pytest.fail(
                    f"TERCEL_SEED={SEED}, case {number}, optimize={optimize}, inputs {shapes}:\n{text}\n{error}"
                )
        compared += 1
    assert compared > 0, f"ONNX Runtime refused every case of seed {SEED}"
