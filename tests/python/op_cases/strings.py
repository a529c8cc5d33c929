"""What strings say: joined, in another case."""

from __future__ import annotations

import numpy as np

from op_cases.dice import Call, Dice

WORDS = ["", "a", "B", "a,b", ",", "ab,,cd,", "  x y ", "\tx\n", "Über", "日本,語", "stop", "STOP", "z" * 40]


def words(dice: Dice, shape: list[int]) -> np.ndarray:
    return np.array([dice.pick(WORDS) for _ in range(int(np.prod(shape)))], object).reshape(shape)


def concat(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(0, 3))
    other = [1 if dice.chance(0.3) else size for size in shape][dice.random.randint(0, len(shape)) :]
    return Call("StringConcat", [words(dice, shape), words(dice, other)], opset=20)


def normalizer(dice: Dice) -> Call:
    attributes = {
        "case_change_action": dice.pick(["LOWER", "UPPER", "NONE"]),
        "is_case_sensitive": dice.random.randint(0, 1),
        "locale": "C.UTF-8",
        "stopwords": dice.random.sample(["stop", "a", "b", "über", "Über"], dice.random.randint(1, 4)),
    }
    return Call("StringNormalizer", [words(dice, [dice.size(1)])], attributes=attributes, opset=20)


CASES = {"StringConcat": concat, "StringNormalizer": normalizer}
