"""Tercel and its peers behind one face: `load(row)` gives a function from a row's arrays to its first output.

What an engine imports it imports when it is made, in a process of its own. One that cannot do a row raises.
"""

import ctypes
import os

import assets
import numpy as np


class Tercel:
    def __init__(self, threads):
        import tercel

        self.tercel, self.threads = tercel, threads

    def load(self, row):
        path = assets.product_file(*row.shape[1:]) if row.model == "product" else assets.onnx_file(row.model)
        session = self.tercel.Session(path, dtype=row.dtype, threads=self.threads)
        return lambda inputs: next(iter(session.run(inputs).values()))

    def load_texts(self, row):
        model = self.tercel.Embedding(assets.checkpoint(row.model), dtype=row.dtype, threads=self.threads)
        return model.embed


class OnnxRuntime:
    def __init__(self, threads):
        import onnxruntime

        self.onnxruntime = onnxruntime
        self.options = onnxruntime.SessionOptions()
        self.options.intra_op_num_threads = threads
        self.options.inter_op_num_threads = 1

    def load(self, row):
        path = assets.product_file(*row.shape[1:]) if row.model == "product" else assets.onnx_file(row.model, row.dtype)
        session = self.onnxruntime.InferenceSession(str(path), self.options, providers=["CPUExecutionProvider"])
        return lambda inputs: session.run(None, inputs)[0]


class OpenVino:
    """Compiled for the row's shape, which is faster than for any; texts need any."""

    def __init__(self, threads):
        import openvino

        self.core = openvino.Core()
        self.settings = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1}

    def load(self, row):
        if row.model == "product":
            path = assets.product_file(*row.shape[1:])
        else:
            path = assets.openvino_int8(row.model) if row.dtype == "int8" else assets.onnx_file(row.model)
        model = self.core.read_model(path)
        if row.kind != "texts":
            arrays = assets.inputs_of(row.model, row.shape)
            model.reshape({entry.get_any_name(): list(arrays[entry.get_any_name()].shape) for entry in model.inputs})
        precision = "bf16" if row.dtype == "bf16" else "f32"
        request = self.core.compile_model(
            model, "CPU", {**self.settings, "INFERENCE_PRECISION_HINT": precision}
        ).create_infer_request()
        return lambda inputs: request.infer(inputs, share_inputs=True, share_outputs=True)[0]


class CTranslate2:
    def __init__(self, threads):
        import ctranslate2

        self.ctranslate2, self.threads = ctranslate2, threads

    def load(self, row):
        view = self.ctranslate2.StorageView.from_array
        encoder = self.ctranslate2.Encoder(
            str(assets.ctranslate2_folder(row.model, row.dtype)), device="cpu",
            compute_type="float32" if row.dtype == "f32" else row.dtype, inter_threads=1, intra_threads=self.threads,
        )  # fmt: skip

        def run(inputs):
            lengths = inputs["attention_mask"].sum(1).astype(np.int32)
            ids = inputs["input_ids"].astype(np.int32)
            return np.array(encoder.forward_batch(view(ids), view(lengths)).last_hidden_state)

        return run


class Torch:
    def __init__(self, threads):
        import torch

        self.torch = torch
        torch.set_num_threads(threads)

    def load(self, row):
        torch = self.torch
        if row.model == "product":
            weight = torch.from_numpy(product_weight(row))

            def call(inputs):
                return inputs["x"] @ weight
        else:
            _, call = assets.torch_model(row.model, row.dtype)

        def run(inputs):
            with torch.inference_mode():
                return call({name: torch.from_numpy(array) for name, array in inputs.items()}).float().numpy()

        return run


def product_weight(row):
    import onnx

    return onnx.numpy_helper.to_array(onnx.load(assets.product_file(*row.shape[1:])).graph.initializer[0]).copy()


# In Debian's packages.
BLAS = {"onednn": "libdnnl.so.2", "blis": "libblis.so.4", "openblas": "libopenblas.so.0"}


class Blas:
    """A library's own product, C = A·B, all in row-major f32; the weights are not packed beforehand."""

    def __init__(self, name, threads):
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS"):
            os.environ[variable] = str(threads)
        self.name, self.blas = name, ctypes.CDLL(BLAS[name])

    def load(self, row):
        m, k, n = row.shape
        weight, out = product_weight(row), np.empty((m, n), np.float32)
        long, real, pointer = ctypes.c_int64, ctypes.c_float, lambda array: array.ctypes.data_as(ctypes.c_void_p)
        if self.name == "onednn":
            head, size = (ctypes.c_char(b"N"), ctypes.c_char(b"N")), long
            call = self.blas.dnnl_sgemm
        else:
            row_major, as_it_is = 101, 111
            head, size = (row_major, as_it_is, as_it_is), ctypes.c_int
            call = self.blas.cblas_sgemm

        def run(inputs):
            call(
                *head, size(m), size(n), size(k), real(1), pointer(inputs["x"]), size(k), pointer(weight), size(n),
                real(0), pointer(out), size(n),
            )  # fmt: skip
            return out

        return run


def make(name, threads):
    name, _, own = name.partition("@")
    threads = int(own or threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    if name in BLAS:
        return Blas(name, threads)
    known = {"tercel": Tercel, "onnxruntime": OnnxRuntime, "openvino": OpenVino, "ctranslate2": CTranslate2}
    return {**known, "torch": Torch}[name](threads)


BATCH = 32


def embed_texts(engine, row, threads, batch=BATCH, by_length=True):
    """A function from texts to unit vectors: tokens by `tokenizers`, sorted by length or as they are, in padded
    batches."""
    if isinstance(engine, Tercel):
        return engine.load_texts(row)
    os.environ.update(RAYON_NUM_THREADS=str(threads), TOKENIZERS_PARALLELISM="true")
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(assets.checkpoint(row.model) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(256)
    hidden = engine.load(row)

    def run(texts):
        encoded = [one.ids for one in tokenizer.encode_batch(texts)]
        order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]) if by_length else 0)
        out = [None] * len(encoded)
        for begin in range(0, len(order), batch):
            places = order[begin : begin + batch]
            longest = max(len(encoded[i]) for i in places)
            ids = np.array([encoded[i] + [0] * (longest - len(encoded[i])) for i in places], np.int64)
            lengths = np.array([len(encoded[i]) for i in places])
            mask = (np.arange(longest) < lengths[:, None]).astype(np.int64)
            states = hidden(assets.encoder_inputs(row.model, ids, mask))
            mean = (states * mask[:, :, None]).sum(1) / lengths[:, None]
            for i, vector in zip(places, mean / np.linalg.norm(mean, axis=1, keepdims=True)):
                out[i] = vector
        return np.array(out, np.float32)

    return run
