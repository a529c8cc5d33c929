#!/usr/bin/env python3
"""Answers of PyTorch/transformers in f32 on SQuAD: the reference for question answering.

Writes ``{question id: answer}``, sorted by id, and prints exact match and F1. Another
implementation reproduces the answers by these rules, which are those of the SQuAD decoding that
transformers' own example uses.

Windows
  1. Leading white space of the question is removed; the context stays as it is.
  2. The pair is encoded as ``[CLS] question [SEP] context [SEP]`` with type ids 0 … 0 1 … 1. Only
     the context is cut: a window has at most 384 tokens, special tokens and question included, and
     two consecutive windows share 128 context tokens (the stride is the overlap, not the step).
     With q question tokens a window holds c = 384 - q - 3 context tokens, window i begins at
     context token i * (c - 128), and the last window is the first one that reaches the end of the
     context; it is as short as what is left.
  3. Every window is run by itself, as it were: padding is masked in attention and its logits are
     not looked at.

Candidates, in each window
  4. All real positions of the window ([CLS], question, [SEP] and context alike) are ranked by start
     logit, and the 20 highest kept; the same for end logits. A window shorter than 20 keeps all.
     Equal logits: the lower position first. A position outside the context may thus take one of the
     20 places; it only yields no span.
  5. A pair (start, end) of these 20 x 20 is a candidate if both positions are context tokens
     (sequence id 1, so never question, special token or padding), end >= start, and end - start + 1
     <= 30 tokens.
  6. Its score is the f32 sum start_logit + end_logit. A token seen in two windows is a candidate in
     both; there is no "maximum context" rule and no merging of equal spans or equal texts.

The answer
  7. Candidates of all windows of a question are put in order by descending score; equal scores stay
     in the order in which they were made: window, then rank of start, then rank of end. The first
     20 are the n-best list. Its probabilities are a softmax of the scores of these 20 (over all
     windows together).
  8. The answer is the first candidate's text: the characters (code points) of the original context
     from the first character of the start token to the last of the end token, neither stripped nor
     normalised.
  9. No null answer: SQuAD 1.1 always has one. (With SQuAD 2 the null score is the least over the
     windows of start_logit[0] + end_logit[0], at [CLS]; null is answered when it exceeds the best
     score of a non-empty span by more than the threshold.) A question without any candidate gets
     the answer "".

Exact match and F1 (SQuAD's official rules)
  10. Both texts are normalised: lower case; the 32 ASCII punctuation characters are deleted; the
      words a, an, the (Python's regular expression ``\\b(a|an|the)\\b``, with Unicode's word
      boundaries) become a space; the text is split at white space and joined by single spaces.
  11. Exact match is 1 if the normalised texts are equal. F1 is over the multisets of words: with s
      words in common, precision is s / words of the answer, recall s / words of the reference; 0
      if s = 0.
  12. Both take the maximum over the reference answers, then the mean over the questions, times 100.
"""

from __future__ import annotations

import argparse
import collections
import json
import re
import string
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertForQuestionAnswering

MAX_TOKENS = 384
STRIDE = 128
N_BEST = 20
MAX_ANSWER = 30


def questions(path: Path) -> list[dict]:
    """Flattens SQuAD's nesting into one dictionary a question."""
    out = []
    for article in json.loads(path.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for qa in paragraph["qas"]:
                texts = [answer["text"] for answer in qa["answers"]]
                entry = {"id": qa["id"], "question": qa["question"].lstrip()}
                out.append(entry | {"context": paragraph["context"], "answers": texts})
    return out


def windows(tokenizer: Tokenizer, items: list[dict]) -> list[tuple[int, object]]:
    """(index of the question, encoding) for each window, in order."""
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS, stride=STRIDE, strategy="only_second")
    out = []
    for index, item in enumerate(items):
        first = tokenizer.encode(item["question"], item["context"])
        out.extend((index, encoding) for encoding in [first, *first.overflowing])
    return out


