"""What is measured: one row a workload, with the engines that can run it and the bar it is held to."""

import dataclasses
import fnmatch
import itertools

# Layers and width of the encoders; what their products read is 12 x width² a layer.
ENCODERS = {"minilm": (6, 384), "distilbert": (6, 768), "bert": (12, 768)}
TITLES = {"minilm": "MiniLM-L6", "distilbert": "DistilBERT-QA", "bert": "BERT-base", "resnet50": "ResNet-50"}

PEERS = {
    "f32": ["onnxruntime", "openvino", "ctranslate2", "torch"],
    "bf16": ["openvino", "torch"],
    "int8": ["onnxruntime", "openvino", "ctranslate2"],
}
BLAS = ["onednn", "blis", "openblas"]


@dataclasses.dataclass(frozen=True)
class Row:
    """kind: "arrays" (one batch), "texts" (the corpus, text in), "start" (a process until its first embedding).

    bar: our time over the best peer's, at most; for "threads", one thread's time over all threads', at least.
    """

    kind: str
    dtype: str
    model: str
    shape: tuple[int, ...] = ()
    bar: float | None = None

    @property
    def name(self):
        parts = [self.kind] if self.kind != "arrays" else []
        parts += [self.dtype, self.model]
        return "/".join(parts + (["x".join(map(str, self.shape))] if self.shape else []))

    @property
    def title(self):
        shape = " × ".join(map(str, self.shape))
        if self.kind == "texts":
            return f"{self.dtype} {TITLES[self.model]}, 2,000 sentences"
        if self.kind == "start":
            return f"{self.dtype} {TITLES[self.model]}, process start to first embedding"
        if self.kind == "threads":
            return f"{self.dtype} {TITLES[self.model]} {shape}, one thread"
        if self.model == "product":
            return f"{self.dtype} product {shape}"
        return f"{self.dtype} {TITLES[self.model]} {'batch ' if self.model == 'resnet50' else ''}{shape}"

    @property
    def engines(self):
        if self.kind == "threads":
            return ["tercel", "tercel@1"]
        if self.kind == "start":
            return ["tercel", "tercel-python", *[peer for peer in PEERS[self.dtype] if peer != "torch"]]
        peers = [
            peer
            for peer in PEERS[self.dtype]
            if peer != "ctranslate2" or self.model in ("minilm", "distilbert", "bert")
        ]
        return ["tercel", *peers, *(BLAS if self.model == "product" and self.dtype == "f32" else [])]

    @property
    def weights(self):
        """How many numbers of weights the products read; None when it is not known."""
        if self.model in ENCODERS:
            layers, width = ENCODERS[self.model]
            return layers * 12 * width * width
        return self.shape[1] * self.shape[2] if self.model == "product" else None

    def measured_by(self, patterns):
        return not patterns or any(fnmatch.fnmatch(self.name, pattern) for pattern in patterns)


def _arrays(dtype, bars):
    return [Row("arrays", dtype, model, shape, bar) for model, shape, bar in bars]


ROWS = [
    *_arrays(
        "f32",
        [
            ("distilbert", (1, 16), 0.65),
            ("distilbert", (1, 128), 0.92),
            ("minilm", (1, 16), None),
            ("minilm", (1, 128), 0.88),
            ("minilm", (32, 128), 0.90),
            ("bert", (1, 384), 0.87),
            ("resnet50", (1,), 0.90),
            ("resnet50", (8,), 0.90),
        ],
    ),
    *_arrays(
        "bf16",
        [
            ("distilbert", (1, 16), 0.60),
            ("distilbert", (1, 128), 0.92),
            ("minilm", (1, 128), 0.82),
            ("minilm", (32, 128), 0.88),
            ("resnet50", (1,), 0.95),
        ],
    ),
    *_arrays(
        "int8",
        [
            ("distilbert", (1, 16), 0.55),
            ("distilbert", (1, 128), 0.75),
            ("minilm", (1, 128), 0.85),
            ("minilm", (32, 128), 0.80),
        ],
    ),
    Row("texts", "f32", "minilm", bar=1 / 1.25),
    Row("texts", "bf16", "minilm", bar=1 / 1.3),
    Row("texts", "int8", "minilm", bar=1 / 1.35),
    Row("start", "f32", "minilm"),
    *[Row("threads", "f32", model, shape, 1.9) for model, shape in [("minilm", (1, 128)), ("distilbert", (1, 128))]],
    *[
        Row("arrays", "f32", "product", (m, k, n))
        for m, (k, n) in itertools.product((16, 128, 1024), ((384, 1536), (768, 768), (768, 3072), (3072, 768)))
    ],
]


def chosen(patterns):
    rows = [row for row in ROWS if row.measured_by(patterns)]
    if not rows:
        names = "\n  ".join(row.name for row in ROWS)
        raise SystemExit(f"bench: no row is called {', '.join(patterns)}; there are\n  {names}")
    return rows
