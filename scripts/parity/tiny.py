"""What the fixture scripts share: random weights, encoder inputs, and the files for them.

Everything is drawn from NumPy generators seeded by a name, so that a fixture does not depend on the
order in which fixtures are made, nor on PyTorch's generators. A file of expected values is a
safetensors file with tensors ``<case>.<input or output name>``; the cases are a, b, c, …
"""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file


def generator(*names: str) -> np.random.Generator:
    """A generator for this name."""
    return np.random.default_rng(zlib.crc32("/".join(names).encode()))


def randomise(model: torch.nn.Module, seed: str) -> torch.nn.Module:
    """Normal weights, large enough for outputs to differ by token; norms and biases vary too."""
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            values = generator(seed, name).standard_normal(tuple(tensor.shape)).astype(np.float32)
            if name.endswith("bias"):
                values *= 0.2
            elif "norm" in name.lower():
                values = 1 + 0.2 * values
            elif "embeddings" in name:
                values *= 0.5
            else:
                values *= 1.2 / np.sqrt(tensor.shape[-1] if tensor.shape else 1, dtype=np.float32)
            tensor.copy_(torch.from_numpy(values))
    return model.eval()


def encoder_inputs(
    seed: str, vocab: int, lengths: list[int], width: int, type_ids: bool = True
) -> dict[str, np.ndarray]:
    """One batch of int64 inputs: row i has lengths[i] tokens, then padding (id 0) up to width.

    The second half of each row has type id 1.
    """
    rng = generator(seed, "inputs", str(width))
    shape = (len(lengths), width)
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype(np.int64)
    out = {"input_ids": rng.integers(1, vocab, shape) * mask, "attention_mask": mask}
    if type_ids:
        out["token_type_ids"] = (np.arange(width) >= (np.array(lengths)[:, None] + 1) // 2) * mask
    return out


def save_cases(path: Path, cases: list[dict[str, np.ndarray]], **named: dict) -> None:
    """Writes inputs and outputs of each case; named ones have their name instead of a letter."""
    flat = {}
    for case, values in [*zip("abcdefgh", cases), *named.items()]:
        for name, value in values.items():
            flat[f"{case}.{name}"] = np.ascontiguousarray(value)
    save_file(flat, path)
    path.chmod(0o644)
