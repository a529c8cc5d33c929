"""Fourier transforms, windows, the mel scale."""

from __future__ import annotations

import numpy as np

from op_cases.dice import Call, Case, Dice


def dft(dice: Dice) -> Call:
    shape = [*dice.shape(dice.random.randint(1, 3), low=1), dice.pick([1, 2])]
    axis = dice.random.randrange(len(shape) - 1)
    inverse = dice.random.randint(0, 1)
    attributes = {"inverse": inverse, "onesided": int(shape[-1] == 1 and not inverse and dice.chance(0.5))}
    length = np.array(dice.pick([1, 4, 7, 12, 16]), np.int64) if dice.chance(0.5) else None
    return Call("DFT", [0.1 * dice.floats(shape), length, np.array(axis, np.int64)], attributes=attributes, opset=20)


def stft(dice: Dice) -> Call:
    frame = dice.pick([4, 7, 16])
    samples = frame + dice.pick([0, 1, 20, 33])
    window = dice.floats([frame]) if dice.chance(0.6) else None
    length = np.array(frame, np.int64) if window is None or dice.chance(0.5) else None
    step = np.array(dice.random.randint(1, 5), np.int64)
    attributes = {"onesided": dice.random.randint(0, 1)}
    return Call("STFT", [dice.floats([dice.size(1), samples, 1]), step, window, length], attributes=attributes)


def window(op: str) -> Case:
    def make(dice: Dice) -> Call:
        attributes = {"periodic": dice.random.randint(0, 1)}
        return Call(op, [np.array(dice.random.randint(2, 33), np.int64)], attributes=attributes)

    return make


def mel_weight_matrix(dice: Dice) -> Call:
    rate = dice.pick([8000, 16000])
    numbers = [dice.random.randint(1, 12), dice.pick([64, 256]), rate]
    edges = [dice.pick([0.0, 20.0]), rate * dice.pick([0.5, 0.25])]
    values = [np.array(number, np.int64) for number in numbers] + [np.array(edge, np.float32) for edge in edges]
    return Call("MelWeightMatrix", values)


CASES: dict[str, Case] = {
    **{op: window(op) for op in ("HannWindow", "HammingWindow", "BlackmanWindow")},
    "DFT": dft,
    "STFT": stft,
    "MelWeightMatrix": mel_weight_matrix,
}
