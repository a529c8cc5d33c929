"""Sessions: a model made ready to run on numpy arrays."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from . import _tercel
from .errors import InvalidArgumentError

if TYPE_CHECKING:
    import numpy as np


class TensorInfo(NamedTuple):
    """An input or an output. A dimension is a number or a symbol; shape is None when the rank is unknown.

    type is the whole in ONNX's textual syntax: "float[batch,128]", "seq(float)", "optional(int64)".
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None
    type: str = ""


class Session:
    """A model that is loaded, optimised and ready. All methods may be called from many threads at once.

    path: an ONNX file or a Hugging Face checkpoint's directory. Options are those of tercel::SessionOptions:
    dtype ("f32", "f16", "bf16": how weights are held; "int8", "int4": products of bytes; "f8e4m3fn": of fp8, on
    Hopper GPUs as int8; "auto": the fastest of f32, bf16 and int8 on the CPU that keeps least_cosine to f32, tried at
    load on samples, a list of dictionaries of arrays by input name, or on inputs that are made up), threads (0: as many
    as the process may use), devices, memory_limit (bytes; 0: what the machine has), optimize, cpu_isa, task, throughput
    (a thread for each request instead of all for one), pin (keep each worker on one CPU), strict (refuse a model of
    which something would run on the CPU though a GPU was asked for), placement ("auto": a model that one GPU has no
    room for is spread over those of devices, "cuda:0,cuda:1", and the CPU), tuning_cache (keep which kernels of a GPU
    were the fastest, in $TERCEL_CACHE_DIR or the user's cache), deterministic (on a GPU too, the bits of a row's answer
    depend on nothing else in its batch).
    """

    def __init__(self, path: str | os.PathLike[str], **options: Any):
        self._session = _load(_tercel.Session, path, options)
        self.inputs = [_info(entry) for entry in self._session.inputs()]
        self._sequences = {info.name for info in self.inputs if "seq(" in info.type}
        self.outputs = [_info(entry) for entry in self._session.outputs()]

    def run(
        self,
        inputs: Mapping[str, Any],
        outputs: Sequence[str] = (),
        timeout: float | None = None,
    ) -> dict[str, Any]:
        """Runs the model on arrays by input name; returns arrays by output name (`outputs`: only these).

        A sequence is a list of arrays, an optional value that is missing None.

        Contiguous arrays are read, and results handed over, without a copy; the GIL is released meanwhile.
        timeout: seconds, after which tercel.errors.DeadlineExceededError is raised.
        """
        arrays = _arrays()
        carried = {name: arrays.carry(name, value, name in self._sequences) for name, value in inputs.items()}
        results = self._session.run(carried, list(outputs), timeout)
        return {name: arrays.uncarry(value) for name, value in results.items()}

    def bind(self) -> IoBinding:
        """Inputs and outputs in memory of the caller's, for runs that copy nothing."""
        return IoBinding(self._session.bind())

    @property
    def metadata(self) -> dict[str, str]:
        """The model's metadata."""
        return self._session.metadata()

    @property
    def warnings(self) -> list[str]:
        """What was odd about the model but no reason to refuse it."""
        return self._session.warnings()

    def explain(self) -> str:
        """One line a step: the operator, its kernel, and why others refused."""
        return self._session.explain()

    def stats(self) -> dict[str, float]:
        """Bytes of weights, peak bytes, plans, and milliseconds of loading."""
        return self._session.stats()


class IoBinding:
    """Inputs and outputs bound to arrays: numpy's, or what speaks DLPack, such as a torch tensor on the session's GPU.

    What is on the GPU stays there: an input is read when all that CUDA's default stream was given is done, an output is
    written when run() returns. Arrays are contiguous; they are kept until others are bound. Of Session.bind().
    """

    def __init__(self, binding: _tercel.IoBinding):
        self._binding = binding

    def bind_input(self, name: str, array: Any) -> None:
        """The input is read from `array` at each run."""
        self._bind(self._binding.bind_input, name, array)

    def bind_output(self, name: str, array: Any = None) -> None:
        """The output is written into `array`, whose shape must be the output's; None: output() has it after a run."""
        self._bind(self._binding.bind_output, name, array)

    @staticmethod
    def _bind(bind: Any, name: str, array: Any) -> None:
        try:
            bind(name, array)
        except TypeError:
            raise InvalidArgumentError(f'"{name}": expected a contiguous array or DLPack, got {type(array)}') from None

    def run(self, timeout: float | None = None) -> None:
        """Runs the model and computes the outputs that are bound. timeout: as for Session.run."""
        self._binding.run(timeout)

    def output(self, name: str) -> Any:
        """Of the last run, as an array; of an output in the host's memory."""
        return _arrays().uncarry(self._binding.output(name))


class Embedding:
    """Turns texts into vectors. path: a checkpoint's directory, or an ONNX file with its tokenizer.json beside it.

    Options are those of Session. All methods may be called from many threads at once.
    """

    def __init__(self, path: str | os.PathLike[str], **options: Any):
        self._model = _load(_tercel.Embedding, path, options)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """An array of f32 [texts, size]. Texts longer than the model's maximum are cut."""
        return _arrays().uncarry(self._model.embed(list(texts)))

    @property
    def warnings(self) -> list[str]:
        """What was odd about the model but no reason to refuse it."""
        return self._model.warnings()


def _arrays() -> Any:
    """The module that needs numpy, which takes as long to import as a small model to load."""
    from . import arrays

    return arrays


def _load(kind: Any, path: str | os.PathLike[str], options: dict[str, Any]) -> Any:
    if "samples" in options:
        carry = _arrays().carry
        carried = [{name: carry(name, value) for name, value in sample.items()} for sample in options["samples"]]
        options = {**options, "samples": carried}
    importing = threading.Thread(target=_arrays)  # while the model is loaded
    importing.start()
    try:
        return kind.load(os.fspath(path), **options)
    except TypeError:
        signature = kind.load.__doc__.splitlines()[0]
        raise TypeError(f"tercel.{kind.__name__}: the options {options} do not fit {signature}") from None
    finally:
        importing.join()


def _info(entry) -> TensorInfo:
    name, dtype, shape, whole = entry
    if shape is not None:
        shape = tuple(int(dim) if dim.isdecimal() else dim for dim in shape)
    return TensorInfo(name, dtype, shape, whole)


def export_onnx(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    dtype: str = "",
    optimize: bool = False,
    external_data: bool = False,
    task: str = "",
) -> list[str]:
    """Writes a checkpoint or an ONNX file as ONNX, for other runtimes.

    dtype: of the weights ("f32", "f16", "bf16"; empty: as they are stored). optimize: after Tercel's passes.
    external_data: weights in a file beside the model. Returns the warnings.
    """
    return _tercel.export_onnx(os.fspath(path), os.fspath(output), dtype, optimize, external_data, task)
