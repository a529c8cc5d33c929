#!/usr/bin/env python3
"""Writes src/text/regex/unicode_tables.inc: sets of characters as the `tokenizers` package sees them.

Its regular expressions are Oniguruma's, with the Unicode tables of that library; its UnicodeScripts
pre-tokenizer has a table of its own, older one. Both are asked about every code point.

    python scripts/make_regex_tables.py     # needs the packages tokenizers, and regex (for the names of scripts)
"""

import pathlib

import regex
import tokenizers
from tokenizers import Regex, pre_tokenizers

OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "src/text/regex/unicode_tables.inc"
CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
SURROGATES = range(0xD800, 0xE000)
CODES = [c for c in range(0x110000) if c not in SURROGATES]
ALL = "".join(map(chr, CODES))


def isolated(pattern, text):
    return [begin for _, (begin, _) in pre_tokenizers.Split(Regex(pattern), "isolated").pre_tokenize_str(text)]


def matches(pattern, text):
    """Indices of the characters of `text` that match a pattern of one character."""
    kept = pre_tokenizers.Split(Regex(pattern), "removed", invert=True).pre_tokenize_str(text)
    return [i for _, (begin, end) in kept for i in range(begin, end)]


def property_runs(names):
    """(first code, index of its property) for each run of characters that have the same one of `names`."""
    starts = isolated("|".join(rf"\p{{{name}}}+" for name in names), ALL)
    firsts = "".join(ALL[i] for i in starts)
    values = [None] * len(firsts)
    for value, name in enumerate(names):
        for index in matches(rf"\p{{{name}}}", firsts):
            values[index] = value
    return [(ord(c), value) for c, value in zip(firsts, values)]


def merged(runs):
    result = []
    for first, value in runs:
        if not result or result[-1][1] != value:
            result.append((first, value))
    return result


def with_surrogates(runs, value):
    """The code points that no text has, as a run of their own."""
    before = [r for r in runs if r[0] < SURROGATES.start]
    after = [r for r in runs if r[0] > SURROGATES.stop]
    at_stop = [r[1] for r in runs if r[0] <= SURROGATES.stop][-1]
    return merged([*before, (SURROGATES.start, value), (SURROGATES.stop, at_stop), *after])


def script_names():
    """Lists of names (the long one first) of the scripts that Oniguruma knows."""
    by_value = {}
    for name, value in regex._regex_core.PROPERTIES["SCRIPT"][1].items():
        by_value.setdefault(value, set()).add(name)
    scripts = []
    for names in by_value.values():
        known = []
        for name in sorted(names, key=lambda n: (-len(n), n)):
            try:
                Regex(rf"\p{{{name}}}")
                pre_tokenizers.Split(Regex(rf"\p{{{name}}}"), "isolated")
            except Exception:
                continue
            known.append(name)
        if known and known[0].upper() not in ("UNKNOWN", "ZZZZ"):
            scripts.append(known)
    return sorted(scripts)


def category_difference(name, categories):
    """Ranges that have the property beyond what the categories give."""
    given = "".join(rf"\p{{{c}}}" for c in categories)
    pattern = rf"[\p{{{name}}}&&[^{given}]]"
    codes = [CODES[i] for i in matches(pattern + "+", ALL)]
    ranges = []
    for code in codes:
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return ranges


def piece_scripts(first_value):
    """Runs of the UnicodeScripts pre-tokenizer: 0 for characters that join any other."""
    split = pre_tokenizers.UnicodeScripts().pre_tokenize_str

    def splits_before(prefix, codes):
        text = "".join(prefix + chr(c) for c in codes)
        starts = {begin for _, (begin, _) in split(text)}
        return [2 * i + 1 in starts for i in range(len(codes))]

    joins_latin, joins_han = splits_before("a", CODES), splits_before("\u4e2d", CODES)
    scripts = [0 if not a and not b else None for a, b in zip(joins_latin, joins_han)]
    codes = [c for c, s in zip(CODES, scripts) if s is None]
    text = "".join(map(chr, codes))
    starts = sorted(begin for _, (begin, _) in split(text))
    seen = []
    value_of = {}
    for begin, end in zip(starts, [*starts[1:], len(codes)]):
        first = chr(codes[begin])
        probe = "".join(representative + first for representative in seen)
        different = {b for _, (b, _) in split(probe)}
        same = [i for i in range(len(seen)) if 2 * i + 1 not in different]
        if not same:
            seen.append(first)
            same = [len(seen) - 1]
        for code in codes[begin:end]:
            value_of[code] = first_value + same[0]
    return merged([(c, value_of.get(c, 0)) for c in CODES])


def write_runs(name, comment, runs):
    words = [f"0x{first << 8 | value:08X}," for first, value in runs]
    lines = [f"// {comment}", f"constexpr uint32_t k{name}[] = {{"]
    lines += ["    " + " ".join(words[i : i + 8]) for i in range(0, len(words), 8)]
    return [*lines, "};", ""]


def write_ranges(name, comment, ranges):
    words = [f"{{0x{first:04X}, 0x{last:04X}}}," for first, last in ranges]
    lines = [f"// {comment}", f"constexpr CharRange k{name}[] = {{"]
    lines += ["    " + " ".join(words[i : i + 5]) for i in range(0, len(words), 5)]
    return [*lines, "};", ""]


def main():
    categories = [c for c in CATEGORIES if c != "Cs"]
    runs = [(first, CATEGORIES.index(categories[value])) for first, value in property_runs(categories)]
    lines = [
        "// Made by scripts/make_regex_tables.py; not to be edited.",
        f"// The tables of `tokenizers` {tokenizers.__version__}.",
        "// clang-format off",
        "",
    ]
    surrogate = CATEGORIES.index("Cs")
    lines += write_runs("CategoryRuns", "General categories.", with_surrogates(merged(runs), surrogate))
    names = script_names()
    scripts = property_runs([n[0] for n in names])
    runs = merged([(first, 0 if value is None else value + 1) for first, value in scripts])
    lines += write_runs("ScriptRuns", "Scripts; 0 is none.", with_surrogates(runs, 0))
    lines += ["constexpr NamedScript kScriptNames[] = {"]
    for value, group in enumerate(names):
        keys = dict.fromkeys(name.lower().replace("_", "").replace(" ", "") for name in group)
        lines += ["    " + " ".join(f'{{"{key}", {value + 1}}},' for key in keys)]
    lines += ["};", ""]
    lines += write_runs(
        "PieceScriptRuns",
        "Scripts of the UnicodeScripts pre-tokenizer; 0 joins any.",
        with_surrogates(piece_scripts(1), 0),
    )
    for name, base in (("Alphabetic", ["L", "Nl"]), ("Uppercase", ["Lu"]), ("Lowercase", ["Ll"])):
        lines += write_ranges(f"Other{name}", f"{name}, beyond {' and '.join(base)}.", category_difference(name, base))
    lines[-1:] = ["// clang-format on"]
    OUTPUT.write_text("\n".join(lines) + "\n")
    print(f"{OUTPUT}: {len(lines)} lines")


if __name__ == "__main__":
    main()
