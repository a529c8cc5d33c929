"""What the tests of tokenizers share: comparing with the `tokenizers` package, and texts to do it on.

Needs build/tests/tokenizer_dump (TERCEL_BUILD names another build directory).
"""

import array
import itertools
import json
import os
import pathlib
import random
import subprocess

import pytest

tokenizers = pytest.importorskip("tokenizers")

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TERCEL_BUILD", ROOT / "build"))
DUMP = BUILD / "tests/tokenizer_dump"
SQUAD = ROOT / "tests/data/squad/squad-heldout.json"
SAMPLE = ROOT / "tests/data/tokenizer/xquad_sample.json"

# ---------------------------------------------------------------- comparison


def dump(path, records, **options):
    if not DUMP.exists():
        pytest.fail(f"{DUMP} is missing: run `make build`, or set TERCEL_BUILD")
    data = b"".join(
        r if isinstance(r, bytes) else r.encode()
        for text in records
        for r in ((text, b"\0") if not isinstance(text, tuple) else (text[0], b"\0", text[1], b"\0"))
    )
    arguments = [f"{key}={value}" for key, value in options.items()]
    done = subprocess.run([str(DUMP), str(path), *arguments], input=data, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def flat(encoding, windows=True):
    """An encoding as numbers, in the order of tokenizer_dump's flat=1."""
    # When both texts of a pair overflow, the package's windows hold some of the other windows once
    # more; ours do not.
    overflowing = encoding.overflowing if windows else []
    numbers = array.array("i", (len(encoding),))
    numbers.extend(encoding.ids)
    numbers.extend(encoding.type_ids)
    numbers.extend(encoding.attention_mask)
    numbers.extend(encoding.special_tokens_mask)
    numbers.extend(itertools.chain.from_iterable(encoding.offsets))
    numbers.extend(-1 if w is None else w for w in encoding.word_ids)
    numbers.append(len(overflowing))
    for window in overflowing:
        numbers.extend(flat(window, False))
    return numbers


def readable(numbers):
    """The encodings in a list of flat ones."""

    def read(at, windows):
        count = numbers[at]
        at += 1
        result = {}
        for name in ("ids", "type_ids", "attention_mask", "special_tokens_mask", "chars", "word_ids"):
            size = count * (2 if name == "chars" else 1)
            result[name] = list(numbers[at : at + size])
            at += size
        result["overflowing"] = []
        for _ in range(numbers[at]):
            window, at = read(at + 1, False)
            at -= 1
            result["overflowing"].append(window)
        return result, at + 1

    at = 0
    while at < len(numbers):
        encoding, at = read(at, True)
        yield encoding


def text_of(record):
    return record.decode(errors="replace") if isinstance(record, bytes) else record


def check_bytes(record, encoding):
    """Byte offsets and character offsets name the same place."""
    texts = record if isinstance(record, tuple) else (record,)
    for sequence_id, (begin, end), (first, last) in zip(
        encoding["sequence_ids"], encoding["offsets"], encoding["chars"]
    ):
        if sequence_id < 0:
            assert (begin, end) == (0, 0)
        else:
            text = texts[sequence_id]
            raw = text if isinstance(text, bytes) else text.encode()
            assert len(raw[:begin].decode(errors="replace")) == first
            assert len(raw[:end].decode(errors="replace")) == last


def compare(path, records, special=True, truncation=None, chunk=10000, byte_checks=100):
    """Asserts that both encode the records (texts, or pairs of them) alike."""
    reference = tokenizers.Tokenizer.from_file(str(path))
    options = {"special": int(special)}
    if truncation:
        reference.enable_truncation(**truncation)
        options |= {("truncate" if k == "direction" else k): v for k, v in truncation.items()}
    options["pair"] = int(isinstance(records[0], tuple))
    batched = reference.padding is None or reference.padding["length"] is not None
    for start in range(0, len(records), chunk):
        part = records[start : start + chunk]
        texts = [tuple(map(text_of, r)) if isinstance(r, tuple) else text_of(r) for r in part]
        if batched:
            theirs = reference.encode_batch(texts, add_special_tokens=special)
        else:
            theirs = [reference.encode(text, add_special_tokens=special) for text in texts]
        expected = array.array("i")
        for encoding in theirs:
            expected.extend(flat(encoding))
        result = array.array("i", dump(path, part, flat=1, **options))
        if result != expected:
            for record, ours, wanted in zip(part, readable(result), readable(expected)):
                assert ours == wanted, repr(record)
            raise AssertionError("encodings that look alike differ")
    part = records[:byte_checks]
    for record, line in zip(part, dump(path, part, **options).decode().splitlines()):
        check_bytes(record, json.loads(line))


# ---------------------------------------------------------------- texts


def sample_texts():
    languages = json.loads(SAMPLE.read_text(encoding="utf-8"))
    return [
        text
        for records in languages.values()
        for record in records
        for text in [record["context"], *record["questions"]]
    ]


def squad_pairs():
    if not SQUAD.exists():
        pytest.skip(f"{SQUAD} is not here")
    return [
        (qa["question"], paragraph["context"])
        for article in json.loads(SQUAD.read_text())["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]


RANGES = {
    "ascii": (0x20, 0x7F),
    "control": (0x01, 0x20),
    "latin": (0x80, 0x250),
    "marks": (0x300, 0x370),
    "greek_cyrillic": (0x370, 0x530),
    "right_to_left": (0x590, 0x900),
    "indic": (0x900, 0xE00),
    "thai_tibetan": (0xE00, 0x1000),
    "jamo": (0x1100, 0x1200),
    "spaces": (0x2000, 0x2070),
    "symbols": (0x2070, 0x2C00),
    "cjk": (0x3000, 0x9FFF),
    "hangul": (0xAC00, 0xD7A4),
    "private": (0xE000, 0xF900),
    "forms": (0xF900, 0x10000),
    "emoji": (0x1F300, 0x1FB00),
    "plane1": (0x10000, 0x20000),
    "plane2": (0x2A600, 0x2FA20),
    "all": (0x01, 0x110000),
}
WORDS = [
    "the",
    " of ",
    "question",
    "Foo",
    "foo",
    " <x> ",
    "<XY> ",
    "éa",
    "[MASK]",
    "[mask]",
    "中国",
    "12",
    "ing",
    "İ",
    "ǅ",
    "\u0344",
    "\u0f73\u0f74",
    "ﬁ",
    "¨",
    "Å",
    "각",
    "\u1100\u1161\u11a8",
    "\r\n",
    "\ufffd",
    "\u200d",
    "👩‍👩‍👧",
]


def random_text(rng):
    pieces = []
    for _ in range(rng.choice((0, 1, 2, 3, 5, 8, 20))):
        if rng.random() < 0.3:
            pieces.append(rng.choice(WORDS))
            continue
        first, last = rng.choice(list(RANGES.values()))
        codes = [rng.randrange(first, last) for _ in range(rng.randint(1, 6))]
        pieces.append("".join(chr(c) for c in codes if not 0xD800 <= c < 0xE000))
        if rng.random() < 0.3:
            pieces.append(" ")
    return "".join(pieces)


def random_texts(seed, count):
    print(f"random texts: seed {seed!r}")
    rng = random.Random(seed)
    return [random_text(rng) for _ in range(count)]
