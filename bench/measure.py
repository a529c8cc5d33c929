"""What the measuring scripts share: where things are, medians, and the rows of the closing table.

Standard library only: a process that measures another's peak memory must be smaller than it.
"""

import json
import os
import pathlib
import statistics
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("TERCEL_BUILD", ROOT / "build"))
TERCEL = str(BUILD / "tercel")
MODEL = ROOT / "models/minilm-qa"

median = statistics.median


def milliseconds(job):
    begin = time.perf_counter()
    job()
    return (time.perf_counter() - begin) * 1e3


def output_of(*command):
    """What a command prints, read as JSON."""
    done = subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def child(command):
    """Milliseconds from start to end of a process, and its peak resident bytes."""
    with open(os.devnull, "wb") as null:
        quiet = (os.POSIX_SPAWN_DUP2, null.fileno(), 1)
        begin = time.perf_counter()
        process = os.posix_spawn(command[0], command, os.environ, file_actions=[quiet])
        _, status, resources = os.wait4(process, 0)
        took = (time.perf_counter() - begin) * 1e3
    if status != 0:
        raise SystemExit(f"failed: {' '.join(command)}")
    return took, resources.ru_maxrss * 1024


def closing(what, measured, bar, met=None):
    """Adds a row to the table that ends `make bench`."""
    path = os.environ.get("TERCEL_BENCH_ROWS")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps([what, measured, bar, {True: "yes", False: "NO", None: ""}[met]]) + "\n")
