"""`tercel predict` beside the other runtimes: texts in, vectors out, in the order of arrival.

python bench/predict [--texts N] [--rounds N] [--dtypes f32,bf16,int8] [--parts embed,loader,memory,plot]

embed   N texts of 4 to 200 tokens through MiniLM-L6: the peers at their best (sorted by length, batch size tuned, all
        CPUs), and as users run them (batches of 32 in order of arrival, padded); the share of time without data
loader  reading, tokenising, collating: against torch.utils.data.DataLoader with `tokenizers`, two workers each
memory  peak memory over 50 MB and over 5 GB, which come through a pipe
plot    docs/predict.svg: tokens a second by rows of a batch and by the mix of lengths (`tercel bench --plot`)
"""

import argparse
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cpu"))
import assets
from measure import BUILD, ROOT, TERCEL, child, closing, median

HERE = pathlib.Path(__file__).resolve().parent
PEERS = {
    "f32": ["onnxruntime", "openvino", "ctranslate2", "sentence-transformers"],
    "bf16": ["openvino"],
    "int8": ["onnxruntime", "openvino", "ctranslate2"],
}
BARS = {"f32": 1.25, "bf16": 1.3, "int8": 1.35}
ARRIVING_BARS = {"f32": 2, "int8": 5}
TINY = ROOT / "tests/data/checkpoints/sentence_mean"


def write_texts(path, texts):
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)


def natural_texts(count):
    lines = assets.CORPUS.read_text(encoding="utf-8").splitlines()
    texts = [lines[i % len(lines)] for i in range(count)]
    random.Random(1).shuffle(texts)
    return texts


def predict(model, source, *options):
    with tempfile.TemporaryDirectory() as folder:
        command = [TERCEL, "predict", model, "--task", "embedding", "--input", source, "--json", "--quiet"]
        command += ["--output", pathlib.Path(folder) / "out.npy", *options]
        done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def peer(*arguments):
    command = [sys.executable, HERE / "peer.py", *arguments]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    return json.loads(done.stdout or '{"refused": "it ended"}')


def measure_embedding(dtype, source, rounds):
    """Medians of seconds by (engine, order), and the last summary of ours; the engines take turns."""
    times, ours = {}, None
    for _ in range(rounds):
        ours = predict(assets.checkpoint("minilm"), source, "--dtype", dtype)
        times.setdefault(("tercel", ""), []).append(ours["seconds"])
        for name in PEERS[dtype]:
            for order in ("sorted", "arriving") if dtype == "f32" else ("sorted",):
                if (name, order) in times and times[name, order] is None:
                    continue
                result = peer(name, dtype, order, source)
                if "refused" in result:
                    print(f"  {name}, {order}: refused: {result['refused']}", flush=True)
                    times[name, order] = None
                else:
                    times.setdefault((name, order), []).append(result["seconds"])
    return {key: median(values) for key, values in times.items() if values}, ours


def embed(options, source):
    arriving = None
    for dtype in options.dtypes.split(","):
        times, ours = measure_embedding(dtype, source, options.rounds)
        mine = times[("tercel", "")]
        print(f"{dtype}, {options.texts} texts: tercel {mine:.2f} s, {ours['tokens'] / mine:.0f} tokens/s, "
              f"{ours['replicas']} replicas, waiting {100 * ours['wait_share']:.2f} %")  # fmt: skip
        for (name, order), seconds in times.items():
            if order:
                print(f"  {name}, {order}: {seconds:.2f} s, {seconds / mine:.2f} ×", flush=True)
        of_order = {order: [t for (_, o), t in times.items() if o == order] for order in ("sorted", "arriving")}
        if of_order["sorted"]:
            ratio = min(of_order["sorted"]) / mine
            what = f"`tercel predict`, embeddings in {dtype}, over the best peer"
            closing(what, f"{ratio:.2f} ×", f"≥ {BARS[dtype]} ×", ratio >= BARS[dtype])
        arriving = min(of_order["arriving"], default=arriving)
        if arriving and dtype in ARRIVING_BARS:
            ratio = arriving / mine
            what = f"the same in {dtype}, over f32 peers in batches of 32 as they arrive"
            closing(what, f"{ratio:.2f} ×", f"≥ {ARRIVING_BARS[dtype]} ×", ratio >= ARRIVING_BARS[dtype])
        if dtype == "f32":
            share = 100 * ours["wait_share"]
            closing("the share of time that the model waits for data", f"{share:.2f} %", "≤ 2 %", share <= 2)


