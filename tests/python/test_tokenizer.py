"""Tercel's WordPiece tokenizers against the `tokenizers` package: the same ids, types, offsets and windows.

TERCEL_TOKENIZER_STRINGS sets how many random strings are tried for each configuration.
"""

import json
import os
import pathlib
import random

import pytest
from tokenizer_reference import ROOT, compare, dump, random_texts, sample_texts, squad_pairs, tokenizers

SHIPPED = pathlib.Path(os.environ.get("TERCEL_TOKENIZER", ROOT / "models/minilm-qa/tokenizer.json"))
STRINGS = int(os.environ.get("TERCEL_TOKENIZER_STRINGS", "300"))

# ---------------------------------------------------------------- configurations

VOCABULARY = (
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "##", "▁", "▁the", "▁a", "the", "of", "and", "ing", "##ing"]
    + [chr(c) for c in range(0x21, 0x7F)]
    + ["##" + chr(c) for c in range(0x21, 0x7F)]
    + [
        p + c
        for p in ("", "##")
        for c in "áéíóúñçöüßäåøæıİğşțșăâîабвгдежзийклмнопрстуфхцчшщъыьэюяАБВ中国人大的一是กขคงจฉชซญ"
        "कखगघचछजटठडतथदनपबमयरलवशसहािीुूेैोौंँ्ابتثجحخدذرزسشअ한국어e\u0301\u0308ﬁ①½"
    ]
    + ["er", "##er", "##en", "##tion", "St", "##adt", "qu", "##est", "##ion", "de", "la", "el", "die", "12", "##34"]
)


