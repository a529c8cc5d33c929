"""Runs the command `tercel`, for the tests of what it prints, what it writes, and how it fails."""

import json
import os
import subprocess
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
TERCEL = Path(os.environ.get("TERCEL_BUILD", REPO / "build")).resolve() / "tercel"
MODEL = REPO / "models/minilm-qa"
DOCUMENT = REPO / "examples/amazon.txt"
CHECKPOINTS = REPO / "tests/data/checkpoints"
SQUAD = REPO / "tests/data/squad"
COMMANDS = ["ask", "bench", "classify", "embed", "evaluate", "predict", "show", "run", "export", "plan", "tokenize"]


def tercel(*arguments: object, stdin: bytes = b"", cwd: Path = REPO) -> subprocess.CompletedProcess:
    return subprocess.run(
        [TERCEL, *map(str, arguments)], input=stdin, capture_output=True, timeout=300, check=False, cwd=cwd
    )


def output(*arguments: object, **options: object) -> str:
    done = tercel(*arguments, **options)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def output_json(*arguments: object, **options: object) -> object:
    return json.loads(output(*arguments, "--json", **options))


def refused(*arguments: object, code: int = 2, **options: object) -> str:
    """Runs a command that must fail: one line on stderr, nothing on stdout. Returns the line."""
    done = tercel(*arguments, **options)
    assert done.returncode == code, (done.returncode, done.stderr.decode())
    assert done.stdout == b""
    message = done.stderr.decode()
    assert message.startswith("tercel: ") and message.count("\n") == 1 and message.endswith("\n"), message
    return message


def random_inputs(batch: int, length: int) -> list[str]:
    names = ["input_ids", "attention_mask", "token_type_ids"]
    return [word for name in names for word in ("--random", f"{name}={batch}x{length}")]