@torch.inference_mode()
def logits(model, encodings: list, batch_tokens: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Start and end logits of the real positions of each window; batches of similar length."""
    order = sorted(range(len(encodings)), key=lambda i: -len(encodings[i].ids))
    out: list = [None] * len(encodings)
    done = 0
    while done < len(order):
        longest = len(encodings[order[done]].ids)
        rows = order[done : done + max(1, batch_tokens // longest)]
        inputs = torch.zeros(3, len(rows), longest, dtype=torch.int64)
        for row, i in enumerate(rows):
            n = len(encodings[i].ids)
            inputs[0, row, :n] = torch.tensor(encodings[i].ids)
            inputs[1, row, :n] = 1
            inputs[2, row, :n] = torch.tensor(encodings[i].type_ids)
        result = model(input_ids=inputs[0], attention_mask=inputs[1], token_type_ids=inputs[2])
        for row, i in enumerate(rows):
            n = len(encodings[i].ids)
            out[i] = (result.start_logits[row, :n].numpy(), result.end_logits[row, :n].numpy())
        done += len(rows)
        print(f"\r{done}/{len(order)} windows", end="", flush=True)
    print()
    return out


def best_span(found: list[tuple[object, np.ndarray, np.ndarray]], context: str) -> str:
    """Rules 4 to 9 over the windows of one question."""
    best, best_score = "", None
    for encoding, start, end in found:
        starts = np.argsort(-start, kind="stable")[:N_BEST]
        ends = np.argsort(-end, kind="stable")[:N_BEST]
        for s in starts:
            for e in ends:
                in_context = encoding.sequence_ids[s] == 1 and encoding.sequence_ids[e] == 1
                if not in_context or e < s or e - s + 1 > MAX_ANSWER:
                    continue
                score = start[s] + end[e]
                if best_score is None or score > best_score:
                    best_score = score
                    best = context[encoding.offsets[s][0] : encoding.offsets[e][1]]
    return best


def normalise(text: str) -> str:
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def f1(answer: str, reference: str) -> float:
    got, want = normalise(answer).split(), normalise(reference).split()
    same = sum((collections.Counter(got) & collections.Counter(want)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(got), same / len(want)
    return 2 * precision * recall / (precision + recall)


def scores(items: list[dict], answers: dict[str, str]) -> tuple[float, float]:
    """Exact match and F1 in per cent."""
    exact = total = 0.0
    for item in items:
        answer = answers[item["id"]]
        exact += max(normalise(answer) == normalise(text) for text in item["answers"])
        total += max(f1(answer, text) for text in item["answers"])
    return 100 * exact / len(items), 100 * total / len(items)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="directory of the checkpoint")
    parser.add_argument("--data", type=Path, required=True, help="SQuAD 1.1 JSON file")
    parser.add_argument("--out", type=Path, help="where to write {id: answer}")
    parser.add_argument("--compare", type=Path, help="JSON of {id: answer} to count differences to")
    parser.add_argument("--save-logits", type=Path, help="also keep all logits (.npz)")
    parser.add_argument("--threads", type=int, default=2, help="threads of PyTorch")
    parser.add_argument("--batch-tokens", type=int, default=6144, help="tokens in a batch")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    model = BertForQuestionAnswering.from_pretrained(
        args.model, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    items = questions(args.data)
    encoded = windows(Tokenizer.from_file(str(args.model / "tokenizer.json")), items)
    results = logits(model, [encoding for _, encoding in encoded], args.batch_tokens)
    if args.save_logits:
        flat = {f"{i}.{j}": pair[j] for i, pair in enumerate(results) for j in (0, 1)}
        np.savez(args.save_logits, **flat)

    grouped: dict[int, list] = collections.defaultdict(list)
    for (index, encoding), (start, end) in zip(encoded, results):
        grouped[index].append((encoding, start, end))
    answers = {item["id"]: best_span(grouped[i], item["context"]) for i, item in enumerate(items)}
    exact, total = scores(items, answers)
    print(f"{len(items)} questions, {len(encoded)} windows: EM {exact:.2f}, F1 {total:.2f}")
    if args.compare:
        other = json.loads(args.compare.read_text(encoding="utf-8"))
        other = other.get("predictions", other)
        differ = [id for id in answers if other.get(id) != answers[id]]
        print(f"{len(differ)} answers differ from {args.compare.name}: {' '.join(differ)}")
    if args.out:
        text = json.dumps(answers, ensure_ascii=False, sort_keys=True, indent=0)
        args.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
