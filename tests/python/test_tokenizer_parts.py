"""Each part of a tokenizer alone, against the `tokenizers` package, on random Unicode.

Normalizers and pre-tokenizers stand before a vocabulary of single characters, so that every
character that they make and every word that they cut shows in ids and offsets.
TERCEL_TOKENIZER_STRINGS sets how many random strings are tried for each part.
"""

import base64
import json
import os
import random

import pytest
from charsmap import charsmap
from tokenizer_reference import compare, random_texts, sample_texts, tokenizers

STRINGS = int(os.environ.get("TERCEL_TOKENIZER_STRINGS", "300"))
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
BEHAVIORS = ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")


def sequence(kind, *parts):
    return {"type": "Sequence", kind: list(parts)}


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def replace(pattern, content, kind="Regex"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def byte_level(add_prefix_space=False, trim_offsets=True, use_regex=True):
    return {
        "type": "ByteLevel",
        "add_prefix_space": add_prefix_space,
        "trim_offsets": trim_offsets,
        "use_regex": use_regex,
    }


def metaspace(scheme, split_words=True):
    return {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": split_words}


RULES = {
    "\t": " ",
    "\n": " ",
    "\r": " ",
    "\u00a0": " ",
    "\u200d": "",
    "\x01": "",
    "\x02": "",
    "ﬁ": "fi",
    "①": "1",
    "½": "1⁄2",
    "é": "é",
    "e\u0301": "é",
    "İ": "i\u0307",
    "¨": " \u0308",
    "각": "각",
    "Å": "Å",
    "ǅ": "dž",
    "\u0344": "\u0308\u0301",
    "中": "zhong",
    "🌍": "world",
    "e": "e",
    "o\u0308\u0301": "O",
    "A": "a",
}

NORMALIZERS = {
    **{
        kind: {"type": kind} for kind in ("NFC", "NFD", "NFKC", "NFKD", "StripAccents", "Lowercase", "Nmt", "ByteLevel")
    },
    "Bert": {
        "type": "BertNormalizer",
        "clean_text": True,
        "handle_chinese_chars": True,
        "strip_accents": None,
        "lowercase": True,
    },
    "Strip": {"type": "Strip", "strip_left": True, "strip_right": True},
    "Prepend": {"type": "Prepend", "prepend": "▁x"},
    "Replace": replace("e", "éa", "String"),
    "ReplaceSpace": replace(" ", "▁", "String"),
    "ReplaceLong": replace("th", "", "String"),
    "ReplaceSpecial": replace("[M", "(", "String"),
    "ReplaceRegex": replace(r"\s+", " "),
    "ReplaceRuns": replace(r" {2,}|\p{M}+", "__"),
    "ReplaceNothing": replace(r"(?=\p{Lu})", "^"),
    "Precompiled": {"type": "Precompiled", "precompiled_charsmap": charsmap(RULES)},
    "T5": sequence(
        "normalizers",
        {"type": "Precompiled", "precompiled_charsmap": charsmap(RULES)},
        {"type": "Strip", "strip_left": False, "strip_right": True},
        replace(" {2,}", "▁"),
    ),
    "Clip": sequence("normalizers", {"type": "NFC"}, replace(r"\s+", " "), {"type": "Lowercase"}),
    "Llama": sequence("normalizers", {"type": "Prepend", "prepend": "▁"}, replace(" ", "▁", "String")),
    "Empty": sequence("normalizers"),
}

PRE_TOKENIZERS = {
    **{kind: {"type": kind} for kind in ("BertPreTokenizer", "Whitespace", "WhitespaceSplit", "UnicodeScripts")},
    "ByteLevel": byte_level(),
    "ByteLevelPrefix": byte_level(True),
    "ByteLevelAlone": byte_level(True, True, False),
    "WordsByteLevel": sequence("pretokenizers", {"type": "Whitespace"}, byte_level(True)),
    "Falcon": sequence(
        "pretokenizers",
        {"type": "Punctuation", "behavior": "Contiguous"},
        byte_level(),
        {"type": "Digits", "individual_digits": False},
        split("[0-9][0-9][0-9]"),
    ),
    "DelimiterSplit": {"type": "CharDelimiterSplit", "delimiter": " "},
    "Digits": {"type": "Digits", "individual_digits": False},
    "DigitsAlone": {"type": "Digits", "individual_digits": True},
    "FixedLength": {"type": "FixedLength", "length": 3},
    "Metaspace": metaspace("always"),
    "MetaspaceFirst": metaspace("first", False),
    "MetaspaceNever": metaspace("never"),
    "MetaspaceAscii": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "always", "split": True},
    "WordsMetaspace": sequence("pretokenizers", {"type": "WhitespaceSplit"}, metaspace("always")),
    "Scripts": sequence("pretokenizers", {"type": "UnicodeScripts"}, {"type": "Digits", "individual_digits": True}),
    **{f"Punctuation{b}": {"type": "Punctuation", "behavior": b} for b in BEHAVIORS},
    **{f"Split{b}": split(r"\s+|e", b) for b in BEHAVIORS},
    **{f"Invert{b}": split(r"\w+", b, True) for b in BEHAVIORS},
    **{f"Empty{b}": split(r"(?=\p{L})|\d*", b) for b in BEHAVIORS},
    "SplitString": split("th", "MergedWithNext", False, "String"),
    "SplitSpecial": split("[MASK]", "Removed", False, "String"),
}

POST_PROCESSORS = {
    "ByteLevel": byte_level(True),
    "ByteLevelNoPrefix": byte_level(False),
    "ByteLevelUntrimmed": byte_level(True, False),
    "Roberta": {
        "type": "RobertaProcessing",
        "sep": ["</s>", 1],
        "cls": ["<s>", 0],
        "trim_offsets": True,
        "add_prefix_space": True,
    },
    "RobertaNoPrefix": {
        "type": "RobertaProcessing",
        "sep": ["</s>", 1],
        "cls": ["<s>", 0],
        "trim_offsets": True,
        "add_prefix_space": False,
    },
    "Template": sequence(
        "processors",
        byte_level(False),
        {
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [
                {"SpecialToken": {"id": "<s>", "type_id": 2}},
                {"Sequence": {"id": "B", "type_id": 1}},
                {"SpecialToken": {"id": "</s>", "type_id": 1}},
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "special_tokens": {
                "<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]},
                "</s>": {"id": "</s>", "ids": [1, 0], "tokens": ["</s>", "<s>"]},
            },
        },
    ),
}


def added(content, special=False, **on):
    options = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": not special}
    return {"id": 0, "content": content, "special": special, **options, **on}


SPECIAL = [added("<s>", True), added("</s>", True), added("[UNK]", True)]
ADDED = [
    *SPECIAL,
    added("[MASK]", True, lstrip=True),
    added("Fob", lstrip=True, rstrip=True),
    added("foo", single_word=True),
    added("<x>", rstrip=True, normalized=False),
    added("<X>", normalized=True),
    added("éa", single_word=True, normalized=False),
    added("中国", normalized=False, lstrip=True),
    added("the", single_word=True, lstrip=True),
    added(" of ", normalized=False),
    added("12", True, normalized=True),
]


def document(characters, words=(), **stages):
    """A tokenizer whose model gives one token for each character, or for one of `words`."""
    vocabulary = {}
    for token in ("<s>", "</s>", "[UNK]", *sorted(characters), *words):
        vocabulary.setdefault(token, len(vocabulary))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": SPECIAL,
        "normalizer": None,
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        **stages,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "",
            "max_input_chars_per_word": 100000,
            "vocab": vocabulary,
        },
    }


