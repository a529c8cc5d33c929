"""Process start to the first embedding: one command an engine, text in; times and peak memory."""

import sys

import assets
from measure import TERCEL, child

TEXT = "How many countries share the forest?"


def python(code):
    return [sys.executable, "-c", code]


def peer(code):
    """What every peer needs around its own lines: ids before, the mean over the tokens after."""
    tokens = f"""
import numpy as np, tokenizers
tokenizer = tokenizers.Tokenizer.from_file({str(assets.checkpoint("minilm") / "tokenizer.json")!r})
tokenizer.no_padding()
ids = np.array([tokenizer.encode({TEXT!r}).ids])
inputs = dict(input_ids=ids, attention_mask=ids * 0 + 1, token_type_ids=ids * 0)
"""
    return python(tokens + code + "\nmean = states.mean(1); mean / np.linalg.norm(mean)")


def commands(row, threads):
    checkpoint, model = str(assets.checkpoint(row.model)), str(assets.onnx_file(row.model))
    own = f"threads={threads}, dtype={row.dtype!r}"
    encoder = str(assets.ctranslate2_folder(row.model, row.dtype))
    return {
        "tercel": [TERCEL, "embed", "--model", checkpoint, "--threads", str(threads), "--dtype", row.dtype, TEXT],
        "tercel-python": python(f"import tercel; tercel.Embedding({checkpoint!r}, {own}).embed([{TEXT!r}])"),
        "onnxruntime": peer(
            "import onnxruntime\noptions = onnxruntime.SessionOptions()\n"
            f"options.intra_op_num_threads = {threads}\n"
            f"states = onnxruntime.InferenceSession({model!r}, options).run(None, inputs)[0]"
        ),
        "openvino": peer(
            "import openvino\n"
            f"settings = dict(PERFORMANCE_HINT='LATENCY', INFERENCE_NUM_THREADS={threads}, "
            "INFERENCE_PRECISION_HINT='f32')\n"
            f"states = openvino.Core().compile_model({model!r}, 'CPU', settings)(inputs)[0]"
        ),
        "ctranslate2": peer(
            "import ctranslate2\n"
            f"encoder = ctranslate2.Encoder({encoder!r}, intra_threads={threads})\n"
            "states = np.array(encoder.forward_batch(ids.tolist()).last_hidden_state)"
        ),
    }


def measure(row, engines, threads, rounds):
    """(times, peak memory) of each engine, in turns; the first turn brings the files into the cache."""
    known = commands(row, threads)
    times, peaks = {name: [] for name in engines}, {name: 0 for name in engines}
    for turn in range(rounds + 1):
        for name in engines:
            took, peak = child(known[name])
            peaks[name] = max(peaks[name], peak)
            if turn:
                times[name].append(took)
    return {name: {"times": times[name], "peak": peaks[name]} for name in engines}