def bert(**on):
    options = {"clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
    return {"type": "BertNormalizer", **options, **on}


def sequence(kind, *parts):
    return {"type": "Sequence", kind: list(parts)}


def template(first_type=0, second_type=1):
    special = {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (("[CLS]", 2), ("[SEP]", 3))}
    cls, sep = ({"SpecialToken": {"id": t, "type_id": first_type}} for t in ("[CLS]", "[SEP]"))
    a, b = ({"Sequence": {"id": i, "type_id": t}} for i, t in (("A", first_type), ("B", second_type)))
    end = {"SpecialToken": {"id": "[SEP]", "type_id": second_type}}
    return {
        "type": "TemplateProcessing",
        "single": [cls, a, sep],
        "pair": [cls, a, sep, b, end],
        "special_tokens": special,
    }


def added(identity, content, special=False, **on):
    options = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": not special}
    return {"id": identity, "content": content, "special": special, **options, **on}


SPECIAL = [added(i, t, True) for i, t in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"))]
BERT_POST = {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}
ROBERTA_POST = {
    "type": "RobertaProcessing",
    "sep": ["[SEP]", 3],
    "cls": ["[CLS]", 2],
    "trim_offsets": True,
    "add_prefix_space": True,
}
BERT_SPLIT = {"type": "BertPreTokenizer"}
MORE = SPECIAL + [
    added(900, "Foo", lstrip=True),
    added(901, "éa", single_word=True),
    added(902, "<x>", rstrip=True, lstrip=True),
    added(903, "the", single_word=True, normalized=False),
    added(904, "<xy>", True, rstrip=True),
    added(905, "中国", normalized=False),
]


def split(pattern, behavior, invert=False):
    return {"type": "Split", "pattern": {"String": pattern}, "behavior": behavior, "invert": invert}


def replace(pattern, content):
    return {"type": "Replace", "pattern": {"String": pattern}, "content": content}


# name: (normalizer, pre-tokenizer, post-processor, added tokens, members of the model)
CONFIGURATIONS = {
    "uncased": (bert(), BERT_SPLIT, template(), SPECIAL, {}),
    "cased": (bert(lowercase=False), BERT_SPLIT, BERT_POST, SPECIAL, {}),
    "cased_stripped": (bert(lowercase=False, strip_accents=True), BERT_SPLIT, template(1, 0), SPECIAL, {}),
    "accents_kept": (bert(strip_accents=False), BERT_SPLIT, ROBERTA_POST, SPECIAL, {}),
    "no_chinese": (bert(handle_chinese_chars=False), BERT_SPLIT, BERT_POST, SPECIAL, {"max_input_chars_per_word": 5}),
    "not_clean": (bert(clean_text=False), BERT_SPLIT, BERT_POST, SPECIAL, {}),
    "only_clean": (bert(handle_chinese_chars=False, lowercase=False), BERT_SPLIT, None, SPECIAL, {}),
    "added": (bert(), BERT_SPLIT, template(), MORE, {}),
    "added_cased": (None, {"type": "Whitespace"}, ROBERTA_POST, MORE, {}),
    "nfc": ({"type": "NFC"}, {"type": "Whitespace"}, BERT_POST, SPECIAL, {}),
    "nfd": ({"type": "NFD"}, {"type": "WhitespaceSplit"}, BERT_POST, SPECIAL, {"continuing_subword_prefix": ""}),
    "nfkc": (sequence("normalizers", {"type": "NFKC"}, {"type": "Lowercase"}), BERT_SPLIT, None, SPECIAL, {}),
    "nfkd": (
        sequence("normalizers", {"type": "NFKD"}, {"type": "StripAccents"}, {"type": "Lowercase"}),
        sequence("pretokenizers", {"type": "Whitespace"}, {"type": "Digits", "individual_digits": True}),
        BERT_POST,
        SPECIAL,
        {},
    ),
    "nothing": (None, None, None, SPECIAL, {"max_input_chars_per_word": 1000}),
    "strip": (
        sequence(
            "normalizers",
            {"type": "Strip", "strip_left": True, "strip_right": True},
            replace("e", "éa"),
            replace(" ", "\u00a0"),
            {"type": "Prepend", "prepend": "ab"},
        ),
        sequence(
            "pretokenizers",
            {"type": "Punctuation", "behavior": "MergedWithPrevious"},
            {"type": "Digits", "individual_digits": False},
        ),
        template(),
        SPECIAL,
        {"max_input_chars_per_word": 1000},
    ),
    "metaspace": (
        {"type": "Strip", "strip_left": False, "strip_right": True},
        {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        BERT_POST,
        MORE,
        {},
    ),
    "metaspace_first": (
        None,
        sequence(
            "pretokenizers",
            {"type": "Punctuation"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True},
        ),
        BERT_POST,
        SPECIAL,
        {},
    ),
    "delimiter": (
        None,
        sequence(
            "pretokenizers",
            {"type": "CharDelimiterSplit", "delimiter": "e"},
            split("a", "MergedWithNext"),
            split("th", "Isolated", True),
        ),
        BERT_POST,
        SPECIAL,
        {},
    ),
    **{
        f"punctuation_{b}": (None, {"type": "Punctuation", "behavior": b}, None, SPECIAL, {})
        for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
    },
    **{
        f"split_{b}": ({"type": "Lowercase"}, split("n", b), None, SPECIAL, {})
        for b in ("Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous")
    },
}


def tokenizer_json(name):
    normalizer, pre_tokenizer, post_processor, added_tokens, model = CONFIGURATIONS[name]
    vocabulary = {}
    for token in VOCABULARY:
        vocabulary.setdefault(token, len(vocabulary))
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added_tokens,
        "normalizer": normalizer,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": post_processor,
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
            **model,
        },
    }


@pytest.fixture(params=sorted(CONFIGURATIONS))
def configuration(request, tmp_path):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer_json(request.param)))
    return path


def shipped():
    if not SHIPPED.exists():
        pytest.skip(f"{SHIPPED} is not here")
    return SHIPPED


# ---------------------------------------------------------------- tests


