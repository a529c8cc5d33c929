#!/usr/bin/env python3
"""Makes tests/data/tokenizer/: real text in many scripts, from XQuAD.

    python scripts/make_tokenizer_fixtures.py DIRECTORY   # with xquad.<language>.json[.xz]

XQuAD is public at github.com/google-deepmind/xquad. Of each language the first paragraphs and
their questions are taken, about 24 KB of text.
"""

import json
import lzma
import pathlib
import sys

OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "tests/data/tokenizer"
BYTES_PER_LANGUAGE = 24_000
LICENCE = """Text in eight languages, to compare tokenizers on. Made by scripts/make_tokenizer_fixtures.py.

xquad_sample.json is a sample of XQuAD (Mikel Artetxe, Sebastian Ruder and Dani Yogatama, 2020: "On the
Cross-lingual Transferability of Monolingual Representations"), which translates paragraphs and
questions of SQuAD 1.1 (Pranav Rajpurkar, Jian Zhang, Konstantin Lopyrev and Percy Liang, 2016).
Both are under CC BY-SA 4.0 (https://creativecommons.org/licenses/by-sa/4.0/), and so is this sample.
"""


def read(path):
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return json.load(file)


def sample(document):
    records, size = [], 0
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            questions = [qa["question"] for qa in paragraph["qas"]]
            records.append({"context": paragraph["context"], "questions": questions})
            size += sum(len(text.encode()) for text in [paragraph["context"], *questions])
            if size >= BYTES_PER_LANGUAGE:
                return records
    return records


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    result = {}
    for path in sorted(pathlib.Path(sys.argv[1]).glob("xquad.*.json*")):
        result[path.name.split(".")[1]] = sample(read(path))
    if not result:
        raise SystemExit(f"{sys.argv[1]}: no xquad.<language>.json in this directory")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    (OUTPUT / "xquad_sample.json").write_text(
        json.dumps(result, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8"
    )
    (OUTPUT / "README.md").write_text(LICENCE)


if __name__ == "__main__":
    main()
