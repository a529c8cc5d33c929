"""Engines that take turns: each a process that runs only when it is asked to."""

import json
import pathlib
import subprocess
import sys
import time

SECONDS = 0.4  # of a turn
LEAST = {"texts": 1}  # runs of a turn, where not two
REST = 0.03  # between turns: threads that wait awake fall asleep
FOREIGN = 0.08  # of a CPU that other processes may use during a turn; else it is taken again
AGAIN = 2


def busy_seconds():
    """Processor time that all processes of the machine have used, and what other machines took from it."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    idle = fields[3] + fields[4]
    return (sum(fields) - idle) / 100


class Engine:
    def __init__(self, name, threads):
        worker = pathlib.Path(__file__).with_name("worker.py")
        command = [sys.executable, str(worker), name, str(threads)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.broken = self.read().get("refused")

    def read(self):
        line = self.process.stdout.readline()
        return json.loads(line) if line else {"refused": f"its process ended with code {self.process.wait()}"}

    def ask(self, **request):
        if self.broken:
            return {"refused": self.broken}
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # reading says why
        return self.read()

    def turn(self, least):
        """One turn's answer; taken again while other processes disturb it."""
        for _ in range(1 + AGAIN):
            busy, begin = busy_seconds(), time.perf_counter()
            answer = self.ask(runs=SECONDS, least=least)
            others = busy_seconds() - busy - answer.get("cpu", 0)
            if "refused" in answer or others < FOREIGN * (time.perf_counter() - begin):
                break
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def take_turns(engines, row, rounds):
    """By engine: times in milliseconds, peak memory, how near the result is to f32's; or why it refuses."""
    results = {name: {"times": [], **engine.ask(load=row.name)} for name, engine in engines.items()}
    for turn in range(rounds):
        able = [name for name in engines if "refused" not in results[name]]
        for name in able[turn % max(1, len(able)) :] + able[: turn % max(1, len(able))]:
            time.sleep(REST)
            answer = engines[name].turn(LEAST.get(row.kind, 2))
            results[name]["times"] += answer.pop("times", [])
            results[name].update(answer)
    return results
