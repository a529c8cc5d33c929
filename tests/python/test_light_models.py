"""The nine `light` models of the onnx package (CNNs whose weights are constants), against the outputs beside them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto, numpy_helper

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
MODELS = ["bvlc_alexnet", "densenet121", "inception_v1", "inception_v2", "resnet50", "shufflenet"]
MODELS += ["squeezenet", "vgg19", "zfnet512"]
RTOL, ATOL = 1e-3, 1e-7
"""Those of onnx.backend.test."""


def ramp(shape: tuple[int, ...]) -> np.ndarray:
    """The input that the outputs were made with: onnx.backend.test.runner.Runner.generate_dummy_data."""
    count = int(np.prod(shape))
    return (np.arange(count).reshape(shape) / count).astype(np.float32)


@pytest.mark.parametrize("name", MODELS)
def test_light_model(name: str) -> None:
    session = tercel.Session(LIGHT / f"light_{name}.onnx")
    given = {info.name: ramp(info.shape) for info in session.inputs if list(info.shape or []) == [1, 3, 224, 224]}
    assert len(given) == 1
    (output,) = session.run(given).values()
    expected = TensorProto()
    expected.ParseFromString((LIGHT / f"light_{name}_output_0.pb").read_bytes())
    np.testing.assert_allclose(output, numpy_helper.to_array(expected), RTOL, ATOL)
