"""Reads safetensors with numpy alone, so that the tests need no package for it."""

import json
from pathlib import Path

import numpy as np

try:
    from ml_dtypes import bfloat16
except ImportError:  # then files with such numbers cannot be read
    bfloat16 = None

DTYPES = {
    "F32": np.float32,
    "F16": np.float16,
    "BF16": bfloat16,
    "I64": np.int64,
    "BOOL": np.bool_,
}


def load_safetensors(path: Path) -> dict[str, np.ndarray]:
    content = path.read_bytes()
    begin = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:begin])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        first, last = entry["data_offsets"]
        data = np.frombuffer(content[begin + first : begin + last], DTYPES[entry["dtype"]])
        tensors[name] = data.reshape(entry["shape"])
    return tensors
