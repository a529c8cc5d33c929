"""A model that was exported in training mode runs as in evaluation: the oracle is ONNX Runtime on its twin that was
exported for inference."""

from pathlib import Path

import numpy as np
import onnx
import pytest
import tercel
from onnx import helper

from models import assert_same, make, onnx_runtime, ours

FLOAT = onnx.TensorProto.FLOAT
SHAPE = ["n", 4, "h", "w"]


def twin(opset: int, training: bool) -> onnx.ModelProto:
    """A convolution, a batch normalisation and a dropout, as an exporter writes them for training or inference."""
    generator = np.random.default_rng(3)
    constants = [("w", generator.normal(size=(4, 4, 3, 3)).astype(np.float32))]
    constants += [(name, generator.uniform(0.5, 2, 4).astype(np.float32)) for name in ("scale", "bias", "mean", "var")]
    constants += [("ratio", np.float32(0.5)), ("train", np.array(training))]
    outputs = ["b", "running_mean", "running_var"] if training else ["b"]
    mode = {"training_mode": 1} if training else {}
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "var"], outputs, momentum=0.9, **mode),
        helper.make_node("Relu", ["b"], ["r"]),
        helper.make_node("Dropout", ["r", "ratio", "train"], ["y"]),
    ]
    return make(nodes, [("x", FLOAT, SHAPE)], [("y", FLOAT, SHAPE)], constants, opset=opset, ir_version=8)


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("opset", [14, 15, 17])
def test_nothing_of_training_is_run(opset: int, optimize: bool, tmp_path: Path) -> None:
    feeds = {"x": np.random.default_rng(5).normal(size=(3, 4, 6, 5)).astype(np.float32)}
    expected = onnx_runtime(twin(opset, training=False), feeds)
    for _ in range(2):  # no statistics move, and nothing is random
        assert_same(ours(twin(opset, training=True), feeds, tmp_path, optimize=optimize), expected, 1e-4, 1e-5)
    (warning,) = tercel.Session(tmp_path / "model.onnx", threads=1).warnings
    assert "training mode: 2 of its operators" in warning
    ours(twin(opset, training=False), feeds, tmp_path)
    assert tercel.Session(tmp_path / "model.onnx", threads=1).warnings == []


def test_statistics_as_outputs_are_refused(tmp_path: Path) -> None:
    model = twin(15, training=True)
    model.graph.output.append(helper.make_tensor_value_info("running_mean", FLOAT, [4]))
    onnx.save(model, tmp_path / "model.onnx")
    with pytest.raises(tercel.errors.UnsupportedError, match="only training gives it"):
        tercel.Session(tmp_path / "model.onnx")
