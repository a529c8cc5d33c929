"""Small recurrent speech models as PyTorch exports them: a front end on the waveform, convolutions over
time, LSTM or GRU. Files as in exports.py, which also compares them with PyTorch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from exports import remove_notes, run, shorten_names
from tiny import generator, randomise, save_cases
from torch import nn

FFT, HOP, MEL, HIDDEN, LETTERS = 32, 16, 8, 6, 5


class Recogniser(nn.Module):
    """Letters by CTC: STFT, mel filters, strided convolutions with batch normalisation, two GRUs."""

    def __init__(self):
        super().__init__()
        self.mel = nn.Linear(FFT // 2 + 1, MEL, bias=False)
        self.front = nn.Sequential(
            nn.Conv1d(MEL, HIDDEN, 3, stride=2, padding=1), nn.BatchNorm1d(HIDDEN), nn.GELU(),
            nn.Conv1d(HIDDEN, HIDDEN, 3, padding=2, dilation=2, groups=2), nn.Hardtanh(0, 20),
        )  # fmt: skip
        self.recurrent = nn.GRU(HIDDEN, HIDDEN, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(2 * HIDDEN, LETTERS)

    def forward(self, waveform):
        spectrum = torch.stft(waveform, FFT, HOP, window=torch.hann_window(FFT), center=False, return_complex=False)
        power = spectrum.pow(2).sum(-1).transpose(1, 2)
        features = self.front(torch.log(self.mel(power).abs() + 1e-3).transpose(1, 2))
        return self.head(self.recurrent(features.transpose(1, 2))[0]).log_softmax(-1)


class VoiceDetector(nn.Module):
    """Is there speech in this piece of a stream? An STFT by convolution, an LSTM whose state is handed on."""

    def __init__(self):
        super().__init__()
        time = torch.arange(FFT) * (2 * math.pi / FFT)
        angles = torch.arange(FFT // 2 + 1)[:, None] * time
        basis = torch.cat([torch.cos(angles), torch.sin(angles)]) * torch.hann_window(FFT)
        self.register_buffer("basis", basis[:, None, :])
        self.pad = nn.ReflectionPad1d((0, FFT // 2))
        self.encoder = nn.Sequential(
            nn.Conv1d(FFT // 2 + 1, HIDDEN, 3, padding=1), nn.ReLU(), nn.MaxPool1d(2, ceil_mode=True)
        )
        self.recurrent = nn.LSTM(HIDDEN, HIDDEN, batch_first=True)
        self.head = nn.Conv1d(HIDDEN, 1, 1)

    def forward(self, waveform, hidden, cell):
        parts = nn.functional.conv1d(self.pad(waveform)[:, None, :], self.basis, stride=HOP)
        real, imaginary = parts.chunk(2, 1)
        features = self.encoder(torch.sqrt(real**2 + imaginary**2 + 1e-6))
        found, (hidden, cell) = self.recurrent(features.transpose(1, 2), (hidden, cell))
        return torch.sigmoid(self.head(torch.relu(found.transpose(1, 2)))).mean(-1), hidden, cell


class KeywordSpotter(nn.Module):
    """Which word is said in these frames: depthwise convolutions, a bidirectional LSTM, its last step."""

    def __init__(self):
        super().__init__()
        self.front = nn.Sequential(
            nn.Conv1d(MEL, MEL, 5, padding=2, groups=MEL), nn.Conv1d(MEL, HIDDEN, 1), nn.SiLU(), nn.AvgPool1d(2)
        )
        self.recurrent = nn.LSTM(HIDDEN, HIDDEN, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, LETTERS)

    def forward(self, frames):
        steps = self.front(frames).permute(2, 0, 1)
        return self.head(self.recurrent(steps)[0][-1]).softmax(-1)


@dataclass
class Export:
    name: str
    model: type[nn.Module]
    opset: int
    dynamo: bool
    inputs: list[str]
    outputs: list[str]
    time_axis: int
    """Of the first input; the others are states [1, batch, HIDDEN]."""


EXPORTS = [
    Export("speech_recogniser_ts17", Recogniser, 17, False, ["waveform"], ["letters"], 1),
    Export("speech_recogniser_dynamo20", Recogniser, 20, True, ["waveform"], ["letters"], 1),
    Export("speech_voice_ts14", VoiceDetector, 14, False, ["waveform", "hidden", "cell"],
           ["speech", "new_hidden", "new_cell"], 1),
    Export("speech_keyword_ts11", KeywordSpotter, 11, False, ["frames"], ["words"], 2),
    Export("speech_keyword_dynamo18", KeywordSpotter, 18, True, ["frames"], ["words"], 2),
]  # fmt: skip


def arrays(item: Export, batch: int, time: int) -> dict[str, np.ndarray]:
    first = (batch, MEL, time) if item.time_axis == 2 else (batch, time)
    shapes = [first] + [(1, batch, HIDDEN)] * (len(item.inputs) - 1)
    rng = generator(item.name, "inputs", str((batch, time)))
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in zip(item.inputs, shapes)}


def build(item: Export) -> nn.Module:
    return randomise(item.model(), item.name.rsplit("_", 1)[0]).eval()


def export(item: Export, path: Path) -> None:
    example = tuple(torch.from_numpy(value) for value in arrays(item, 2, 96).values())
    names = {"input_names": item.inputs, "output_names": item.outputs, "opset_version": item.opset}
    if item.dynamo:
        batch, time = torch.export.Dim("batch", max=64), torch.export.Dim("time", min=64, max=4096)
        torch.onnx.export(
            build(item), example, path, dynamic_shapes=({0: batch, item.time_axis: time},), dynamo=True,
            external_data=False, verbose=False, **names,
        )  # fmt: skip
        return
    axes = {name: {1: "batch"} for name in item.inputs[1:] + item.outputs[1:]}
    axes[item.inputs[0]] = {0: "batch", item.time_axis: "time"}
    torch.onnx.export(build(item), example, path, dynamic_axes=axes, dynamo=False, **names)


def make(folder: Path) -> None:
    """Writes every exported file and its expected outputs into the folder."""
    for item in EXPORTS:
        path = folder / f"{item.name}.onnx"
        export(item, path)
        remove_notes(path)
        shorten_names(path)
        cases = []
        for batch, time in ((1, 64), (3, 131), (2, 500)):
            inputs = arrays(item, batch, time)
            outputs = run(path, inputs)
            with torch.inference_mode():
                wanted = build(item)(*(torch.from_numpy(value) for value in inputs.values()))
            for name, tensor in zip(item.outputs, wanted if isinstance(wanted, tuple) else (wanted,)):
                worst = np.abs(outputs[name] - tensor.numpy()).max()
                if not worst < 1e-4:
                    raise SystemExit(f"{item.name}: {name} differs from PyTorch by {worst}")
            cases.append(inputs | outputs)
        save_cases(folder / f"{item.name}.expected.safetensors", cases)