def write(tmp_path, texts, words=(), **stages):
    """The path of a tokenizer that knows every character that its stages make of the texts."""
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document("", **stages)))
    reference = tokenizers.Tokenizer.from_file(str(path))
    seen = set()
    for text in texts:
        if reference.normalizer is not None:
            text = reference.normalizer.normalize_str(text)
        if reference.pre_tokenizer is not None:
            text = "".join(piece for piece, _ in reference.pre_tokenizer.pre_tokenize_str(text))
        seen.update(text)
    path.write_text(json.dumps(document(seen, words, **stages)))
    return path


def ascii_texts(seed, count):
    rng = random.Random(seed)
    pieces = ["the", " ", "  ", "\n", "\r\n", "12", "345", "'s", "e", "Foo", "!?", "[MASK]", "_", "\t", "a-b", "\x01"]
    return ["".join(rng.choices(pieces, k=rng.randint(0, 8))) for _ in range(count)]


EDGES = [
    "",
    " ",
    "a",
    "\r\n",
    "a\u200d",
    "\u200d",
    "\u200da",
    "\x01",
    "\x01e",
    "e\u0301",
    "\u0301",
    "中",
    "▁",
    "_a",
    "  a",
    "a  ",
    "İ",
]


def texts_for(name):
    texts = [*EDGES, *random_texts(name, STRINGS), *ascii_texts(name, STRINGS // 3)]
    return [*texts, *[text[:300] for text in sample_texts()[::9]]]


# ---------------------------------------------------------------- tests


@pytest.mark.parametrize("name", sorted(NORMALIZERS))
def test_normalizer(tmp_path, name):
    texts = texts_for(name)
    compare(write(tmp_path, texts, normalizer=NORMALIZERS[name]), texts)


@pytest.mark.parametrize("name", sorted(PRE_TOKENIZERS))
def test_pre_tokenizer(tmp_path, name):
    texts = texts_for(name)
    compare(write(tmp_path, texts, pre_tokenizer=PRE_TOKENIZERS[name]), texts)


@pytest.mark.parametrize("kind", ["UnicodeScripts", "ByteLevel", "Nmt"])
def test_every_code_point(tmp_path, kind):
    step = 1 if STRINGS > 10_000 else 23
    codes = [c for c in range(1, 0x110000, step) if not 0xD800 <= c < 0xE000]
    texts = ["a".join(map(chr, codes[i : i + 64])) for i in range(0, len(codes), 64)]
    stage = {
        ("normalizer" if kind == "Nmt" else "pre_tokenizer"): byte_level() if kind == "ByteLevel" else {"type": kind}
    }
    compare(write(tmp_path, texts[::7], **stage), texts)


@pytest.mark.parametrize("name", sorted(POST_PROCESSORS))
@pytest.mark.parametrize("prefix", [False, True])
def test_post_processor(tmp_path, name, prefix):
    texts = texts_for(name)
    words = ("Ġthe", "Ġa", "ĠĠ", "Ġe", "the", "Ċ", "12", "Ġ12")
    stages = {"pre_tokenizer": byte_level(prefix), "post_processor": POST_PROCESSORS[name], "added_tokens": ADDED}
    path = write(tmp_path, texts, words, **stages)
    pairs = list(zip(texts[::3], texts[1::3]))
    compare(path, texts)
    compare(path, texts[:200], special=False)
    compare(path, pairs)
    for direction in ("left", "right"):
        truncation = {"max_length": 9, "stride": 3, "strategy": "longest_first", "direction": direction}
        compare(path, texts[: STRINGS // 2], truncation=truncation)
        short = [(a[:9], b[:9]) for a, b in pairs if len(a) and len(b)]
        compare(path, short, truncation={**truncation, "max_length": 12, "stride": 0})


@pytest.mark.parametrize("normalizer", [None, {"type": "Lowercase"}, NORMALIZERS["Llama"], NORMALIZERS["Clip"]])
@pytest.mark.parametrize("pre_tokenizer", [None, {"type": "Whitespace"}, byte_level(True), metaspace("first")])
def test_added_tokens(tmp_path, normalizer, pre_tokenizer):
    pieces = [t["content"] for t in ADDED] + [" ", "  ", "\n", "foo", "FOB", "fooo", "x", "é", "\u00a0", "a", "3"]
    rng = random.Random(41)
    texts = ["".join(rng.choices(pieces, k=rng.randint(0, 9))) for _ in range(STRINGS)] + random_texts(42, STRINGS)
    stages = {"normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "added_tokens": ADDED}
    path = write(tmp_path, texts, **stages)
    compare(path, texts)


@pytest.mark.parametrize("direction", ["Left", "Right"])
@pytest.mark.parametrize("strategy", [{"Fixed": 13}, "BatchLongest"])
@pytest.mark.parametrize("multiple", [None, 8])
def test_padding(tmp_path, direction, strategy, multiple):
    texts = random_texts(43, STRINGS)
    padding = {
        "strategy": strategy,
        "direction": direction,
        "pad_to_multiple_of": multiple,
        "pad_id": 7,
        "pad_type_id": 3,
        "pad_token": "#",
    }
    truncation = {"direction": direction, "max_length": 21, "strategy": "LongestFirst", "stride": 4}
    path = write(tmp_path, texts, pre_tokenizer=byte_level(), padding=padding, truncation=truncation)
    compare(path, texts)


def test_hostile_character_maps_are_harmless(tmp_path):
    """Units that lead anywhere, and values beyond the blob: never a crash, whatever the answer."""
    rng = random.Random(44)
    texts = random_texts(45, 50)
    good = base64.b64decode(charsmap(RULES))
    path = tmp_path / "tokenizer.json"
    for _ in range(20):
        data = bytearray(good)
        for _ in range(rng.randint(1, 200)):
            data[rng.randrange(4, len(data))] = rng.randrange(256)
        normalizer = {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(data).decode()}
        path.write_text(json.dumps(document("abc", normalizer=normalizer)))
        compare_nothing(path, texts)


def compare_nothing(path, texts):
    from tokenizer_reference import dump

    dump(path, texts, flat=1)
