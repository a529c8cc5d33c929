"""Tokenizers that are trained here, against `tokenizers` and `sentencepiece`: ids, types, offsets, decoded text.

TERCEL_TOKENIZER_STRINGS sets how many random strings are tried in all.
"""

import json
import os
import random
import subprocess
import unicodedata

import pytest
import sentencepiece
import test_tokenizer_parts
import tokenizers
import trained_tokenizers
from tokenizer_reference import BUILD, ROOT, check_bytes, compare, dump, random_texts, sample_texts

SHIPPED = ROOT / "models/minilm-qa/tokenizer.json"
STRINGS = int(os.environ.get("TERCEL_TOKENIZER_STRINGS", "20000"))
ALL = len(trained_tokenizers.HUGGING_FACE) + len(trained_tokenizers.SENTENCEPIECE)


@pytest.fixture(params=sorted(trained_tokenizers.HUGGING_FACE))
def hugging_face(request, tmp_path):
    return trained_tokenizers.train(request.param, tmp_path)


@pytest.fixture(params=sorted(trained_tokenizers.SENTENCEPIECE))
def sentencepiece_model(request, tmp_path):
    return trained_tokenizers.train(request.param, tmp_path)


def id_lists(seed, count, size):
    """Ids at random: tokens that no text gives, half characters, ids that are none."""
    rng = random.Random(seed)
    return [[rng.randrange(size) for _ in range(rng.randint(1, 12))] for _ in range(count)]


def expect_decoded(path, lists, expected, **options):
    records = [" ".join(map(str, ids)) for ids in lists]
    result = dump(path, records, decode=1, ids=1, **options).decode()
    if result != "".join(f"{text}\0" for text in expected):  # a text may hold a NUL of its own
        for record, text in zip(records, expected):
            assert dump(path, [record], decode=1, ids=1, **options).decode() == text + "\0", record


def check_decoding(path, lists):
    reference = tokenizers.Tokenizer.from_file(str(path))
    lists = [ids for ids in lists if ids]
    for skip in (True, False):
        # The package panics where no token is left for some decoders.
        some = [ids for ids in lists if not skip or any(not is_special(reference, i) for i in ids)]
        expected = [reference.decode(ids, skip_special_tokens=skip) for ids in some]
        expect_decoded(path, some, expected, skip=int(skip))


def is_special(reference, identity):
    added = reference.get_added_tokens_decoder().get(identity)
    return added is not None and added.special


# ---------------------------------------------------------------- tokenizers


def test_real_text(hugging_face):
    texts = sample_texts()
    compare(hugging_face, texts)
    compare(hugging_face, list(zip(texts[1::5], texts[::5])))


