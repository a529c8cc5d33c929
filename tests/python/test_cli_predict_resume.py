"""`tercel predict`: runs that are killed or interrupted, and continued."""

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from predicting import EMBED, texts, write_lines

from cli import TERCEL, output, refused

KILLS = int(os.environ.get("TERCEL_KILLS", "25"))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> tuple[list, Path, dict[str, bytes]]:
    """A command without its output, the folder, and what an uninterrupted run writes."""
    folder = tmp_path_factory.mktemp("job")
    given = [{"id": i, "text": text} for i, text in enumerate(texts(6000, 5))]
    data = "".join(json.dumps(record) + "\n" for record in given).splitlines(keepends=True)
    for place in range(7, len(data), 211):
        data[place] = "{broken\n"
    (folder / "in.jsonl").write_text("".join(data))
    command = ["predict", EMBED, "--task", "embedding", "--input", folder / "in.jsonl", "--look-ahead", 256]
    command += ["--threads", 1]
    expected = {}
    for name in ("out.jsonl", "out.npy", "out.csv"):
        output(*command, "--output", folder / name, "--rejects", folder / "bad.jsonl", "--overwrite")
        expected[name] = (folder / name).read_bytes()
    expected["bad.jsonl"] = (folder / "bad.jsonl").read_bytes()
    return command, folder, expected


@pytest.mark.parametrize("name", ["out.jsonl", "out.npy", "out.csv"])
def test_killed_at_any_moment(job: tuple, tmp_path: Path, name: str) -> None:
    command, _, expected = job
    words = [TERCEL, *map(str, command), "--output", str(tmp_path / name), "--rejects", str(tmp_path / "bad.jsonl")]
    start = time.monotonic()
    subprocess.run([*words, "--quiet"], check=True)
    whole = time.monotonic() - start
    (tmp_path / name).unlink()
    (tmp_path / "bad.jsonl").unlink()
    chance = random.Random(9)
    kills = continued = 0
    while kills < max(1, KILLS // 3):
        process = subprocess.Popen([*words, "--resume", "--quiet", "--commit-seconds", "0"])
        try:
            process.wait(chance.uniform(0, whole * 1.1))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            continued += (tmp_path / f"{name}.journal").exists()
            continue
        assert process.returncode == 0
        assert (tmp_path / name).read_bytes() == expected[name]
        assert (tmp_path / "bad.jsonl").read_bytes() == expected["bad.jsonl"]
        for path in tmp_path.iterdir():
            path.unlink()
    subprocess.run([*words, "--resume", "--quiet"], check=True)
    assert (tmp_path / name).read_bytes() == expected[name]
    assert (tmp_path / "bad.jsonl").read_bytes() == expected["bad.jsonl"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.jsonl", name]
    assert continued > 0


def interrupted(command: list, target: Path, *, stdin: object = None) -> str:
    """Runs until something is committed, then presses Ctrl-C. Returns what was said."""
    process = subprocess.Popen(
        [TERCEL, *map(str, command), "--output", str(target)], stderr=subprocess.PIPE, stdin=stdin
    )
    journal = Path(f"{target}.journal")
    while process.poll() is None and not (journal.exists() and journal.read_bytes().count(b"\n") > 1):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    message = process.communicate()[1].decode()
    assert process.returncode == 130, message
    return message


def test_interrupted_and_continued(job: tuple, tmp_path: Path) -> None:
    command, folder, expected = job
    target = tmp_path / "out.jsonl"
    slow = [*command, "--rejects", tmp_path / "bad.jsonl", "--commit-seconds", 0]
    message = interrupted(slow, target)
    assert "interrupted" in message and "--resume continues" in message and message.count("\n") == 1
    assert not target.exists() and Path(f"{target}.part").stat().st_size > 0
    again = [*slow, "--output", target]
    assert "--resume" in refused(*again)
    assert 'dtype = "f32"' in refused(*again, "--resume", "--dtype", "bf16")
    assert "top_k" in refused(*again, "--resume", "--top-k", 3)
    data = (folder / "in.jsonl").read_bytes()
    try:
        (folder / "in.jsonl").write_bytes(b'{"text": "now"}\n' + data)
        assert "input" in refused(*again, "--resume")
        (folder / "in.jsonl").write_bytes(data.replace(b"fox", b"cat", 1))
        assert "does not begin with" in refused(*again, "--resume")
    finally:
        (folder / "in.jsonl").write_bytes(data)
    output(*again, "--resume")
    assert target.read_bytes() == expected["out.jsonl"]
    assert (tmp_path / "bad.jsonl").read_bytes() == expected["bad.jsonl"]


def test_dtype_auto_and_the_instruction_set_stay_what_they_were(job: tuple, tmp_path: Path) -> None:
    command, _, _ = job
    target = tmp_path / "out.jsonl"
    interrupted([*command, "--dtype", "auto", "--commit-seconds", 0], target)
    begun = json.loads(Path(f"{target}.journal").read_text().splitlines()[0])["run"]
    assert begun["dtype"].split(",")[0] in ("f32", "bf16", "i8") and begun["cpu_isa"] != ""
    again = [*command, "--commit-seconds", 0, "--output", target, "--resume"]
    if begun["cpu_isa"] != "generic":
        assert "cpu_isa" in refused(*again, "--dtype", "auto", "--cpu-isa", "generic")
    output(*again, "--dtype", "auto", "--cpu-isa", begun["cpu_isa"])
    if "," not in begun["dtype"]:
        output(*command, "--dtype", begun["dtype"], "--output", tmp_path / "whole.jsonl")
        assert target.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_an_output_that_was_to_be_replaced_is_not_complete(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"text": "x"}])
    target, journal = tmp_path / "o.jsonl", tmp_path / "o.jsonl.journal"
    command = ["predict", EMBED, "--task", "embedding", "--input", source, "--output", target]
    output(*command)
    expected = target.read_bytes()
    assert "tpu" in refused(*command, "--overwrite", "--devices", "tpu")
    assert target.read_bytes() == expected and not journal.exists()
    target.write_bytes(b"of an earlier run")
    journal.touch()  # killed while it loaded the model
    output(*command, "--resume")
    assert target.read_bytes() == expected and not journal.exists()


def test_one_process_at_a_run(tmp_path: Path) -> None:
    target = tmp_path / "o.npy"
    command = ["predict", EMBED, "--task", "embedding", "--input", "-", "--output", target]
    process = subprocess.Popen([TERCEL, *map(str, command)], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    while not Path(f"{target}.part").exists():
        time.sleep(0.01)
    assert "another process" in refused(*command, "--resume")
    assert "another process" in refused(*command, "--overwrite")
    process.communicate(b'{"text": "a"}\n')
    assert process.returncode == 0 and len(np.load(target)) == 1


def test_interrupted_while_a_pipe_has_nothing(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [TERCEL, "predict", EMBED, "--task", "embedding", "--input", "-", "--output", tmp_path / "o.npy"],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    while not (tmp_path / "o.npy.part").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    process.stdin.close()
    process.stderr.close()
