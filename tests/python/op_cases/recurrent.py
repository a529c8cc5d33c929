"""RNN, GRU, LSTM."""

from __future__ import annotations

import numpy as np

from op_cases.dice import Call, Case, Dice

GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
FUNCTIONS = {"RNN": 1, "GRU": 2, "LSTM": 3}
ACTIVATIONS = ("Tanh", "Sigmoid", "HardSigmoid", "Softsign")
"""Bounded ones: others let errors grow from step to step."""


def recurrent(op: str) -> Case:
    def make(dice: Dice) -> Call:
        steps, batch, inputs, hidden = (dice.pick([1, 2, 3, 5, 17]) for _ in range(4))
        direction = dice.pick(["forward", "reverse", "bidirectional"])
        directions, gates = 1 + (direction == "bidirectional"), GATES[op]
        attributes: dict[str, object] = {"direction": direction, "hidden_size": hidden}
        if dice.chance(0.3):
            attributes["activations"] = [dice.pick(ACTIVATIONS) for _ in range(FUNCTIONS[op] * directions)]
        if dice.chance(0.3):
            attributes["clip"] = 0.5
        if op == "GRU":
            attributes["linear_before_reset"] = dice.random.randint(0, 1)
        state = [directions, batch, hidden]
        optional = lambda shape: dice.floats(shape) if dice.chance(0.6) else None  # noqa: E731
        values = [
            dice.floats([steps, batch, inputs]),
            dice.floats([directions, gates * hidden, inputs]),
            0.3 * dice.floats([directions, gates * hidden, hidden]),
            optional([directions, 2 * gates * hidden]),
            dice.integers(1, steps + 1, [batch], np.int32) if dice.chance(0.5) else None,
            optional(state),
        ]
        if op == "LSTM":
            values += [optional(state), optional([directions, 3 * hidden])]
        return Call(op, values, 3 if op == "LSTM" else 2, attributes)

    return make


CASES: dict[str, Case] = {op: recurrent(op) for op in GATES}
