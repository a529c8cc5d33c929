"""Quantisation, and products of quantised tensors."""

from __future__ import annotations

import numpy as np

from op_cases.dice import Call, Case, Dice

BYTES = (np.int8, np.uint8)

# Those that may be computed in f32: a result may be rounded to the other side.
ROUNDED = ("QLinearConv", "QLinearMatMul")


def zero_point(dice: Dice, dtype, shape=()) -> np.ndarray:
    return dice.integers(-9 if dtype is np.int8 else 0, 9, shape, dtype)


def values(dice: Dice, dtype, shape) -> np.ndarray:
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return dice.integers(low, high + 1, shape, dtype)


def scale(dice: Dice, shape=()) -> np.ndarray:
    return dice.numpy.uniform(0.01, 0.2, shape).astype(np.float32)


def granularity(dice: Dice, shape: list[int]) -> tuple[list[int], dict[str, object]]:
    """The shape of a scale, and the attributes that go with it."""
    axis = dice.axis(len(shape))
    how = dice.pick(["one", "axis", "blocks"])
    if how == "one":
        return [], {}
    if how == "axis":
        return [shape[axis]], {"axis": axis}
    block = dice.random.randint(2, 4)
    sizes = list(shape)
    sizes[axis] = -(-shape[axis] // block)
    return sizes, {"axis": axis, "block_size": block}


def quantize(dice: Dice) -> Call:
    shape, dtype = dice.shape(dice.random.randint(2, 4), low=1), dice.pick(BYTES)
    sizes, attributes = granularity(dice, shape)
    zero = zero_point(dice, dtype, sizes) if dtype is np.int8 or dice.chance(0.7) else None
    return Call("QuantizeLinear", [3 * dice.floats(shape), scale(dice, sizes), zero], attributes=attributes, opset=21)


def dequantize(dice: Dice) -> Call:
    shape, dtype = dice.shape(dice.random.randint(2, 4), low=1), dice.pick([*BYTES, np.int16, np.uint16])
    sizes, attributes = granularity(dice, shape)
    zero = zero_point(dice, np.uint8, sizes).astype(dtype) if dice.chance(0.7) else None
    x = values(dice, dtype, shape)
    return Call("DequantizeLinear", [x, scale(dice, sizes), zero], attributes=attributes, opset=21)


def dynamic_quantize(dice: Dice) -> Call:
    return Call("DynamicQuantizeLinear", [dice.floats(dice.shape(dice.random.randint(1, 4), low=1))], 3)


def matrices(dice: Dice) -> tuple[np.ndarray, np.ndarray]:
    m, n, k = dice.size(1), dice.size(1), dice.size(1)
    lead = dice.shape(dice.random.randint(0, 1), low=1)
    weight = values(dice, dice.pick(BYTES), [k, n])
    if weight.dtype == np.int8:
        weight //= 2  # without VNNI, ONNX Runtime saturates the sum of two products at 16 bits
    return values(dice, np.uint8, [*lead, m, k]), weight


def matmul_integer(dice: Dice) -> Call:
    a, b = matrices(dice)
    zeros = [zero_point(dice, np.uint8), zero_point(dice, b.dtype.type, dice.pick([[], [b.shape[1]]]))]
    return Call("MatMulInteger", [a, b, *(zero if dice.chance(0.7) else None for zero in zeros)])


def qlinear_matmul(dice: Dice) -> Call:
    a, b = matrices(dice)
    per_column = dice.pick([[], [b.shape[1]]])
    of_a = [scale(dice), zero_point(dice, np.uint8)]
    of_b = [scale(dice, per_column), zero_point(dice, b.dtype.type, per_column)]
    return Call("QLinearMatMul", [a, *of_a, b, *of_b, 20 * scale(dice), zero_point(dice, np.uint8)])


def images(dice: Dice) -> tuple[np.ndarray, np.ndarray, dict[str, object]]:
    groups = dice.random.randint(1, 2)
    inside, outside = dice.random.randint(1, 5), groups * dice.random.randint(1, 5)
    x = values(dice, np.uint8, [dice.random.randint(1, 2), groups * inside, 7, 9])
    w = values(dice, np.uint8, [outside, inside, dice.random.randint(1, 3), dice.random.randint(1, 3)])
    attributes = {"group": groups, "pads": [0, 1, 1, 0], "strides": [dice.random.randint(1, 2), 1]}
    return x, w, attributes


def conv_integer(dice: Dice) -> Call:
    x, w, attributes = images(dice)
    zeros = [zero_point(dice, np.uint8), zero_point(dice, np.uint8)]
    return Call("ConvInteger", [x, w, *zeros], attributes=attributes)


def qlinear_conv(dice: Dice) -> Call:
    x, w, attributes = images(dice)
    of_x, of_w = [scale(dice), zero_point(dice, np.uint8)], [scale(dice), zero_point(dice, np.uint8)]
    if dice.chance(0.5):  # as tools write weights: signed, a scale for each channel
        w = (w.astype(np.int16) - 128).astype(np.int8) // 2
        of_w = [scale(dice, [len(w)]), np.zeros([len(w)], np.int8)]
    bias = dice.integers(-500, 500, [len(w)], np.int32) if dice.chance(0.5) else None
    out = [20 * scale(dice), zero_point(dice, np.uint8)]
    return Call("QLinearConv", [x, *of_x, w, *of_w, *out, bias], attributes=attributes)


CASES: dict[str, Case] = {
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
    "DynamicQuantizeLinear": dynamic_quantize,
    "MatMulInteger": matmul_integer,
    "QLinearMatMul": qlinear_matmul,
    "ConvInteger": conv_integer,
    "QLinearConv": qlinear_conv,
}