def test_real_text(configuration):
    texts = sample_texts()
    compare(configuration, texts)
    compare(configuration, list(zip(texts[1::5], texts[::5])))


def test_random_strings(configuration):
    compare(configuration, random_texts(configuration.parent.name, STRINGS))


def test_random_strings_shipped():
    compare(shipped(), random_texts(5, 333 * STRINGS + 100))


@pytest.mark.parametrize("name", ["uncased", "cased", "not_clean", "added_cased", "nfc", "nfd", "nfkc", "nfkd"])
def test_every_code_point(tmp_path, name):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer_json(name)))
    step = 1 if STRINGS > 10_000 else 61
    texts = [
        " ".join(
            f"a{chr(c)}b"
            for c in range(first, min(first + 64 * step, 0x110000), step)
            if c and not 0xD800 <= c < 0xE000
        )
        for first in range(0, 0x110000, 64 * step)
    ]
    compare(path, texts)


def test_broken_utf8(configuration):
    rng = random.Random(11)
    texts = []
    for text in random_texts(12, 200):
        raw = bytearray(text.encode())
        for _ in range(rng.randint(1, 4)):
            at = rng.randint(0, len(raw))
            raw[at : at + rng.randint(0, 2)] = bytes(rng.randrange(1, 256) for _ in range(rng.randint(0, 3)))
        texts.append(bytes(raw))
    compare(configuration, texts)


def test_squad_shipped():
    pairs = squad_pairs()[:: 1 if STRINGS > 10_000 else 7]
    compare(shipped(), pairs)
    compare(shipped(), [context for _, context in pairs[::5]] + [question for question, _ in pairs])


@pytest.mark.parametrize("strategy", ["longest_first", "only_first", "only_second"])
@pytest.mark.parametrize("direction", ["left", "right"])
@pytest.mark.parametrize("name", ["uncased", "cased", "cased_stripped", "accents_kept"])
def test_windows(tmp_path, strategy, direction, name):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(tokenizer_json(name)))
    texts = [t for t in sample_texts() if len(t) < 400]
    longs = [t for t in sample_texts() if len(t) > 600]
    pairs = list(zip(texts[:8], longs)) if strategy != "only_first" else list(zip(longs, texts[:8]))
    if strategy == "longest_first":
        pairs = [(a, b[:500]) for a, b in pairs] + [(b[:400], a) for a, b in pairs]
    for length, stride in ((400, 128), (403, 0), (260, 7)):
        truncation = {"max_length": length, "stride": stride, "strategy": strategy, "direction": direction}
        fitting = [p for p in pairs if all(len(t) < 200 for t in (p[1 if strategy == "only_first" else 0],))]
        compare(path, fitting, truncation=truncation)
        compare(path, fitting, special=False, truncation=truncation)
        if strategy != "only_second":
            compare(path, [t for p in fitting for t in p], truncation=truncation)


def test_stored_truncation_and_padding(tmp_path):
    path = tmp_path / "tokenizer.json"
    for padding in ({"Fixed": 50}, "BatchLongest"):
        for direction in ("Left", "Right"):
            document = tokenizer_json("uncased")
            document["truncation"] = {"direction": direction, "max_length": 40, "strategy": "LongestFirst", "stride": 5}
            document["padding"] = {
                "strategy": padding,
                "direction": direction,
                "pad_to_multiple_of": 16,
                "pad_id": 7,
                "pad_type_id": 3,
                "pad_token": "#",
            }
            path.write_text(json.dumps(document))
            compare(path, [text[:90] for text in sample_texts()[::3]])


def test_decode(configuration):
    reference = tokenizers.Tokenizer.from_file(str(configuration))
    texts = sample_texts()[::5] + ["", "he 's do not , why ? I 'm n't . ' a ' [MASK] Foo <x>"]
    expected = [reference.decode(reference.encode(text).ids) for text in texts]
    assert dump(configuration, texts, decode=1).decode().split("\0")[:-1] == expected
