"""Tercel's regular expressions against the `tokenizers` package (Oniguruma) and the `regex` package.

Patterns are those of tokenizers in use, and random ones.
TERCEL_TOKENIZER_STRINGS sets how many random strings are tried for each pattern.
"""

import json
import os
import random
import subprocess

import pytest
from tokenizer_reference import DUMP, compare, random_texts, sample_texts, tokenizers

STRINGS = int(os.environ.get("TERCEL_TOKENIZER_STRINGS", "300"))
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "cl100k": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "cl100k_possessive": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "llama3": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "qwen2": CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "deepseek_lines": r"[\r\n]",
    "deepseek_words": r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕ]+",
    "deepseek_marks": r"\s?[!-/:-~！-／：-～‘-‟　-。]+",
    "deepseek_end": r"\s+$",
    "deepseek_han": "[一-龥ࠀ-一가-퟿]+",
    "deepseek_v3": "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
    "bloom": r" ?[^(\s|[.,!?…。，、।۔،])]+",
    "clip": r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    "whisper": r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "falcon": r"[0-9][0-9][0-9]",
    "digits_from_the_right": r"\d{1,3}(?=(\d{3})*\b)",
    "kimi": r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "protein": ".",
    "words": r"\b\w+\b|\B.",
    "lines": r"^.*$|^\s*$",
    "interval": r"\p{N}{1,3}+|a{2}?b",
    "hex": r"\h+|\H",
    "posix": r"[[:alpha:]]+|[[:punct:]]|[[:space:][:cntrl:]]+|[[:^ascii:]]",
}
# Where the `regex` package means something else: nested classes, line ends, {n}+, \h.
OTHERWISE_IN_REGEX = {
    "bloom",
    "kimi",
    "lines",
    "interval",
    "hex",
    "posix",
    "deepseek_end",
    "cl100k_possessive",
    "protein",
}
OTHERWISE_IN_REGEX |= {"words", "digits_from_the_right"}  # \w has the superscripts of Latin-1 in Oniguruma


def write(path, pattern, behavior="Isolated"):
    vocabulary = {"[UNK]": 0}
    path.write_text(
        json.dumps(
            {
                "version": "1.0",
                "added_tokens": [],
                "pre_tokenizer": {
                    "type": "Split",
                    "pattern": {"Regex": pattern},
                    "behavior": behavior,
                    "invert": False,
                },
                "model": {
                    "type": "WordPiece",
                    "unk_token": "[UNK]",
                    "continuing_subword_prefix": "",
                    "max_input_chars_per_word": 100000,
                    "vocab": vocabulary,
                },
            }
        )
    )
    return path


def words_of(path, text):
    done = subprocess.run([str(DUMP), str(path)], input=text.encode() + b"\0", capture_output=True, check=True)
    return [text[begin:end] for begin, end in json.loads(done.stdout)["chars"]]


def spiced(name, count):
    """Random Unicode among what the patterns speak of."""
    rng = random.Random(name)
    pieces = [
        "'s",
        "'RE",
        "'ſ",
        " ",
        "  ",
        "\n",
        "\r\n",
        "\t",
        "123",
        "4567",
        "don't",
        "İt",
        "<|endoftext|>",
        "…",
        "、",
        "aab",
    ]
    return [
        "".join(rng.choice(pieces) if rng.random() < 0.6 else text[:5] for _ in range(rng.randint(1, 6)))
        for text in random_texts(name, count)
    ]


def texts_for(name):
    return [*random_texts(name, STRINGS), *spiced(name, STRINGS), *sample_texts()[::17]]


@pytest.mark.parametrize("name", sorted(PATTERNS))
def test_pattern_of_a_tokenizer(tmp_path, name):
    texts = texts_for(name)
    compare(write(tmp_path / "tokenizer.json", PATTERNS[name]), texts)
    compare(write(tmp_path / "removed.json", PATTERNS[name], "MergedWithNext"), texts[:200])


@pytest.mark.parametrize("name", sorted(set(PATTERNS) - OTHERWISE_IN_REGEX))
def test_pattern_in_the_regex_package(tmp_path, name):
    regex = pytest.importorskip("regex")
    pattern = regex.compile(PATTERNS[name])
    text = "\n".join(sample_texts()[::9])[:20000]
    path = write(tmp_path / "tokenizer.json", PATTERNS[name])
    expected, done = [], 0
    for match in pattern.finditer(text):
        expected += [text[done : match.start()], match.group()]
        done = match.end()
    assert words_of(path, text) == [word for word in [*expected, text[done:]] if word]


def test_properties(tmp_path):
    """Each property on code points of every plane."""
    names = (
        "L Lu Ll Lt Lm Lo M Mn Mc Me N Nd Nl No P Pc Pd Ps Pe Pi Pf Po S Sm Sc Sk So Z Zs Zl Zp C Cc Cf Co Cn LC "
        "Letter Uppercase_Letter Han Hiragana katakana LATIN Cyrillic Arabic Hebrew Thai Hangul Devanagari Grek "
        "Alphabetic Uppercase Lowercase White_Space Alnum Blank XDigit Word Any ASCII Punct Assigned Common"
    ).split()
    step = 1 if STRINGS > 10_000 else 199
    first = random.Random().randrange(step)
    print(f"code points: {first} and every {step} from there")
    codes = [c for c in range(0x250 + first, 0x110000, step) if not 0xD800 <= c < 0xE000]
    text = "".join(map(chr, [*range(0x21, 0x250), *codes]))
    for pattern in [rf"\p{{{name}}}+" for name in names] + [
        r"\w+",
        r"\s+",
        r"\d+",
        r"[[:punct:]]+",
        r"[[:alnum:]]+",
        r"[[:upper:]]+",
        r"(?i)[a-zà-ãж]+",
    ]:
        compare(write(tmp_path / "tokenizer.json", pattern), [text], byte_checks=0)


def random_pattern(rng, depth):
    if depth == 0 or rng.random() < 0.25:
        return rng.choice(["a", "b", "c", "é", "[ab]", "[^a]", ".", r"\w", r"\s", r"\p{L}", r"[a-c&&[^b]]", " "])
    kind = rng.randrange(6)
    inner = random_pattern(rng, depth - 1)
    if kind == 0:
        return f"{inner}|{random_pattern(rng, depth - 1)}"
    if kind == 1:
        return f"(?:{inner}){rng.choice(['+', '?', '+?', '??', '{2}', '{1,2}', '{,2}', '{2,}'])}"
    if kind == 2:
        return f"({inner})"
    if kind == 3:
        return inner + rng.choice(["(?=a)", "(?!b)", "(?!c|é)", "(?=.+b)", r"\b", "$"])
    if kind == 4:
        return rng.choice(["(?<=a)", "(?<![ab])", r"(?<=\s)", r"\b", "^"]) + inner
    return inner + random_pattern(rng, depth - 1)


def test_random_patterns(tmp_path):
    """Loops have bodies that consume something: engines differ in what an empty iteration means."""
    rng = random.Random(7)
    texts = ["".join(rng.choices("aaabbccé \n1", k=rng.randint(0, 12))) for _ in range(60)]
    compared = 0
    for _ in range(100 + STRINGS // 10):
        pattern = random_pattern(rng, 4)
        try:
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
        except Exception:
            continue
        path = write(tmp_path / "tokenizer.json", pattern)
        print(pattern)
        compare(path, texts, byte_checks=0)
        compared += 1
    assert compared > 100