def test_random_strings(hugging_face):
    texts = random_texts(hugging_face.parent.name, STRINGS // ALL)
    compare(hugging_face, texts)


def test_decoding(hugging_face):
    reference = tokenizers.Tokenizer.from_file(str(hugging_face))
    texts = sample_texts()[::3] + random_texts(7, 200)
    check_decoding(hugging_face, [reference.encode(text).ids for text in texts])
    check_decoding(hugging_face, id_lists(8, STRINGS // ALL, reference.get_vocab_size()))


DECODERS = [
    {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Strip", "content": "e", "start": 2, "stop": 0}]},
    {
        "type": "Sequence",
        "decoders": [{"type": "ByteFallback"}, {"type": "WordPiece", "prefix": "a", "cleanup": True}],
    },
    {
        "type": "Sequence",
        "decoders": [
            {"type": "Fuse"},
            {"type": "CTC", "pad_token": "e", "word_delimiter_token": "o", "cleanup": True},
        ],
    },
    {"type": "CTC", "pad_token": "e", "word_delimiter_token": "o", "cleanup": False},
    {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True},
    {"type": "Replace", "pattern": {"String": "e"}, "content": "--"},
    None,
]


@pytest.mark.parametrize("decoder", DECODERS)
def test_other_decoders(tmp_path, decoder):
    document = json.loads(trained_tokenizers.bytes_of("llama"))
    document["decoder"] = decoder
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document))
    check_decoding(path, id_lists(9, 300, len(document["model"]["vocab"]) + 5))


def types_in(value):
    if isinstance(value, dict):
        own = {value["type"]} if isinstance(value.get("type"), str) else set()
        return own.union(*map(types_in, value.values()))
    return set().union(*map(types_in, value)) if isinstance(value, list) else set()


@pytest.mark.parametrize("section", ["model", "normalizer", "pre_tokenizer", "post_processor", "decoder"])
def test_every_part_of_the_library_is_compared(section):
    """What the library has of each kind is in a tokenizer that is trained here, or in a table of these tests."""
    tables = {
        "normalizer": [*test_tokenizer_parts.NORMALIZERS.values(), {"type": "Nmt"}],
        "pre_tokenizer": list(test_tokenizer_parts.PRE_TOKENIZERS.values()),
        "post_processor": list(test_tokenizer_parts.POST_PROCESSORS.values()),
        "decoder": DECODERS,
    }
    documents = [json.loads(trained_tokenizers.bytes_of(name)) for name in trained_tokenizers.HUGGING_FACE]
    compared = types_in([document[section] for document in documents] + tables.get(section, []))
    module = getattr(tokenizers, {"post_processor": "processors"}.get(section, f"{section}s"))
    base = getattr(module, "".join(word.title() for word in section.split("_")))
    parts = {name for name, kind in vars(module).items() if isinstance(kind, type) and issubclass(kind, base)}
    assert len(parts) >= 5
    assert parts - {base.__name__} <= compared


def test_batches_on_threads(hugging_face):
    texts = sample_texts()
    alone = dump(hugging_face, texts)
    for threads in (1, 2, 3):
        assert dump(hugging_face, texts, batch=1, threads=threads) == alone


def test_long_words(tmp_path):
    """Long words without a space: not quadratic, and the same tokens (where the package can do it)."""
    rng = random.Random(4)
    word = "".join(rng.choice("etaoinshrdlu") for _ in range(20_000))
    for name in ("llama", "unigram_bytes", "sp_bpe", "sp_unigram"):
        path = trained_tokenizers.train(name, tmp_path)
        if name.startswith("sp_"):
            compare_sentencepiece(path, [word])
        else:
            compare(path, [word])
        assert dump(path, [word * 10], decode=1).decode() == word * 10 + "\0"


# ---------------------------------------------------------------- sentencepiece


def compare_sentencepiece(path, texts):
    reference = sentencepiece.SentencePieceProcessor(model_file=str(path))
    lines = dump(path, texts).decode().splitlines()
    assert len(lines) == len(texts)
    for text, line in zip(texts, lines):
        result = json.loads(line)
        expected = reference.encode(text, return_type="proto").pieces
        assert result["ids"] == [piece.id for piece in expected], repr(text[:300])
        assert result["offsets"] == [[piece.begin, piece.end] for piece in expected], repr(text[:300])
        check_bytes(text, result)


def test_sentencepiece_real_text(sentencepiece_model):
    compare_sentencepiece(sentencepiece_model, sample_texts())


def test_sentencepiece_random_strings(sentencepiece_model):
    texts = random_texts(sentencepiece_model.parent.name, STRINGS // ALL)
    compare_sentencepiece(sentencepiece_model, texts + ["", " ", "  a  ", "<sep>of<ctl>中国  ", "<0x41><unk>"])


def test_sentencepiece_decoding(sentencepiece_model):
    reference = sentencepiece.SentencePieceProcessor(model_file=str(sentencepiece_model))
    lists = [reference.encode(text) for text in sample_texts()[::3] + random_texts(7, 200)]
    lists += id_lists(8, STRINGS // ALL, reference.get_piece_size())
    lists = [ids for ids in lists if ids]
    expected = [reference.decode(ids) for ids in lists]
    for skip in (0, 1):
        expect_decoded(sentencepiece_model, lists, expected, skip=skip)


# ---------------------------------------------------------------- files from before tokenizer.json


def test_vocab_txt(tmp_path):
    reference = tokenizers.Tokenizer.from_str(trained_tokenizers.bytes_of("wordpiece").decode())
    vocabulary = sorted(reference.get_vocab().items(), key=lambda item: item[1])
    (tmp_path / "vocab.txt").write_text("".join(f"{token}\n" for token, _ in vocabulary))
    written = tmp_path / "reference.json"
    for lower in (True, False):
        reference.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lower)
        reference.save(str(written))
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": lower}))
        compare_files(tmp_path, written)


@pytest.mark.parametrize("name", ["byte_level_bpe", "roberta"])
def test_vocab_json(tmp_path, name):
    reference = tokenizers.Tokenizer.from_str(trained_tokenizers.bytes_of(name).decode())
    reference.model.save(str(tmp_path))
    config = {"add_prefix_space": True, "mask_token": {"content": "<mask>", "lstrip": True}}
    if name == "byte_level_bpe":
        reference.post_processor = None
        config = {}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    written = tmp_path / "reference.json"
    reference.save(str(written))
    compare_files(tmp_path, written)
    compare_files(tmp_path / "vocab.json", written)


@pytest.mark.parametrize("config", [None, {"tokenizer_class": "CLIPTokenizer", "unk_token": "<|endoftext|>"}])
def test_vocab_json_of_clip(tmp_path, config):
    reference = tokenizers.Tokenizer.from_str(trained_tokenizers.bytes_of("clip").decode())
    reference.model.save(str(tmp_path))
    if config:
        (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    written = tmp_path / "reference.json"
    reference.save(str(written))
    compare_files(tmp_path, written)
    # transformers writes a space for each end of a word, and strips the text.
    lists = [reference.encode(text).ids for text in sample_texts()[::4] + random_texts(17, 300)]
    for skip in (True, False):
        decoded = [reference.decode(ids, skip_special_tokens=skip) for ids in lists]
        expect_decoded(tmp_path, lists, [text.replace("</w>", " ").strip(" ") for text in decoded], skip=int(skip))


ALBERT = {"pad_id": 0, "unk_id": 1, "bos_id": -1, "eos_id": -1, "control_symbols": ["[CLS]", "[SEP]", "[MASK]"]}
DEBERTA = {"pad_id": 0, "bos_id": 1, "eos_id": 2, "unk_id": 3, "pad_piece": "[PAD]", "unk_piece": "[UNK]"}
# model_type: options of training, tokenizer_class, ids around a text and between two, id of the first learnt piece
FAMILIES = {
    "deberta-v2": (DEBERTA | {"bos_piece": "[CLS]", "eos_piece": "[SEP]"}, "DebertaV2Tokenizer", 1, [2], 2, 4, 4),
    "albert": (ALBERT | {"pad_piece": "<pad>"}, "AlbertTokenizer", 2, [3], 3, 5, 5),
    "xlm-roberta": ({}, "XLMRobertaTokenizerFast", 0, [2, 2], 2, 4, 3),
    "camembert": ({}, "CamembertTokenizer", 5, [6, 6], 6, 7, 3),
}


def as_albert(text):
    text = text.replace("``", '"').replace("''", '"')
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.category(c).startswith("M"))
    return text.lower()


@pytest.mark.parametrize("model_type", FAMILIES)
def test_sentencepiece_of_a_family(tmp_path, model_type):
    options, tokenizer_class, begin, between, end, first, learnt = FAMILIES[model_type]
    model = trained_tokenizers.sentencepiece_model("unigram", 1500, **options)
    (tmp_path / "spm.model").write_bytes(model)
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    reference = sentencepiece.SentencePieceProcessor(model_proto=model)
    texts = [" ".join(text.split()) for text in sample_texts()]
    if model_type == "albert":  # Python's case and marks are another Unicode's
        texts = [text for text in texts if text.isascii()]

    def expected(text):
        ids = reference.encode(as_albert(text) if model_type == "albert" else text)
        unknown = 3 if first != learnt else reference.unk_id()
        return [unknown if i == reference.unk_id() else i - learnt + first for i in ids]

    texts = [text for text in texts if text and "<" not in text and "[" not in text]
    assert len(texts) > 50
    results = [json.loads(line) for line in dump(tmp_path, texts).splitlines()]
    assert [result["ids"] for result in results] == [[begin, *expected(text), end] for text in texts]
    pairs = list(zip(texts[::7], texts[1::7]))
    results = [json.loads(line) for line in dump(tmp_path, pairs, pair=1).splitlines()]
    for (one, two), result in zip(pairs, results):
        assert result["ids"] == [begin, *expected(one), *between, *expected(two), end]
        assert max(result["type_ids"]) == (1 if len(between) == 1 else 0)
    mask = reference.piece_to_id("[MASK]") if model_type == "albert" else reference.get_piece_size() + first - learnt
    name = "<mask>" if len(between) == 2 else "[MASK]"
    assert json.loads(dump(tmp_path, [f"the {name} of"]))["ids"] == [
        begin,
        *expected("the"),
        mask,
        *expected("of"),
        end,
    ]
    (tmp_path / "config.json").unlink()
    before = dump(tmp_path / "spm.model", texts)
    assert dump(tmp_path, texts) == before  # nothing says whose it is
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": tokenizer_class}))
    assert [json.loads(line)["ids"] for line in dump(tmp_path, texts[:9]).splitlines()] == [
        [begin, *expected(text), end] for text in texts[:9]
    ]


def compare_files(path, written):
    texts = sample_texts()[::4] + ["a <mask> b", "[MASK] [CLS]", "<s>x</s>", "<|endoftext|>"]
    assert dump(path, texts) == dump(written, texts)
    compare(written, texts)


# ---------------------------------------------------------------- the command


def test_command_decodes():
    reference = tokenizers.Tokenizer.from_file(str(SHIPPED))
    ids = reference.encode("Unbelievable, that one can't read it!").ids
    for options, skip in ([], False), (["--no-special-tokens"], True):
        command = [str(BUILD / "tercel"), "tokenize", "--model", str(SHIPPED), "--decode", *options]
        done = subprocess.run([*command, *map(str, ids)], capture_output=True, text=True, check=True)
        assert done.stdout == reference.decode(ids, skip_special_tokens=skip) + "\n"
    done = subprocess.run([*command, "12x"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "expected ids" in done.stderr
