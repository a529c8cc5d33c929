"""One engine in a process of its own, so that no engine's threads wait awake beside another's.

python bench/cpu/worker.py ENGINE THREADS: reads a line of JSON for each request on standard input and answers each with
one: {"load": ROW}, {"runs": SECONDS, "least": N}. Nothing runs between requests.
"""

import gc
import json
import os
import resource
import sys
import time
import warnings

import assets
import engines
import numpy as np
import rows

SAME_F32 = 1e-3  # of the largest value: a larger difference is another result, not another rounding


def cosine(a, b):
    a, b = a.reshape(len(a), -1).astype(np.float64), b.reshape(len(b), -1).astype(np.float64)
    return float(((a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1))).mean())


class Worker:
    def __init__(self, name, threads):
        self.name, self.threads = name, threads
        self.engine = engines.make(name, threads)
        self.job = None

    def load(self, name):
        self.job = None
        gc.collect()
        (row,) = rows.chosen([name])
        if row.kind == "texts":
            run = engines.embed_texts(self.engine, row, self.threads)
            texts = assets.CORPUS.read_text(encoding="utf-8").splitlines()
            run(texts[:1])
            self.job = lambda: run(texts)
            return {}
        run, inputs = self.engine.load(row), assets.inputs_of(row.model, row.shape)
        self.job = lambda: run(inputs)
        return self.compared(np.array(self.job()), np.load(assets.expected_file(row)), row.dtype)

    def compared(self, result, expected, dtype):
        if result.shape != expected.shape:  # CTranslate2 has no head for questions: its last states
            return {}
        error = float(np.abs(result - expected).max() / np.abs(expected).max())
        if dtype == "f32" and not error < SAME_F32:
            raise ValueError(f"another result than ONNX Runtime's: they differ by {error:.1e} of the largest value")
        return {"error": error, "cosine": cosine(result, expected)}

    def runs(self, seconds, least):
        used = time.process_time()
        if least > 1:
            self.job()  # wakes the threads
        times, end = [], time.perf_counter() + seconds
        while len(times) < least or time.perf_counter() < end:
            begin = time.perf_counter()
            self.job()
            times.append((time.perf_counter() - begin) * 1e3)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return {"times": times, "peak": peak, "cpu": time.process_time() - used}

    def answer(self, request):
        try:
            return self.load(request["load"]) if "load" in request else self.runs(request["runs"], request["least"])
        except Exception as error:  # whatever an engine throws is the row's answer
            return {"refused": f"{type(error).__name__}: {error}".splitlines()[0][:200]}


def main():
    warnings.filterwarnings("ignore")
    answers = os.fdopen(os.dup(1), "w")  # what an engine prints goes to standard error
    os.dup2(2, 1)
    try:
        worker, first = Worker(sys.argv[1], int(sys.argv[2])), {}
    except Exception as error:
        worker, first = None, {"refused": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
    print(json.dumps(first), file=answers, flush=True)
    for line in sys.stdin if worker else ():
        print(json.dumps(worker.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
