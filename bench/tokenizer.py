#!/usr/bin/env python3
"""Tercel's tokenizer beside the `tokenizers` package: one thread each, alternating, medians.

    python bench/tokenizer.py [--tokenizer FILE] [--rounds N]

Needs the build's tokenizer_bench (TERCEL_BUILD names another build directory).
"""

import argparse
import json
import os
import tempfile

from measure import BUILD, MODEL, ROOT, closing, median, milliseconds, output_of

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers  # reads the variable when imported


def texts():
    squad = ROOT / "tests/data/squad/squad-heldout.json"
    if squad.exists():
        paragraphs = [p for article in json.loads(squad.read_text())["data"] for p in article["paragraphs"]]
        yield "English", [p["context"] for p in paragraphs] + [q["question"] for p in paragraphs for q in p["qas"]]
    sample = json.loads((ROOT / "tests/data/tokenizer/xquad_sample.json").read_text(encoding="utf-8"))
    for language, records in sample.items():
        yield language, [text for r in records for text in [r["context"], *r["questions"]]] * 4


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--tokenizer", default=str(MODEL / "tokenizer.json"))
    arguments.add_argument("--rounds", type=int, default=7)
    options = arguments.parse_args()
    reference = tokenizers.Tokenizer.from_file(options.tokenizer)
    load_theirs = median(milliseconds(lambda: tokenizers.Tokenizer.from_file(options.tokenizer)) for _ in range(9))
    print(f"{'text':8} {'MB':>6} {'tercel MB/s':>12} {'tokenizers MB/s':>16} {'ratio':>6}")
    loads = []
    for name, lines in texts():
        lines = [line.replace("\n", " ") for line in lines]
        size = sum(len(line.encode()) for line in lines) / 1e6
        ours, theirs = [], []
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
            file.write("\n".join(lines) + "\n")
            file.flush()
            for _ in range(options.rounds):
                result = output_of(BUILD / "tokenizer_bench", options.tokenizer, file.name, "0.1")
                ours.append(result["encode_ms"])
                loads.append(result["load_ms"])
                theirs.append(milliseconds(lambda lines=lines: [reference.encode(line) for line in lines]))
        a, b = median(ours), median(theirs)
        print(f"{name:8} {size:6.2f} {size / a * 1e3:12.1f} {size / b * 1e3:16.1f} {b / a:6.1f}")
        what = f"tokenizer, {name}, speed over `tokenizers` on one thread"
        closing(what, f"{b / a:.1f} ×", "≥ 1 ×", a <= b)
    load = median(loads)
    print(f"load     {load:.2f} ms, tokenizers {load_theirs:.2f} ms, ratio {load_theirs / load:.1f}")
    closing("loading tokenizer.json", f"{load:.1f} ms, `tokenizers` {load_theirs:.1f} ms", "-")


if __name__ == "__main__":
    main()
