"""One peer of `tercel predict`, in a process of its own: reads texts, writes vectors, prints {"seconds": …}.

python bench/predict/peer.py ENGINE DTYPE sorted|arriving TEXTS.jsonl    batches tuned, or 32 in order of arrival
python bench/predict/peer.py loader TOKENIZER BATCH WORKERS TEXTS.jsonl  torch's DataLoader with `tokenizers`
"""

import json
import os
import pathlib
import sys
import tempfile
import time
import warnings

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cpu"))
import assets
import engines
import rows

BATCHES = (8, 16, 32, 64)
LEAST = 500  # texts that a batch size is tried on
LONGEST = 256


def read_texts(path):
    with open(path, encoding="utf-8") as file:
        return [json.loads(line)["text"] for line in file]


class SentenceTransformers:
    def __init__(self, threads):
        import sentence_transformers
        import torch

        torch.set_num_threads(threads)
        self.model = sentence_transformers.SentenceTransformer(str(assets.checkpoint("minilm")), device="cpu")
        self.model.max_seq_length = LONGEST

    def embedder(self, batch, by_length):
        def run(texts):
            if by_length:
                return self.model.encode(texts, batch_size=batch)
            return np.concatenate([self.model.encode(texts[i : i + batch]) for i in range(0, len(texts), batch)])

        return run


class Engine:
    def __init__(self, name, dtype, threads):
        self.engine, self.threads = engines.make(name, threads), threads
        self.row = rows.Row("texts", dtype, "minilm")

    def embedder(self, batch, by_length):
        return engines.embed_texts(self.engine, self.row, self.threads, batch, by_length)


def seconds(job, *arguments):
    begin = time.perf_counter()
    job(*arguments)
    return time.perf_counter() - begin


def embed(name, dtype, order, path):
    threads = len(os.sched_getaffinity(0))
    engine = SentenceTransformers(threads) if name == "sentence-transformers" else Engine(name, dtype, threads)
    by_length = order == "sorted"
    few = read_texts(path)[:LEAST]
    timed = {}
    for batch in BATCHES if by_length else (32,):
        run = engine.embedder(batch, by_length)
        run(few[:64])
        timed[batch] = seconds(run, few) if by_length else 0
    batch = min(timed, key=timed.get)
    run = engine.embedder(batch, by_length)

    def job():
        vectors = run(read_texts(path))
        with tempfile.NamedTemporaryFile(suffix=".npy") as out:
            np.save(out, np.asarray(vectors, np.float32))

    return {"seconds": seconds(job), "batch": batch}


def load(tokenizer_file, batch, workers, path):
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # a worker is a process of its own
    import tokenizers
    import torch

    tokenizer = tokenizers.Tokenizer.from_file(tokenizer_file)
    tokenizer.enable_padding()
    tokenizer.enable_truncation(LONGEST)

    class Texts(torch.utils.data.Dataset):
        def __init__(self):
            with open(path, encoding="utf-8") as file:
                self.lines = file.readlines()

        def __len__(self):
            return len(self.lines)

        def __getitem__(self, index):
            return json.loads(self.lines[index])["text"]

    def collate(texts):
        encoded = tokenizer.encode_batch(texts)
        return {
            "input_ids": torch.tensor([one.ids for one in encoded]),
            "token_type_ids": torch.tensor([one.type_ids for one in encoded]),
            "attention_mask": torch.tensor([one.attention_mask for one in encoded]),
        }

    begin = time.perf_counter()
    loader = torch.utils.data.DataLoader(
        Texts(), batch_size=int(batch), num_workers=int(workers), collate_fn=collate, prefetch_factor=4
    )
    tokens = sum(int(inputs["attention_mask"].sum()) for inputs in loader)
    return {"seconds": time.perf_counter() - begin, "tokens": tokens}


def main():
    warnings.filterwarnings("ignore")
    os.environ["HF_HUB_OFFLINE"] = "1"
    answers = os.fdopen(os.dup(1), "w")  # what an engine prints goes to standard error
    os.dup2(2, 1)
    arguments = sys.argv[1:]
    try:
        result = load(*arguments[1:]) if arguments[0] == "loader" else embed(*arguments)
    except Exception as error:  # whatever an engine throws is its answer
        result = {"refused": f"{type(error).__name__}: {error}".splitlines()[0][:200]}
    print(json.dumps(result), file=answers)


if __name__ == "__main__":
    main()
