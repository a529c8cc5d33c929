#!/usr/bin/env python3
"""Every family of encoders by both of PyTorch's exporters, in Tercel against PyTorch.

The committed files hold one exporter's graph of most families (exports.py); this makes the other's
too, runs both as stored and optimised, and prints a line each. Exit code 1 if one is off by 1e-4.
"""

from __future__ import annotations

import dataclasses
import logging
import sys
import tempfile
import warnings
from pathlib import Path

import exports
import numpy as np
import tercel
import torch

TOLERANCE = 1e-4


def difference(inputs: dict[str, np.ndarray], found: np.ndarray, wanted: np.ndarray) -> float:
    """The greatest; of an output with a row for each token, that of real tokens: its padding is zeros."""
    mask = inputs.get("attention_mask")
    per_token = mask is not None and wanted.shape[:2] == mask.shape
    return float(np.abs(found - wanted)[mask == 1 if per_token else ...].max())


def worst_difference(item: exports.Export, path: Path) -> float:
    model, worst = exports.build(item), 0.0
    for optimize in (False, True):
        session = tercel.Session(path, optimize=optimize, threads=1)
        for lengths, width in (([11, 7, 1], 11), ([5, 4], 5), ([24], 24)):
            inputs = exports.arrays(item, item.name, lengths, width)
            with torch.inference_mode():
                wanted = model(*(torch.from_numpy(inputs[name]) for name in item.inputs))
            found = session.run({info.name: inputs[info.name] for info in session.inputs})
            worst = max([worst, *(difference(inputs, found[n], t.numpy()) for n, t in zip(item.outputs, wanted))])
    return worst


def main() -> int:
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for item in exports.EXPORTS:
            if item.config is None:
                continue  # BERT and DistilBERT are committed from both
            for dynamo, opset in ((False, 17), (True, 20)):
                one = dataclasses.replace(item, dynamo=dynamo, opset=opset)
                path = Path(folder) / f"{item.name}.onnx"
                try:
                    exports.export(one, path)
                except Exception as error:
                    print(f"{item.model:40} {'dynamo' if dynamo else 'TorchScript':11} cannot be exported: "
                          f"{str(error).splitlines()[0][:100]}")  # fmt: skip
                    continue
                worst = worst_difference(one, path)
                failed += not worst <= TOLERANCE
                print(f"{item.model:40} {'dynamo' if dynamo else 'TorchScript':11} {worst:.1e}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
