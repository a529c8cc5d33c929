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


def alternate(jobs, rounds, runs=3, rest=0.03):
    """Median milliseconds of each job, in turns, so that a busy moment of the machine hits all of them.

    A turn is a rest, in which the other's threads fall asleep, one run to wake up, and `runs` that count.
    """
    times = [[] for _ in jobs]
    for _ in range(rounds):
        for job, own in zip(jobs, times):
            time.sleep(rest)
            job()
            own.extend(milliseconds(job) for _ in range(runs))
    return [median(own) for own in times]


def closing(what, measured, bar, met=None):
    """Adds a row to the table that ends `make bench`."""
    path = os.environ.get("TERCEL_BENCH_ROWS")
    if path:
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps([what, measured, bar, {True: "yes", False: "NO", None: ""}[met]]) + "\n")
