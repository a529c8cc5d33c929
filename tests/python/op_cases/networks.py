"""Normalisations, convolutions, pools."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from op_cases.dice import Call, Case, Dice


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


def window(dice: Dice, rank: int) -> dict[str, object]:
    """Attributes of a window over `rank` dimensions."""
    kernel = [dice.random.randint(1, 4) for _ in range(rank)]
    attributes: dict[str, object] = {"kernel_shape": kernel}
    if dice.chance(0.6):
        attributes["strides"] = [dice.random.randint(1, 3) for _ in range(rank)]
    if dice.chance(0.4):
        attributes["dilations"] = [dice.random.randint(1, 2) for _ in range(rank)]
    how = dice.pick(["pads", "pads", "none", "SAME_UPPER", "SAME_LOWER", "VALID"])
    if how == "pads":
        # Not all of a window may lie in the padding.
        attributes["pads"] = [dice.random.randint(0, size - 1) for size in kernel * 2]
    elif how != "none":
        attributes["auto_pad"] = how
        if how != "VALID" and "strides" in attributes:  # ONNX Runtime pads by less than nothing elsewhere
            attributes["strides"] = [min(stride, size) for stride, size in zip(attributes["strides"], kernel)]
    return attributes


def spatial(dice: Dice, attributes: dict[str, object]) -> list[int]:
    """Sizes that the window fits."""
    kernel = attributes["kernel_shape"]
    dilations = attributes.get("dilations", [1] * len(kernel))
    return [(size - 1) * step + 1 + dice.pick([0, 1, 2, 5, 17]) for size, step in zip(kernel, dilations)]


def conv(dice: Dice) -> Call:
    rank = dice.pick([1, 2, 2, 3])
    attributes = window(dice, rank)
    groups = dice.pick([1, 1, 2, 5])
    inside, outside = dice.pick([1, 2, 16]), dice.pick([1, 3, 20])
    if attributes.get("auto_pad", "")[:4] == "SAME":
        attributes.pop("dilations", None)  # ONNX Runtime pads as if there were none
    x = dice.floats([dice.size(), groups * inside, *spatial(dice, attributes)])
    w = dice.floats([groups * outside, inside, *attributes["kernel_shape"]])
    b = dice.floats([groups * outside]) if dice.chance(0.5) else None
    if dice.chance(0.5):
        del attributes["kernel_shape"]
    return Call("Conv", [x, w, b], attributes={**attributes, "group": groups})


def conv_transpose(dice: Dice) -> Call:
    rank = dice.pick([1, 2, 2, 3])
    attributes = window(dice, rank)
    attributes.pop("auto_pad", None)
    groups = dice.pick([1, 1, 2, 3])
    inside, outside = dice.pick([1, 2, 7]), dice.pick([1, 3, 4])
    strides = attributes.get("strides", [1] * rank)
    if dice.chance(0.5):
        attributes["output_padding"] = [dice.random.randint(0, stride - 1) for stride in strides]
    x = dice.floats([dice.size(1), groups * inside, *(dice.random.randint(5, 9) for _ in range(rank))])
    w = dice.floats([groups * inside, outside, *attributes["kernel_shape"]])
    b = dice.floats([groups * outside]) if dice.chance(0.5) else None
    return Call("ConvTranspose", [x, w, b], attributes={**attributes, "group": groups})


def max_pool(dice: Dice) -> Call:
    attributes = window(dice, dice.pick([1, 2, 2, 3]))
    if attributes.get("auto_pad", "")[:4] == "SAME":
        attributes.pop("dilations", None)
    if "auto_pad" not in attributes:
        attributes["ceil_mode"] = dice.random.randint(0, 1)
    shape = [dice.size(1), dice.size(1), *spatial(dice, attributes)]
    values = dice.numpy.permutation(int(np.prod(shape))).reshape(shape).astype(np.float32)
    return Call("MaxPool", [values], dice.random.randint(1, 2), attributes)


def average_pool(dice: Dice) -> Call:
    attributes = window(dice, dice.pick([1, 2, 2, 3]))
    attributes.pop("dilations", None)
    attributes["count_include_pad"] = dice.random.randint(0, 1)
    if "auto_pad" not in attributes:
        attributes["ceil_mode"] = dice.random.randint(0, 1)
    shape = [dice.size(1), dice.size(1), *spatial(dice, attributes)]
    return Call("AveragePool", [dice.floats(shape)], attributes=attributes)


def lp_pool(dice: Dice) -> Call:
    attributes = window(dice, 2)
    attributes.pop("dilations", None)
    shape = [dice.size(1), dice.size(1), *spatial(dice, attributes)]
    return Call("LpPool", [dice.floats(shape)], attributes={**attributes, "p": dice.random.randint(1, 3)})


def lrn(dice: Dice) -> Call:
    attributes = {"size": dice.pick([1, 3, 5]), "alpha": 0.3, "beta": 0.7, "bias": 1.5}
    return Call("LRN", [dice.floats(dice.shape(4, low=1))], attributes=attributes)


def max_unpool(dice: Dice) -> Call:
    shape = [dice.size(1), dice.size(1), dice.random.randint(1, 5), dice.random.randint(1, 5)]
    count = shape[2] * shape[3]
    indices = np.stack([dice.numpy.permutation(4 * count)[:count] for _ in range(shape[0] * shape[1])])
    indices += 4 * count * np.arange(len(indices))[:, None]
    attributes = {"kernel_shape": [2, 2], "strides": [2, 2]}
    return Call("MaxUnpool", [dice.floats(shape), indices.reshape(shape).astype(np.int64)], attributes=attributes)


def col2im(dice: Dice) -> Call:
    image, block = [dice.random.randint(5, 9) for _ in range(2)], [dice.random.randint(1, 3) for _ in range(2)]
    strides, dilations = ([dice.random.randint(1, 2) for _ in range(2)] for _ in range(2))
    pads = [dice.random.randint(0, 1) for _ in range(4)]
    blocks = 1
    for d in range(2):
        blocks *= (image[d] + pads[d] + pads[d + 2] - (block[d] - 1) * dilations[d] - 1) // strides[d] + 1
    x = dice.floats([dice.size(1), dice.size(1) * block[0] * block[1], blocks])
    attributes = {"strides": strides, "dilations": dilations, "pads": pads}
    return Call("Col2Im", [x, np.array(image, np.int64), np.array(block, np.int64)], attributes=attributes)


CASES: dict[str, Case] = {
    **{op: global_pool(op) for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")},
    "AveragePool": average_pool,
    "Col2Im": col2im,
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "LRN": lrn,
    "LpPool": lp_pool,
    "MaxPool": max_pool,
    "MaxUnpool": max_unpool,
    "LayerNormalization": layer_norm,
    "BatchNormalization": batch_norm,
    "InstanceNormalization": instance_norm,
}
