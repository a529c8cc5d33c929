"""Images and regions of them."""

from __future__ import annotations

import numpy as np

from op_cases.dice import Call, Case, Dice


def resize(dice: Dice) -> Call:
    mode = dice.pick(["nearest", "linear", "cubic"])
    how = dice.pick(["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"])
    attributes: dict[str, object] = {"mode": mode, "coordinate_transformation_mode": how}
    if mode == "nearest":
        attributes["nearest_mode"] = dice.pick(["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
    if mode == "cubic":
        attributes["cubic_coeff_a"] = dice.pick([-0.75, -0.5])
        attributes["exclude_outside"] = dice.random.randint(0, 1)
    # Where the scaled size is no whole number, ONNX Runtime and ONNX's own reference differ.
    shape = [dice.size(1), dice.size(1), dice.pick([4, 8, 12]), dice.pick([4, 8, 12])]
    if mode == "linear" and how != "asymmetric" and dice.chance(0.4):
        attributes["antialias"] = 1
    if dice.chance(0.5):
        sizes = np.array([*shape[:2], dice.random.randint(2, 20), dice.random.randint(2, 20)], np.int64)
        # Sizes that are an input with a symbolic dimension are no sizes to ONNX Runtime.
        return Call("Resize", [dice.floats(shape), None, None, sizes], attributes=attributes, opset=20, constants=(3,))
    scales = np.array([1, 1, dice.pick([0.5, 2, 1.5, 3]), dice.pick([0.5, 2, 0.75, 2.5])], np.float32)
    return Call("Resize", [dice.floats(shape), None, scales], attributes=attributes, opset=20)


def grid_sample(dice: Dice) -> Call:
    shape = [dice.size(1), dice.size(1), dice.random.randint(2, 9), dice.random.randint(2, 9)]
    grid = dice.numpy.uniform(-1.4, 1.4, [shape[0], dice.size(1), dice.size(1), 2]).astype(np.float32)
    attributes = {
        "mode": dice.pick(["linear", "nearest", "cubic"]),
        "padding_mode": dice.pick(["zeros", "border", "reflection"]),
        "align_corners": dice.random.randint(0, 1),
    }
    return Call("GridSample", [dice.floats(shape), grid], attributes=attributes, opset=20)


def affine_grid(dice: Dice) -> Call:
    rank = dice.pick([2, 3])
    batch = dice.random.randint(1, 3)
    size = np.array([batch, 1, *(dice.random.randint(2, 6) for _ in range(rank))], np.int64)
    theta = dice.floats([batch, rank, rank + 1])
    return Call("AffineGrid", [theta, size], attributes={"align_corners": dice.random.randint(0, 1)}, opset=20)


def boxes(dice: Dice, count: int, size: float) -> np.ndarray:
    corners = np.sort(dice.numpy.uniform(0, size, [count, 2, 2]), 1)
    corners[:, 1] += 0.5
    return corners.reshape(count, 4).astype(np.float32)


def roi_align(dice: Dice) -> Call:
    shape, count = [dice.random.randint(1, 3), dice.size(1), 9, 11], dice.random.randint(1, 5)
    attributes = {
        "coordinate_transformation_mode": dice.pick(["half_pixel", "output_half_pixel"]),
        "output_height": dice.random.randint(1, 4),
        "output_width": dice.random.randint(1, 4),
        "sampling_ratio": dice.random.randint(0, 3),
        "spatial_scale": dice.pick([1.0, 0.5]),
    }
    batch = dice.integers(0, shape[0], [count])
    return Call("RoiAlign", [dice.floats(shape), boxes(dice, count, 9), batch], attributes=attributes)


def max_roi_pool(dice: Dice) -> Call:
    shape, count = [dice.random.randint(1, 3), dice.size(1), 9, 11], dice.random.randint(1, 5)
    batch = dice.integers(0, shape[0], [count, 1]).astype(np.float32)
    rois = np.concatenate([batch, boxes(dice, count, 8)], 1)
    attributes = {"pooled_shape": [dice.random.randint(1, 3), dice.random.randint(1, 3)]}
    return Call("MaxRoiPool", [dice.floats(shape), rois], attributes=attributes)


def non_max_suppression(dice: Dice) -> Call:
    batch, classes, count = dice.random.randint(1, 2), dice.random.randint(1, 3), dice.random.randint(1, 20)
    places = np.stack([boxes(dice, count, 4) for _ in range(batch)])
    scores = dice.numpy.uniform(0, 1, [batch, classes, count]).astype(np.float32)
    limits = [
        np.array([dice.random.randint(0, 9)], np.int64),
        np.array([dice.pick([0.1, 0.5, 0.9])], np.float32),
        np.array([0.3], np.float32) if dice.chance(0.5) else None,
    ]
    return Call("NonMaxSuppression", [places, scores, *limits], attributes={"center_point_box": 0})


CASES: dict[str, Case] = {
    "AffineGrid": affine_grid,
    "GridSample": grid_sample,
    "MaxRoiPool": max_roi_pool,
    "NonMaxSuppression": non_max_suppression,
    "Resize": resize,
    "RoiAlign": roi_align,
}
