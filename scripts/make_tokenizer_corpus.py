#!/usr/bin/env python3
"""Makes the fuzz targets' inputs for tokenizer models: fuzz/corpus/sentencepiece and, in fuzz/corpus/tokenizer,
one file a model and decoder. Small on purpose: a few dozen tokens each.

    python scripts/make_tokenizer_corpus.py
"""

import io
import json
import pathlib
import tempfile

import sentencepiece

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEXT = "the cat and the dog, the end of the day: a thé, 12 chats et le chien"
INPUT = "the cat é中 12  <s> and  then\n x"


def sentencepiece_model(kind, **options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([TEXT] * 4),
        model_writer=model,
        model_type=kind,
        hard_vocab_limit=False,
        self_test_sample_size=0,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return model.getvalue()


def sentencepiece_models():
    identity = {"normalization_rule_name": "identity"}
    yield "unigram", sentencepiece_model("unigram", vocab_size=40, **identity)
    yield "bpe", sentencepiece_model("bpe", vocab_size=45, user_defined_symbols=["cat", "  "], **identity)
    options = {"add_dummy_prefix": False, "remove_extra_whitespaces": False, "treat_whitespace_as_suffix": True}
    yield "unigram_bytes", sentencepiece_model("unigram", vocab_size=300, byte_fallback=True, **identity, **options)
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as rules:
        rules.write("65 301\t65\n41\t61\n3000\t20\nFB01\t66 69\n")
        rules.flush()
        yield "rules", sentencepiece_model("bpe", vocab_size=45, normalization_rule_tsv=rules.name)


def metaspace(kind="Metaspace"):
    return {"type": kind, "replacement": "▁", "prepend_scheme": "always", "split": True}


LETTERS = ["<unk>", "▁", *"acdehnot", "th", "the", "▁the", "an", "and", "▁a", "é", "<0xC3>", "<0xA9>"]
BPE = {
    "type": "BPE",
    "unk_token": "<unk>",
    "fuse_unk": True,
    "byte_fallback": True,
    "vocab": {token: i for i, token in enumerate(LETTERS)},
    "merges": ["t h", "th e", "▁ the", ["a", "n"], ["an", "d"], ["▁", "a"]],
}
UNIGRAM = {
    "type": "Unigram",
    "unk_id": 0,
    "byte_fallback": True,
    "vocab": [[token, -float(len(token))] for token in LETTERS],
}
WORDLEVEL = {"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": 0, "the": 1, "cat": 2, "|": 3}}
LLAMA = [
    {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
    {"type": "ByteFallback"},
    {"type": "Fuse"},
    {"type": "Strip", "content": " ", "start": 1, "stop": 1},
]
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
SUFFIX = {
    "type": "BPE",
    "end_of_word_suffix": "</w>",
    "continuing_subword_prefix": "#",
    "ignore_merges": True,
    "vocab": {"t": 0, "#h": 1, "th": 2, "#e</w>": 3, "the</w>": 4, "e</w>": 5},
    "merges": ["t #h", "th #e</w>"],
}
CTC = {"type": "CTC", "pad_token": "cat", "word_delimiter_token": "|", "cleanup": True}
BPE_DECODER = {"type": "BPEDecoder", "suffix": "</w>"}

CONFIGURATIONS = {
    "bpe_bytes": (BPE, metaspace(), {"type": "Sequence", "decoders": LLAMA}),
    "unigram": (UNIGRAM, metaspace(), metaspace()),
    "unigram_whole": (UNIGRAM, None, {"type": "ByteFallback"}),
    "bpe_byte_level": (BPE, BYTE_LEVEL, BYTE_LEVEL),
    "bpe_suffix": (SUFFIX, {"type": "Whitespace"}, BPE_DECODER),
    "wordlevel": (WORDLEVEL, {"type": "Whitespace"}, CTC),
}


def main():
    folder = ROOT / "fuzz/corpus/sentencepiece"
    folder.mkdir(parents=True, exist_ok=True)
    for name, model in sentencepiece_models():
        (folder / name).write_bytes(INPUT.encode() + b"\0" + model)
    for name, (model, pre_tokenizer, decoder) in CONFIGURATIONS.items():
        document = {
            "version": "1.0",
            "added_tokens": [{"id": 0, "content": "<s>", "special": True}],
            "pre_tokenizer": pre_tokenizer,
            "decoder": decoder,
            "model": model,
        }
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        (ROOT / "fuzz/corpus/tokenizer" / name).write_bytes(text.encode() + b"\0" + INPUT.encode())


if __name__ == "__main__":
    main()
