"""What an exported checkpoint is called and holds: names, axes, metadata, weights as they are stored."""

import json
import shutil
from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto
from safetensors_numpy import load_safetensors, save_safetensors

REPO = Path(__file__).resolve().parents[2]
CHECKPOINTS = sorted(path.parent for path in (REPO / "tests/data/checkpoints").glob("*/config.json"))
TASKS = {
    "ForQuestionAnswering": "question-answering",
    "ForSequenceClassification": "text-classification",
    "ForTokenClassification": "token-classification",
    "ForMaskedLM": "fill-mask",
    "ForImageClassification": "image-classification",
    "ForPreTraining": "replaced-token-detection",
    "Model": "feature-extraction",
    "ModelWithProjection": "feature-extraction",
}
"""What a class name ends in, and the task."""


def stored_weights(directory: Path) -> dict[str, np.ndarray] | None:
    """The tensors of the safetensors files; nothing for PyTorch's form."""
    files = sorted(directory.glob("model*.safetensors"))
    return {name: value for file in files for name, value in load_safetensors(file).items()} or None


def expected_inputs(config: dict) -> list[str]:
    """Token types only where there are kinds to tell apart; RoBERTa has one that is always there."""
    if config["model_type"] == "vit":
        return ["pixel_values"]
    least = 1 if "roberta" in config["model_type"] or config["model_type"] == "camembert" else 0
    return ["input_ids", "attention_mask"] + ["token_type_ids"] * (config.get("type_vocab_size", 0) > least)


@pytest.mark.parametrize("directory", CHECKPOINTS, ids=lambda path: path.name)
def test_conventions(directory: Path, tmp_path: Path) -> None:
    tercel.export_onnx(directory, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    architecture = config["architectures"][0]
    task = next(task for suffix, task in TASKS.items() if architecture.endswith(suffix))
    text = config.get("text_config", config)
    if (directory / "modules.json").exists():
        task = "sentence-similarity"
    assert metadata["tercel.architecture"] == architecture
    assert metadata["tercel.task"] == task
    if config["model_type"] == "vit":
        assert "tercel.max_length" not in metadata
    else:
        most = text.get("max_position_embeddings") or text["n_positions"]
        assert 0 < int(metadata["tercel.max_length"]) <= most
    if task.endswith("classification"):
        assert json.loads(metadata["tercel.id2label"]) == config["id2label"]
    assert [value.name for value in model.graph.input] == expected_inputs(config)
    for value in model.graph.input:
        if value.name == "pixel_values":
            continue
        axes = [axis.dim_param for axis in value.type.tensor_type.shape.dim]
        assert (value.type.tensor_type.elem_type, axes) == (TensorProto.INT64, ["batch", "sequence"])
    stored = stored_weights(directory)
    if stored is None:
        return
    weights = {tensor.name: tensor for tensor in model.graph.initializer if "." in tensor.name}
    assert weights and set(weights) <= set(stored)
    for name, tensor in weights.items():
        assert np.array_equal(onnx.numpy_helper.to_array(tensor), stored[name])


def with_weights(directory: Path, to: Path, change: object) -> Path:
    """A copy of the checkpoint whose tensors are change(index, name, value)."""
    shutil.copytree(directory, to)
    weights = load_safetensors(directory / "model.safetensors")
    changed = [change(index, *item) for index, item in enumerate(weights.items())]
    save_safetensors(to / "model.safetensors", dict(changed))
    return to


def outputs_of(checkpoint: Path) -> dict[str, np.ndarray]:
    ids = np.arange(2, 14).reshape(2, 6)
    values = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    session = tercel.Session(checkpoint)
    return session.run({info.name: values[info.name] for info in session.inputs})


@pytest.mark.parametrize("name", ["bert_qa", "distilbert_classify", "modernbert_base"])
def test_a_checkpoint_of_mixed_types_is_that_of_the_rounded_numbers(name: str, tmp_path: Path) -> None:
    directory = REPO / "tests/data/checkpoints" / name
    types = [np.float32, np.float16, ml_dtypes.bfloat16]
    mixed = with_weights(directory, tmp_path / "mixed", lambda index, key, value: (key, value.astype(types[index % 3])))
    rounded = with_weights(
        directory,
        tmp_path / "rounded",
        lambda index, key, value: (key, value.astype(types[index % 3]).astype(np.float32)),
    )
    expected = outputs_of(rounded)
    for output, value in outputs_of(mixed).items():
        np.testing.assert_allclose(value, expected[output], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module."])
def test_a_checkpoint_that_a_wrapper_of_torch_saved(prefix: str, tmp_path: Path) -> None:
    directory = REPO / "tests/data/checkpoints/bert_qa"
    wrapped = with_weights(directory, tmp_path / "wrapped", lambda index, key, value: (prefix + key, value))
    expected = outputs_of(directory)
    for output, value in outputs_of(wrapped).items():
        assert np.array_equal(value, expected[output])
