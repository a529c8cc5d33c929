"""Networks of convolutions whose images lie channels last inside: against ONNX Runtime, and batch = single."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import tercel
from onnx import TensorProto
from onnx import helper as onnx_helper

from models import make, onnx_runtime


class Net:
    """Nodes and constants of a network, layer by layer."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[tuple[str, np.ndarray]] = []

    def constant(self, *shape: int, low: float = -1, high: float = 1) -> str:
        name = f"constant{len(self.constants)}"
        self.constants.append((name, self.random.uniform(low, high, shape).astype(np.float32)))
        return name

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = f"value{len(self.nodes)}"
        self.nodes.append(onnx_helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(self, x: str, channels: int, out: int, size: int, group: int = 1, bias: bool = True, **attributes) -> str:
        weight = self.constant(out, channels // group, size, size)
        inputs = [x, weight, *([self.constant(out)] if bias else [])]
        pads = [size // 2] * 4
        return self.op("Conv", *inputs, kernel_shape=[size, size], pads=pads, group=group, **attributes)

    def norm(self, x: str, channels: int) -> str:
        vectors = [self.constant(channels) for _ in range(3)]
        return self.op("BatchNormalization", x, *vectors, self.constant(channels, low=0.5, high=2))

    def model(self, output: str, size: int) -> onnx.ModelProto:
        inputs = [("x", TensorProto.FLOAT, ["batch", 3, size, size])]
        return make(self.nodes, inputs, [(output, TensorProto.FLOAT, None)], self.constants, opset=17, ir_version=8)


def residual(net: Net) -> str:
    """Stem, maxima, a block whose shortcut is a convolution too, one whose is not, an average."""
    x = net.op("Relu", net.norm(net.conv("x", 3, 24, 7, bias=False, strides=[2, 2]), 24))
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    y = net.op("Relu", net.conv(x, 24, 20, 1))
    y = net.op("Relu", net.norm(net.conv(y, 20, 20, 3, strides=[2, 2]), 20))
    x = net.op("Relu", net.op("Add", net.conv(y, 20, 48, 1), net.conv(x, 24, 48, 1, strides=[2, 2])))
    y = net.op("Relu", net.conv(x, 48, 48, 3))
    x = net.op("Relu", net.op("Add", x, net.conv(y, 48, 48, 3)))
    return net.op("Flatten", net.op("GlobalAveragePool", x))


def mobile(net: Net) -> str:
    """Depthwise and grouped convolutions, activations of their own, channels weighed by a branch."""
    x = net.op("HardSwish", net.conv("x", 3, 32, 3, strides=[2, 2]))
    x = net.op("Clip", net.conv(x, 32, 32, 3, group=32))
    x = net.op("LeakyRelu", net.conv(x, 32, 36, 5, group=2), alpha=0.2)
    weights = net.op("Sigmoid", net.conv(net.op("GlobalAveragePool", x), 36, 36, 1))
    x = net.conv(net.op("Mul", x, weights), 36, 17, 1)
    return net.op("AveragePool", x, kernel_shape=[3, 3], pads=[1, 0, 1, 0], strides=[2, 1])


def joined(net: Net) -> str:
    """Branches that are joined along the channels, and an output in the middle."""
    x = net.op("Relu", net.conv("x", 3, 16, 3))
    a = net.op("Relu", net.conv(x, 16, 16, 3, dilations=[1, 1]))
    b = net.op("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    return net.conv(net.op("Concat", a, b, axis=1), 32, 19, 3)


@pytest.mark.parametrize("isa", ["generic", "avx2", "avx512"])
@pytest.mark.parametrize("build", [residual, mobile, joined])
def test_networks(build, isa: str, tmp_path: Path) -> None:
    net = Net(seed=5)
    output = build(net)
    model = net.model(output, 45)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    try:
        session = tercel.Session(path, threads=2, cpu_isa=isa)
    except tercel.Error as error:
        pytest.skip(str(error))
    x = np.random.default_rng(6).standard_normal((3, 3, 45, 45)).astype(np.float32)
    (got,) = session.run({"x": x}).values()
    (want,) = onnx_runtime(model, {"x": x})
    assert got.shape == want.shape
    assert np.abs(got - want).max() <= 1e-5 * np.abs(want).max()
    for i in range(3):
        (alone,) = session.run({"x": x[i : i + 1]}).values()
        assert alone.tobytes() == got[i : i + 1].tobytes()
