#!/usr/bin/env python3
"""Makes the test data that PyTorch, transformers and ONNX Runtime are the reference for.

Writes ``tests/data/checkpoints`` and ``tests/data/onnx``. Tests read the committed files and need
none of those packages. With --check everything is made anew in a temporary directory and compared
with the committed files: the same names, the same JSON and weights, the same inputs, outputs within
1e-5; and the committed ONNX files are run again. Exported ONNX files themselves may differ by the
exporter's version as long as their outputs do not. Needs: torch, transformers,
sentence-transformers, onnx, onnxscript, onnxruntime, safetensors, tokenizers.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts" / "parity"))

import checkpoints  # noqa: E402
import exports  # noqa: E402
import handmade  # noqa: E402
import numpy as np  # noqa: E402
import speech  # noqa: E402
import torch  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

TOLERANCE = 1e-5
PARTS = {
    "checkpoints": [checkpoints.make],
    "onnx": [exports.make, speech.make, handmade.make],
}


def make(folder: Path, parts: list[str]) -> None:
    """Makes these parts under the folder, in place of what is there; README files stay."""
    for part in parts:
        place = folder / part
        place.mkdir(parents=True, exist_ok=True)
        for old in place.iterdir():
            if old.is_dir():
                shutil.rmtree(old)
            elif old.suffix != ".md":
                old.unlink()
        for function in PARTS[part]:
            function(place)


def files(folder: Path) -> dict[str, Path]:
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and path.suffix != ".md")
    return {str(path.relative_to(folder)): path for path in found}


def tensor_differences(name: str, old: dict, new: dict) -> list[str]:
    """Integers and saved weights must be equal, computed values close."""
    if old.keys() != new.keys():
        return [f"{name}: the tensors differ: {sorted(old.keys() ^ new.keys())}"]
    out = []
    for key, want in old.items():
        got = new[key]
        if want.dtype != got.dtype or want.shape != got.shape:
            out.append(f"{name}: {key}: {want.dtype}{list(want.shape)}, {got.dtype}{list(got.shape)}")
            continue
        exact = not name.endswith("expected.safetensors") or not want.is_floating_point()
        close = torch.equal(want, got) if exact else torch.allclose(want, got, 0, TOLERANCE)
        if not close:
            out.append(f"{name}: {key}: differs by {(want.double() - got.double()).abs().max():.3g}")
    return out


def rerun_differences(name: str, path: Path, expected: dict) -> list[str]:
    """The committed ONNX file, run again on its committed inputs."""
    out = []
    for case in sorted({key.split(".", 1)[0] for key in expected}):
        values = {k.split(".", 1)[1]: v.numpy() for k, v in expected.items() if k.startswith(case + ".")}
        inputs = {key: values[key] for key in exports.input_names(path)}
        for key, got in exports.run(path, inputs).items():
            if key in values and not np.allclose(values[key], got, 0, TOLERANCE):
                out.append(f"{name}: {case}.{key}: ONNX Runtime gives other values now")
    return out


def differences(old_root: Path, new_root: Path) -> list[str]:
    """What differs, a line each."""
    old, new = files(old_root), files(new_root)
    out = [f"{name}: only in one of the two" for name in sorted(old.keys() ^ new.keys())]
    for name in sorted(old.keys() & new.keys()):
        if name.endswith(".safetensors"):
            out.extend(tensor_differences(name, load_file(old[name]), load_file(new[name])))
        elif name.endswith(".bin"):
            loaded = [dict(torch.load(root[name], weights_only=True)) for root in (old, new)]
            out.extend(tensor_differences(name, *loaded))
        elif name.endswith(".json"):
            if json.loads(old[name].read_bytes()) != json.loads(new[name].read_bytes()):
                out.append(f"{name}: differs")
        elif name.endswith(".onnx"):
            expected = load_file(old[name].with_suffix(".expected.safetensors"))
            out.extend(rerun_differences(name, old[name], expected))
        elif old[name].read_bytes() != new[name].read_bytes():
            out.append(f"{name}: differs")
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "tests" / "data", help="where to write")
    parser.add_argument("--check", action="store_true", help="compare with --out, write nothing there")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=list(PARTS), help="these parts")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if not args.check:
        make(args.out, args.only)
        return
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), args.only)
        found, count = [], 0
        for part in args.only:
            found.extend(differences(args.out / part, Path(folder) / part))
            count += len(files(args.out / part))
    for line in found:
        print(line)
    if found:
        raise SystemExit(f"{len(found)} differences; run {Path(__file__).name} to make the files anew")
    print(f"{count} files agree")


if __name__ == "__main__":
    main()
