"""Checkpoints exported by Tercel give in ONNX Runtime what transformers gave, within 1e-4."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto
from safetensors_numpy import load_safetensors

REPO = Path(__file__).resolve().parents[2]
TOOL = Path(os.environ.get("TERCEL_BUILD", REPO / "build")) / "tests" / "hub_tool"
CHECKPOINTS = sorted(path.parent for path in (REPO / "tests/data/checkpoints").glob("*/config.json"))
TASKS = {
    "ForQuestionAnswering": "question-answering",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "Model": "feature-extraction",
}
"""What a class name ends in, and the task."""
EXPECTED_NAMES = {"token_embeddings": "last_hidden_state"}
"""Outputs that have another name in expected.safetensors."""


def export(directory: Path, path: Path, *task: str) -> onnxruntime.InferenceSession:
    subprocess.run([TOOL, directory, path, *task], check=True)
    onnx.checker.check_model(path, full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def cases(expected: dict[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Tensors by case: "a.input_ids" is input_ids of the case a; cases without inputs are left out."""
    grouped: dict[str, dict[str, np.ndarray]] = {}
    for name, value in expected.items():
        case, tensor = name.split(".", 1)
        grouped.setdefault(case, {})[tensor] = value
    return {case: tensors for case, tensors in grouped.items() if "input_ids" in tensors}


@pytest.mark.parametrize("directory", CHECKPOINTS, ids=lambda path: path.name)
def test_same_outputs_as_transformers(directory: Path, tmp_path: Path) -> None:
    session = export(directory, tmp_path / "model.onnx")
    inputs = [value.name for value in session.get_inputs()]
    for case, tensors in cases(load_safetensors(directory / "expected.safetensors")).items():
        got = session.run(None, {name: tensors[name] for name in inputs})
        for output, value in zip(session.get_outputs(), got):
            expected = tensors[EXPECTED_NAMES.get(output.name, output.name)]
            assert value.shape == expected.shape
            error = float(np.abs(value - expected).max(initial=0.0))
            assert error <= 1e-4, f"case {case}, {output.name}: {error}"


@pytest.mark.parametrize("directory", CHECKPOINTS, ids=lambda path: path.name)
def test_conventions(directory: Path, tmp_path: Path) -> None:
    export(directory, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    architecture = config["architectures"][0]
    task = next(task for suffix, task in TASKS.items() if architecture.endswith(suffix))
    if (directory / "modules.json").exists():
        task = "sentence-similarity"
    assert metadata["tercel.architecture"] == architecture
    assert metadata["tercel.task"] == task
    assert 0 < int(metadata["tercel.max_length"]) <= config["max_position_embeddings"]
    if task.endswith("classification"):
        assert json.loads(metadata["tercel.id2label"]) == config["id2label"]
    for value in model.graph.input:
        axes = [axis.dim_param for axis in value.type.tensor_type.shape.dim]
        assert (value.type.tensor_type.elem_type, axes) == (TensorProto.INT64, ["batch", "sequence"])
    names = ["input_ids", "attention_mask", "token_type_ids"]
    assert [value.name for value in model.graph.input] == names[: 3 if "Distil" not in architecture else 2]
    stored = load_safetensors(directory / "model.safetensors")
    weights = {tensor.name: tensor for tensor in model.graph.initializer if "." in tensor.name}
    assert weights and set(weights) <= set(stored)
    for name, tensor in weights.items():
        assert np.array_equal(onnx.numpy_helper.to_array(tensor), stored[name])
