"""Small tokenizers of different make, trained on the text in tests/data when they are asked for.

HUGGING_FACE and SENTENCEPIECE map names to functions that train one. train(name, folder) writes it there, as
tokenizer.json or tokenizer.model, and gives the file; each is trained once a process.
"""

import functools
import io
import json
import pathlib

import sentencepiece
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

ROOT = pathlib.Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "tests/data/tokenizer/xquad_sample.json"
SQUAD = ROOT / "tests/data/squad/squad-heldout.json"

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)


@functools.cache
def corpus():
    """Paragraphs and questions in English and eight other languages, about 0.4 MB."""
    languages = json.loads(SAMPLE.read_text(encoding="utf-8"))
    texts = [text for records in languages.values() for r in records for text in [r["context"], *r["questions"]]]
    squad = json.loads(SQUAD.read_text(encoding="utf-8"))["data"]
    return texts + [paragraph["context"] for article in squad[:8] for paragraph in article["paragraphs"]]


def trained(tokenizer, kind, size, **options):
    options.setdefault("special_tokens", ["<unk>", "<s>", "</s>"])
    if kind is trainers.UnigramTrainer:  # quick: two thirds of the time of all training
        options |= {"shrinking_factor": 0.4, "n_sub_iterations": 1}
    tokenizer.train_from_iterator(corpus(), kind(vocab_size=size, show_progress=False, **options))
    return tokenizer


def byte_level_bpe():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trained(tokenizer, trainers.BpeTrainer, 2500, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"])


def roberta():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trained(
        tokenizer,
        trainers.BpeTrainer,
        1500,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=["<s>", "<pad>", "</s>", "<unk>", AddedToken("<mask>", lstrip=True, special=True)],
    )
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return tokenizer


def llama3():
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    return trained(tokenizer, trainers.BpeTrainer, 2000, initial_alphabet=alphabet, special_tokens=["<|begin|>"])


CLIP = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def clip():
    """As transformers' CLIPTokenizer makes it."""
    end = "<|endoftext|>"
    tokenizer = Tokenizer(models.BPE(unk_token=end, continuing_subword_prefix="", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP), "removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trained(
        tokenizer,
        trainers.BpeTrainer,
        1500,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        end_of_word_suffix="</w>",
        special_tokens=["<|startoftext|>", end],
    )
    tokenizer.post_processor = processors.RobertaProcessing((end, 1), ("<|startoftext|>", 0), False, False)
    return tokenizer


def bpe_suffix():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.BPEDecoder(suffix="</w>")
    return trained(tokenizer, trainers.BpeTrainer, 2000, end_of_word_suffix="</w>", limit_alphabet=300)


def bpe_prefix():
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", fuse_unk=True))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##")
    return trained(tokenizer, trainers.BpeTrainer, 2000, continuing_subword_prefix="##", limit_alphabet=200)


def bpe_without_unknown():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return trained(tokenizer, trainers.BpeTrainer, 1200, limit_alphabet=90)


def llama():
    """As SentencePiece's BPE is converted: bytes for what is unknown, no pre-tokenizer."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trained(tokenizer, trainers.BpeTrainer, 2000, limit_alphabet=250, special_tokens=special)
    document = json.loads(tokenizer.to_str())
    document["added_tokens"] = document["added_tokens"][:3]
    document["pre_tokenizer"] = None
    document["normalizer"] = {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    }
    document["decoder"] = {
        "type": "Sequence",
        "decoders": [
            {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
            {"type": "ByteFallback"},
            {"type": "Fuse"},
            {"type": "Strip", "content": " ", "start": 1, "stop": 0},
        ],
    }
    return Tokenizer.from_str(json.dumps(document))


def unigram():
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    trained(tokenizer, trainers.UnigramTrainer, 2000, unk_token="<unk>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B:1 </s>:1", special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    return tokenizer


def unigram_bytes():
    """Unigram over whole texts, with bytes for what is unknown."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<unk>", "<s>", "</s>"]
    trained(tokenizer, trainers.UnigramTrainer, 1500, unk_token="<unk>", special_tokens=special)
    document = json.loads(tokenizer.to_str())
    document["model"]["vocab"] += [[f"<0x{byte:02X}>", -30.0] for byte in range(256)]
    document["model"]["byte_fallback"] = True
    document["pre_tokenizer"]["split"] = False
    document["decoder"] = {
        "type": "Sequence",
        "decoders": [
            {"type": "ByteFallback"},
            {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True},
        ],
    }
    return Tokenizer.from_str(json.dumps(document))


