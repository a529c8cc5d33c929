"""What strings say: joined, in another case, counted."""

from __future__ import annotations

import numpy as np

from op_cases.dice import Call, Dice

WORDS = ["", "a", "B", "a,b", ",", "ab,,cd,", "  x y ", "\tx\n", "Über", "日本,語", "stop", "STOP", "z" * 40]


def words(dice: Dice, shape: list[int]) -> np.ndarray:
    return np.array([dice.pick(WORDS) for _ in range(int(np.prod(shape)))], object).reshape(shape)


def concat(dice: Dice) -> Call:
    shape = dice.shape(dice.random.randint(0, 3))
    other = [1 if dice.chance(0.3) else size for size in shape][dice.random.randint(0, len(shape)) :]
    return Call("StringConcat", [words(dice, shape), words(dice, other)], opset=20)


def normalizer(dice: Dice) -> Call:
    attributes = {
        "case_change_action": dice.pick(["LOWER", "UPPER", "NONE"]),
        "is_case_sensitive": dice.random.randint(0, 1),
        "locale": "C.UTF-8",
        "stopwords": dice.random.sample(["stop", "a", "b", "über", "Über"], dice.random.randint(1, 4)),
    }
    return Call("StringNormalizer", [words(dice, [dice.size(1)])], attributes=attributes, opset=20)


def tf_idf(dice: Dice) -> Call:
    tokens = dice.pick([["a", "b", "", "Über"], [-1, 0, 7, 2**40]])
    longest = dice.random.randint(1, 3)
    counts, pool = [], []
    for length in range(1, longest + 1):
        counts.append(len(pool))
        grams = {tuple(dice.pick(tokens) for _ in range(length)) for _ in range(dice.random.randint(1, 4))}
        pool += [token for gram in sorted(grams) for token in gram]
    ends = [*counts[1:], len(pool)]
    grams = sum((end - begin) // length for length, (begin, end) in enumerate(zip(counts, ends), 1))
    attributes = {
        "mode": dice.pick(["TF", "IDF", "TFIDF"]),
        "min_gram_length": dice.random.randint(1, longest),
        "max_gram_length": longest,
        "max_skip_count": dice.random.randint(0, 4),
        "ngram_counts": counts,
        "ngram_indexes": dice.random.sample(range(grams), grams),
        "pool_strings" if isinstance(tokens[0], str) else "pool_int64s": pool,
    }
    if dice.chance(0.5):
        attributes["weights"] = [dice.random.uniform(-1, 2) for _ in range(grams)]
    shape = [dice.size(1) for _ in range(dice.random.randint(1, 2))]
    x = np.array([dice.pick([*tokens, tokens[0]]) for _ in range(int(np.prod(shape)))], object).reshape(shape)
    return Call("TfIdfVectorizer", [x if isinstance(tokens[0], str) else x.astype(np.int64)], attributes=attributes)


PIECES = [
    "a",
    "b+",
    "[a-c]*",
    "[^b]",
    ".",
    "(?:a|bc)?",
    "\\w+",
    "\\d",
    "\\s*",
    "[[:upper:]]",
    "\\pL{1,2}",
    "(?i)Ab",
    "(?P<n>,|z)",
]


def regex(dice: Dice) -> Call:
    pattern = "".join(dice.pick([*PIECES, ".*"]) for _ in range(dice.random.randint(0, 4)))
    if dice.chance(0.3):
        pattern = dice.pick(["^{}$", "{}|z+", "(?s){}.*", "(?m)^{}$", "\\b{}", "({}){{2,3}}"]).format(pattern)
    return Call("RegexFullMatch", [words(dice, dice.shape(2))], attributes={"pattern": pattern}, opset=20)


CASES = {"RegexFullMatch": regex, "StringConcat": concat, "StringNormalizer": normalizer, "TfIdfVectorizer": tf_idf}
