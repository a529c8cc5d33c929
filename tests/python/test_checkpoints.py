"""What an exported checkpoint is called and holds: names, axes, metadata, weights as they are stored."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto
from safetensors_numpy import load_safetensors

REPO = Path(__file__).resolve().parents[2]
CHECKPOINTS = sorted(path.parent for path in (REPO / "tests/data/checkpoints").glob("*/config.json"))
TASKS = {
    "ForQuestionAnswering": "question-answering",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "Model": "feature-extraction",
}
"""What a class name ends in, and the task."""


@pytest.mark.parametrize("directory", CHECKPOINTS, ids=lambda path: path.name)
def test_conventions(directory: Path, tmp_path: Path) -> None:
    tercel.export_onnx(directory, tmp_path / "model.onnx")
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
