#!/usr/bin/env python3
"""Tercel's tokenizers beside the `tokenizers` package: one thread each, alternating, medians; and how much faster
two threads are than one in runs that follow one another, medians too.

    python bench/tokenizer.py [--rounds N]

WordPiece is the shipped model's; byte-level BPE and Unigram are trained here. Needs the build's tokenizer_bench
(TERCEL_BUILD names another build directory).
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile

from measure import BUILD, MODEL, ROOT, closing, median, milliseconds, output_of

os.environ["TOKENIZERS_PARALLELISM"] = "false"
import tokenizers  # reads the variable when imported

sys.path.insert(0, str(ROOT / "tests/python"))
import trained_tokenizers

FASTER = 1.5
TWO_THREADS = 1.8


def texts():
    """Two megabytes each, as passes over what there is."""
    squad = json.loads((ROOT / "tests/data/squad/squad-heldout.json").read_text())
    paragraphs = [p for article in squad["data"] for p in article["paragraphs"]]
    yield "English", ([p["context"] for p in paragraphs] + [q["question"] for p in paragraphs for q in p["qas"]]) * 8
    sample = json.loads((ROOT / "tests/data/tokenizer/xquad_sample.json").read_text(encoding="utf-8"))
    records = [record for language in sample.values() for record in language]
    yield "8 languages", [text for r in records for text in [r["context"], *r["questions"]]] * 10


def models(folder):
    yield "WordPiece", MODEL / "tokenizer.json"
    for name, title in (("byte_level_bpe", "byte-level BPE"), ("unigram", "Unigram")):
        path = pathlib.Path(folder) / name
        path.mkdir()
        yield title, trained_tokenizers.train(name, path)


def measure(path, lines, rounds):
    """Medians of our encoding and of theirs, milliseconds; how much faster two threads are."""
    reference = tokenizers.Tokenizer.from_file(str(path))
    ours, theirs = [], []
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".txt") as file:
        file.write("\n".join(lines) + "\n")
        file.flush()
        for _ in range(rounds):
            ours.append(output_of(BUILD / "tokenizer_bench", path, file.name, "0.5"))
            theirs.append(milliseconds(lambda: reference.encode_batch(lines)))
    of = {key: median(result[key] for result in ours) for key in ("encode_ms", "gain")}
    return of["encode_ms"], median(theirs), of["gain"]


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=7)
    options = arguments.parse_args()
    heads = f"{'tercel MB/s':>12} {'tokenizers MB/s':>16} {'ratio':>6} {'2 threads':>10}"
    print(f"{'model':15} {'text':12} {'MB':>5} {heads}")
    with tempfile.TemporaryDirectory() as folder:
        for model, path in models(folder):
            for name, lines in texts():
                lines = [line.replace("\n", " ") for line in lines]
                size = sum(len(line.encode()) for line in lines) / 1e6
                ours, theirs, two = measure(path, lines, options.rounds)
                print(
                    f"{model:15} {name:12} {size:5.2f} {size / ours * 1e3:12.1f} {size / theirs * 1e3:16.1f} "
                    f"{theirs / ours:6.1f} {two:9.2f}×",
                    flush=True,
                )
                what = f"tokenizer, {model}, {name}"
                met = theirs / ours >= FASTER
                closing(f"{what}: over `tokenizers`, one thread", f"{theirs / ours:.1f} ×", f"≥ {FASTER} ×", met)
                closing(f"{what}: two threads over one", f"{two:.2f} ×", f"≥ {TWO_THREADS} ×", two >= TWO_THREADS)
    path = MODEL / "tokenizer.json"
    theirs = median(milliseconds(lambda: tokenizers.Tokenizer.from_file(str(path))) for _ in range(9))
    with tempfile.NamedTemporaryFile("w") as empty:
        load = output_of(BUILD / "tokenizer_bench", path, empty.name, "0.1")["load_ms"]
    print(f"load     {load:.2f} ms, tokenizers {theirs:.2f} ms, ratio {theirs / load:.1f}")
    closing("loading tokenizer.json", f"{load:.1f} ms, `tokenizers` {theirs:.1f} ms", "-")


if __name__ == "__main__":
    main()
