"""What tests of `tercel predict` share."""

import gzip
import json
import random
from pathlib import Path

from cli import CHECKPOINTS, output_json

EMBED = CHECKPOINTS / "sentence_mean"
WORDS = "a quick brown fox jumps over the lazy dog while seven keepers write letters about the sea".split()


def texts(count: int, seed: int = 3) -> list[str]:
    chance = random.Random(seed)
    return [" ".join(chance.choices(WORDS, k=chance.randint(1, 40))) for _ in range(count)]


def write_lines(path: Path, records: list[dict]) -> Path:
    data = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def predict(model: Path, task: str, source: object, target: Path, *more: object) -> dict:
    return output_json("predict", model, "--task", task, "--input", source, "--output", target, *more)
