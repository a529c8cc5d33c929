"""The command as a user meets it: time to an answer, peak memory, time to load, size, questions per second."""

import argparse
import os
import subprocess
import tempfile

from measure import BUILD, MODEL, ROOT, TERCEL, child, closing, median, output_of

QUESTION = "How many countries share the forest?"


def ask(runs):
    command = [TERCEL, "ask", "--model", str(MODEL), "--document", str(ROOT / "examples/amazon.txt"), QUESTION]
    child(command)  # the files are in the cache from here on
    times, peaks = zip(*(child(command) for _ in range(runs)))
    time, peak = median(times), median(peaks)
    model = (MODEL / "model.safetensors").stat().st_size
    print(f"tercel ask, process start to end: median {time:.0f} ms, best {min(times):.0f}, worst {max(times):.0f}")
    print(f"  peak resident memory {peak / 1e6:.1f} MB, model file {model / 1e6:.1f} MB, ratio {peak / model:.2f}")
    closing("`tercel ask` on a page, process start to end", f"{time:.0f} ms", "≤ 150 ms", time <= 150)
    closing("its peak memory over the model file", f"{peak / model:.2f} ×", "≤ 2.5 ×", peak <= 2.5 * model)


def load(runs):
    one = [f"--random={name}=1x16" for name in ("input_ids", "attention_mask", "token_type_ids")]
    results = [output_of(TERCEL, "run", MODEL, *one, "--json")["milliseconds"] for _ in range(runs)]
    times = [result["load"] for result in results]
    first = median(result["first"] for result in results)
    time = median(times)
    print(f"loading, a process each: median {time:.1f} ms, best {min(times):.1f}, worst {max(times):.1f}")
    print(f"  the first request of 1x16, which makes its plan: median {first:.1f} ms")
    closing("loading models/minilm-qa to a ready session", f"{time:.1f} ms", "≤ 30 ms", time <= 30)


def size():
    with tempfile.TemporaryDirectory() as folder:
        stripped = os.path.join(folder, "tercel")
        subprocess.run([os.environ.get("STRIP", "strip"), "-o", stripped, str(BUILD / "tercel")], check=True)
        size = os.path.getsize(stripped) / 1e6
    print(f"the stripped command: {size:.2f} MB")
    closing("the stripped command", f"{size:.1f} MB", "≤ 10 MB", size <= 10)


def evaluate(questions, runs):
    data = ROOT / "tests/data/squad/squad-heldout.json"
    command = [TERCEL, "evaluate", "question-answering", "--model", MODEL, "--data", data]
    results = [output_of(*command, "--limit", questions, "--quiet", "--json") for _ in range(runs)]
    speed = median(result["questions_per_second"] for result in results)
    print(f"tercel evaluate, {questions} questions of SQuAD: median {speed:.0f} questions a second")
    closing("`tercel evaluate`, questions a second", f"{speed:.0f}", "-")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=20)
    options = arguments.parse_args()
    ask(options.runs)
    load(options.runs)
    size()
    evaluate(100, max(1, options.runs // 7))


if __name__ == "__main__":
    main()
