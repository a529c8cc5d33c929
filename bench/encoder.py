"""The shipped model, exported as ONNX: Tercel beside ONNX Runtime, in turns, the same threads and inputs."""

import argparse
import pathlib
import subprocess
import tempfile

import numpy as np
import onnxruntime
import tercel
from measure import BUILD, MODEL, TERCEL, alternate, closing, output_of

SHAPES = [(1, 16), (1, 128), (1, 384), (8, 128)]


def inputs_of(batch, sequence, random):
    return {
        "input_ids": random.integers(1000, 30000, (batch, sequence)),
        "attention_mask": np.ones((batch, sequence), np.int64),
        "token_type_ids": np.zeros((batch, sequence), np.int64),
    }


def onnxruntime_session(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def flops(batch, sequence):
    shape = [f"--dim=batch={batch}", f"--dim=sequence={sequence}"]
    return output_of(TERCEL, "show", MODEL, *shape, "--json")["flops"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=15)
    options = arguments.parse_args()
    random = np.random.default_rng(1)
    threads = options.threads
    peak = output_of(BUILD / "peaks")["flops"]
    with tempfile.TemporaryDirectory() as folder:
        path = str(pathlib.Path(folder) / "model.onnx")
        subprocess.run([TERCEL, "export", str(MODEL), "-o", path], check=True, stdout=subprocess.DEVNULL)
        reference = onnxruntime_session(path, threads)
        ours, single = tercel.Session(path, threads=threads), tercel.Session(path, threads=1)
        print(f"milliseconds, {threads} threads; floor: the operations over the f32 peak of all threads;")
        print("1 thread, gain: Tercel on one thread, and what the others add")
        print(f"{'shape':8} {'floor':>7} {'tercel':>8} {'onnxruntime':>12} {'ratio':>6} {'1 thread':>9} {'gain':>5}")
        for batch, sequence in SHAPES:
            inputs = inputs_of(batch, sequence, random)
            a, b = ours.run(inputs), reference.run(None, inputs)
            names = [output.name for output in reference.get_outputs()]
            error = max(np.abs(a[name] - value).max() for name, value in zip(names, b))
            if error > 1e-3:
                raise SystemExit(f"{batch}x{sequence}: the results differ by {error}")
            jobs = [lambda s=s, i=inputs: s.run(i) for s in (ours, single)]
            jobs.append(lambda i=inputs: reference.run(None, i))
            mine, alone, theirs = alternate(jobs, options.rounds)
            floor = flops(batch, sequence) / peak * 1e3
            print(
                f"{batch}x{sequence:<6} {floor:7.2f} {mine:8.2f} {theirs:12.2f} {theirs / mine:6.2f} "
                f"{alone:9.2f} {alone / mine:5.2f}"
            )
            closing(
                f"the model at {batch}x{sequence}",
                f"{mine:.2f} ms, ONNX Runtime {theirs:.2f} ms ({theirs / mine:.2f} ×)",
                "-",
            )


if __name__ == "__main__":
    main()