def loader(options, source):
    tokenizer = assets.checkpoint("minilm") / "tokenizer.json"
    ours, theirs = [], []
    for _ in range(max(3, options.rounds)):
        command = [BUILD / "loader_bench", source, tokenizer, 32, 2]
        done = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True)
        ours.append(json.loads(done.stdout))
        theirs.append(peer("loader", tokenizer, 32, 2, source))
    if ours[0]["tokens"] != theirs[0]["tokens"]:
        raise SystemExit(f"loader: {ours[0]['tokens']} tokens, theirs {theirs[0]['tokens']}")
    mine, other = (median(result["seconds"] for result in results) for results in (ours, theirs))
    print(f"loader alone: {mine:.3f} s, torch's DataLoader with tokenizers {other:.3f} s, {other / mine:.2f} ×")
    closing("the loader alone, over torch's", f"{other / mine:.2f} ×", "≥ 1.5 ×", other >= 1.5 * mine)


def feed(path, total):
    """Long records into a pipe, until they are `total` bytes."""
    chance = random.Random(2)
    words = ["lighthouse", "keeper", "letter", "sea", "the", "of", "wrote", "storm"]
    lines = "".join(json.dumps({"text": " ".join(chance.choices(words, k=1200))}) + "\n" for _ in range(128)).encode()
    with open(path, "wb") as file:
        for _ in range(0, total, len(lines)):
            file.write(lines)


def peak_over(total):
    """Bytes, and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        pipe = os.path.join(folder, "in.jsonl")
        os.mkfifo(pipe)
        feeder = threading.Thread(target=feed, args=(pipe, total))
        feeder.start()
        command = [TERCEL, "predict", str(TINY), "--task", "embedding", "--input", pipe, "--quiet"]
        took, peak = child([*command, "--output", os.path.join(folder, "out.npy")])
        feeder.join()
    print(f"{total / 1e6:.0f} MB: peak {peak / 1e6:.1f} MB, {took / 1e3:.1f} s", flush=True)
    return peak


def memory():
    small = median(peak_over(50_000_000) for _ in range(5))
    ratio = peak_over(5_000_000_000) / small
    closing("peak memory over 5 GB, over that of 50 MB", f"{ratio:.3f}", "≤ 1.05", ratio <= 1.05)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=int, default=20000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dtypes", default="f32,bf16,int8")
    parser.add_argument("--parts", default="embed,loader,memory,plot")
    options = parser.parse_args()
    parts = options.parts.split(",")
    made = [f"texts/{dtype}/minilm" for dtype in options.dtypes.split(",")]
    subprocess.run([sys.executable, ROOT / "bench/cpu/assets.py", *made], check=True)
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "texts.jsonl")
        write_texts(source, natural_texts(options.texts))
        if "embed" in parts:
            embed(options, source)
        if "loader" in parts:
            loader(options, source)
        if "memory" in parts:
            memory()
        if "plot" in parts:
            named = pathlib.Path(folder) / "all-MiniLM-L6-v2"  # its title is the model's folder
            named.symlink_to(assets.checkpoint("minilm"))
            command = [TERCEL, "bench", named, "--plot", ROOT / "docs/predict.svg"]
            subprocess.run([str(word) for word in command], check=True)


if __name__ == "__main__":
    main()
