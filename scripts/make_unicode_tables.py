#!/usr/bin/env python3
"""Writes src/text/unicode_differences.inc: where the `tokenizers` package and utf8proc disagree.

`tokenizers` asks several Rust libraries about characters, each of its own version of Unicode, so
it can only be matched by asking it. This asks it about every code point, asks the installed
utf8proc (libutf8proc.so.2, from Debian) the same, and writes down the differences.

    python scripts/make_unicode_tables.py            # needs the packages tokenizers, and utf8proc
"""

import ctypes
import pathlib

import tokenizers
from tokenizers import normalizers, pre_tokenizers

OUTPUT = pathlib.Path(__file__).resolve().parent.parent / "src/text/unicode_differences.inc"
CODES = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
STABLE, COMPAT, COMPOSE, DECOMPOSE = 2, 4, 8, 16

utf8proc = ctypes.CDLL("libutf8proc.so.2")
utf8proc.utf8proc_category_string.restype = ctypes.c_char_p
utf8proc.utf8proc_unicode_version.restype = ctypes.c_char_p


def category(code):
    return utf8proc.utf8proc_category_string(code).decode()


def decomposition(code, options):
    out = (ctypes.c_int32 * 32)()
    count = utf8proc.utf8proc_decompose_char(code, out, 32, options, None)
    return "".join(map(chr, out[:count]))


def composition(text):
    out = (ctypes.c_int32 * (len(text) + 1))(*map(ord, text))
    count = utf8proc.utf8proc_normalize_utf32(out, len(text), STABLE | COMPOSE)
    return "".join(map(chr, out[:count]))


def combining_class(code):
    # utf8proc_property_t begins with two int16: the category and the combining class.
    utf8proc.utf8proc_get_property.restype = ctypes.POINTER(ctypes.c_int16)
    return utf8proc.utf8proc_get_property(code)[1]


def bert(**on):
    options = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**{**options, **on}).normalize_str


def ranges(codes):
    result = []
    for code in sorted(codes):
        if result and result[-1][1] == code - 1:
            result[-1][1] = code
        else:
            result.append([code, code])
    return result


def check(condition, what):
    if not condition:
        raise SystemExit(f"{what}: the tables have no place for this difference")


def classes():
    clean, accents = bert(clean_text=True), bert(strip_accents=True)
    marks = normalizers.StripAccents().normalize_str
    punctuation = pre_tokenizers.Punctuation("removed").pre_tokenize_str
    words = pre_tokenizers.Whitespace().pre_tokenize_str
    spaces = pre_tokenizers.WhitespaceSplit().pre_tokenize_str
    digits = pre_tokenizers.Digits(individual_digits=True).pre_tokenize_str
    both = pre_tokenizers.BertPreTokenizer().pre_tokenize_str
    found = {name: set() for name in ("Punctuation", "Other", "Mark", "Nonspacing", "Word", "Numeric")}
    for code in CODES:
        text, kind = chr(code), category(code)
        is_punctuation = not punctuation(text)
        white = kind[0] == "Z" or 9 <= code <= 13 or code == 0x85
        check(white == (not spaces(text)), f"white space U+{code:04X}")
        check((is_punctuation or white) == (len(both("a" + text + "b")) != 1), f"split U+{code:04X}")
        layout = code in (9, 10, 13)
        # NUL and U+FFFD are removed by name, not by category.
        other = not layout and code != 0xFFFD and clean(text) == ""
        # Decomposing comes first: a character is a mark if it vanishes itself.
        nonspacing = accents(text) == "" and decomposition(code, STABLE | DECOMPOSE) == text
        if decomposition(code, STABLE | DECOMPOSE) != text:
            nonspacing = kind == "Mn"
        theirs = {
            "Punctuation": is_punctuation,
            "Other": other,
            "Mark": marks(text) == "",
            "Nonspacing": nonspacing,
            "Word": [t for t, _ in words("a" + text)] == ["a" + text],
            "Numeric": len(digits("a" + text)) == 2,
        }
        ours = {
            "Punctuation": kind[0] == "P" or (0x20 < code < 0x7F and kind[0] == "S"),
            "Other": kind in ("Cc", "Cf", "Co") and not layout,
            "Mark": kind[0] == "M",
            "Nonspacing": kind == "Mn",
            "Word": kind[0] in "LM" or kind in ("Nd", "Nl", "Pc"),
            "Numeric": kind[0] == "N",
        }
        for name, holds in theirs.items():
            if holds != ours[name]:
                found[name].add(code)
    return found


