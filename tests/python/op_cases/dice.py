"""What a random case is made of."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

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


Case = Callable[[Dice], Call]
