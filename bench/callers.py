"""Requests that meet: latencies and requests a second of callers who ask again as soon as they are answered.

For each number of callers: all threads on a request (latency mode) and a thread a request (throughput mode).
"""

import argparse
import os
import threading
import time

import numpy as np
import tercel
from measure import MODEL, closing, median

SEQUENCE = 128


def inputs(random):
    shape = (1, SEQUENCE)
    return {
        "input_ids": random.integers(1000, 30000, shape),
        "attention_mask": np.ones(shape, np.int64),
        "token_type_ids": np.zeros(shape, np.int64),
    }


def serve(session, callers, seconds):
    """Milliseconds of every request of `callers` threads within `seconds`."""
    times, end = [[] for _ in range(callers)], time.perf_counter() + seconds

    def call(own, arrays):
        while (begin := time.perf_counter()) < end:
            session.run(arrays)
            own.append((time.perf_counter() - begin) * 1e3)

    threads = [threading.Thread(target=call, args=(own, inputs(np.random.default_rng(1)))) for own in times]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(one for own in times for one in own)


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=1.0, help="of each measurement")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--callers", type=int, nargs="*", default=[1, 2, 4, 8])
    options = arguments.parse_args()
    modes = {"latency": {}, "throughput": {"throughput": True}}
    sessions = {mode: tercel.Session(MODEL, **chosen) for mode, chosen in modes.items()}
    for session in sessions.values():
        session.run(inputs(np.random.default_rng(1)))
    print(f"{len(os.sched_getaffinity(0))} CPUs, 1 x {SEQUENCE}; medians of {options.rounds} rounds")
    print(f"{'callers':>7} {'mode':11} {'p50 ms':>8} {'p99 ms':>8} {'requests/s':>11}")
    for callers in options.callers:
        found = {mode: [] for mode in modes}
        for _ in range(options.rounds):
            for mode, session in sessions.items():
                times = serve(session, callers, options.seconds)
                rank = min(len(times) - 1, len(times) * 99 // 100)
                found[mode].append((median(times), times[rank], len(times) / options.seconds))
        for mode, rounds in found.items():
            p50, p99, rate = (median(column) for column in zip(*rounds))
            print(f"{callers:7} {mode:11} {p50:8.2f} {p99:8.2f} {rate:11.1f}", flush=True)
            if callers == 2:
                told = f"{p50:.1f} ms, {p99:.1f} ms, {rate:.0f} requests a second"
                closing(f"two callers at 1x{SEQUENCE}, {mode} mode: p50, p99", told, "-")


if __name__ == "__main__":
    main()