def wordlevel():
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return trained(tokenizer, trainers.WordLevelTrainer, 3000)


def wordpiece():
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trained(tokenizer, trainers.WordPieceTrainer, 2000, limit_alphabet=500, special_tokens=special)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return tokenizer


def ctc():
    """Characters, as speech models have them."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Lowercase(), normalizers.Replace(" ", "|")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.CTC()
    document = json.loads(trained(tokenizer, trainers.WordLevelTrainer, 40).to_str())
    letters = ["<pad>", "<s>", "</s>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'.,?"]
    document["model"]["vocab"] = {token: i for i, token in enumerate(letters)}
    document["added_tokens"] = []
    document["pre_tokenizer"] = {"type": "Whitespace"}
    return Tokenizer.from_str(json.dumps(document))


HUGGING_FACE = {
    function.__name__: function
    for function in (
        byte_level_bpe,
        roberta,
        llama3,
        clip,
        bpe_suffix,
        bpe_prefix,
        bpe_without_unknown,
        llama,
        unigram,
        unigram_bytes,
        wordlevel,
        wordpiece,
        ctc,
    )
}


def sentencepiece_model(kind, size, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()),
        model_writer=model,
        model_type=kind,
        vocab_size=size,
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


KEEPS_SPACES = {
    "normalization_rule_name": "identity",
    "add_dummy_prefix": False,
    "remove_extra_whitespaces": False,
}
SYMBOLS = {"user_defined_symbols": ["<sep>", "of", "中国", "  "], "control_symbols": ["<ctl>"]}

SENTENCEPIECE = {
    "sp_unigram": lambda: sentencepiece_model("unigram", 2000),
    "sp_bpe": lambda: sentencepiece_model("bpe", 2000, byte_fallback=True, character_coverage=0.98),
    "sp_unigram_symbols": lambda: sentencepiece_model(
        "unigram", 1500, byte_fallback=True, normalization_rule_name="nmt_nfkc_cf", **SYMBOLS
    ),
    "sp_bpe_symbols": lambda: sentencepiece_model("bpe", 1200, split_digits=True, **KEEPS_SPACES, **SYMBOLS),
    "sp_unigram_suffix": lambda: sentencepiece_model(
        "unigram", 1400, treat_whitespace_as_suffix=True, unk_surface="?", character_coverage=0.98
    ),
    "sp_unigram_spaces": lambda: sentencepiece_model(
        "unigram", 1600, allow_whitespace_only_pieces=True, **KEEPS_SPACES
    ),
    "sp_word": lambda: sentencepiece_model("word", 3000, **SYMBOLS),
    "sp_word_spaces": lambda: sentencepiece_model("word", 2000, byte_fallback=True, **KEEPS_SPACES),
    "sp_char": lambda: sentencepiece_model("char", 300, **SYMBOLS),
    "sp_char_spaces": lambda: sentencepiece_model("char", 500, byte_fallback=True, **KEEPS_SPACES),
}


@functools.cache
def bytes_of(name):
    return HUGGING_FACE[name]().to_str().encode() if name in HUGGING_FACE else SENTENCEPIECE[name]()


def train(name, folder):
    path = pathlib.Path(folder) / ("tokenizer.json" if name in HUGGING_FACE else "tokenizer.model")
    path.write_bytes(bytes_of(name))
    return path