def lowercase():
    lower = normalizers.Lowercase().normalize_str
    pairs = []
    for code in CODES:
        theirs = lower(chr(code))
        if code == 0x130:
            check(theirs == "i\u0307", "lower case of U+0130")
        elif theirs != chr(utf8proc.utf8proc_tolower(code)):
            check(len(theirs) == 1, f"lower case of U+{code:04X}")
            pairs.append((code, ord(theirs)))
    return pairs


def decompositions():
    never = set()
    for form, options in ((normalizers.NFD(), 0), (normalizers.NFKD(), COMPAT)):
        for code in CODES:
            theirs = form.normalize_str(chr(code))
            if theirs != decomposition(code, STABLE | DECOMPOSE | options):
                check(theirs == chr(code), f"decomposition of U+{code:04X}")
                never.add(code)
    nfc = normalizers.NFC().normalize_str
    for code in CODES:
        parts = decomposition(code, STABLE | DECOMPOSE)
        if code in never:
            check(nfc(parts) == parts, f"composition of U+{code:04X}")
        else:
            check(nfc(parts) == composition(parts), f"composition of U+{code:04X}")
    return never


def combining_classes():
    """Classes show in the order that NFD puts two characters in."""
    nfd = normalizers.NFD().normalize_str
    by_class = {}
    for code in CODES:
        value = combining_class(code)
        if value and code < 0x1000 and decomposition(code, STABLE | DECOMPOSE) == chr(code):
            by_class.setdefault(value, chr(code))
    zero = set()
    for code in CODES:
        text = chr(code)
        if decomposition(code, STABLE | DECOMPOSE) != text:
            continue
        ours = combining_class(code)
        before, after = "a\u0345" + text, "a" + text + "\u0334"  # classes 240 and 1
        theirs_is_zero = nfd(before) == before and nfd(after) == after and ours not in (1, 240)
        if theirs_is_zero or ours == 0:
            check(theirs_is_zero or ours != 0, f"combining class of U+{code:04X}")
            if ours:
                zero.add(code)
            continue
        for value, mark in by_class.items():
            swaps = nfd("a" + text + mark) == "a" + mark + text and text != mark
            check(swaps == (ours > value), f"combining class of U+{code:04X}")
    return zero


def write_ranges(name, comment, codes):
    rows = ranges(codes) or [[0x110000, 0x110000]]  # no code point: C++ has no empty arrays
    lines = [f"// {comment}", f"constexpr CodeRange k{name}[] = {{"]
    lines += [f"    {{0x{first:04X}, 0x{last:04X}}}," for first, last in rows]
    return [*lines, "};", ""]


def main():
    found = classes()
    version = utf8proc.utf8proc_unicode_version().decode()
    lines = [
        "// Made by scripts/make_unicode_tables.py; not to be edited.",
        f"// `tokenizers` {tokenizers.__version__} against utf8proc with Unicode {version}: its Rust libraries follow",
        "// older and newer versions of Unicode, and a tokenizer must split as the one that the model was",
        "// trained with. Where a class differs, the answer is the opposite of utf8proc's.",
        "// clang-format off",
        "",
    ]
    for name, codes in found.items():
        lines += write_ranges(f"{name}Differs", f"{name}: {len(codes)} code points.", codes)
    lines += write_ranges("NeverDecomposes", "Decompositions newer than those of `tokenizers`.", decompositions())
    lines += write_ranges(
        "CombiningClassIsZero", "Combining marks newer than those of `tokenizers`.", combining_classes()
    )
    lines += ["// Lower case; U+0130 is in the code.", "constexpr CodePair kLowercaseDiffers[] = {"]
    lines += [f"    {{0x{a:04X}, 0x{b:04X}}}," for a, b in lowercase()]
    lines += ["};", "// clang-format on"]
    OUTPUT.write_text("\n".join(lines) + "\n")
    print(f"{OUTPUT}: {len(lines)} lines")


if __name__ == "__main__":
    main()
