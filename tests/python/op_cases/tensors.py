"""Moving elements."""

from __future__ import annotations

import numpy as np
from onnx import helper, numpy_helper

from op_cases.dice import Call, Case, Dice, ints


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


def reverse_sequence(dice: Dice) -> Call:
    shape, time = dice.shape(dice.random.randint(2, 4), low=1), dice.random.randint(0, 1)
    lengths = dice.integers(0, shape[time] + 1, [shape[1 - time]])
    return Call(
        "ReverseSequence", [dice.floats(shape), lengths], attributes={"time_axis": time, "batch_axis": 1 - time}
    )


def unique(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 3), low=1)
    attributes = {"sorted": dice.random.randint(0, 1)}
    if dice.chance(0.5):
        attributes["axis"] = dice.axis(len(shape))
    values = dice.integers(0, 3, shape, dice.pick([np.int64, np.float32]))
    return Call("Unique", [values], 4, attributes)


def center_crop_pad(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(1, 4), low=1)
    axes = dice.axes(len(shape)) or [0]
    sizes = [dice.size(1) for _ in axes]
    return Call("CenterCropPad", [dice.floats(shape), ints(*sizes)], attributes={"axes": axes})


CASES: dict[str, Case] = {
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
    "ReverseSequence": reverse_sequence,
    "Unique": unique,
    "CenterCropPad": center_crop_pad,
    "OneHot": one_hot,
    "NonZero": non_zero,
    "Compress": compress,
    "Cast": cast,
    "Range": range_,
    "ConstantOfShape": constant_of_shape,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
