"""Tercel: machine-learning model inference.

>>> session = tercel.Session("model.onnx", threads=2)
>>> session.run({"input_ids": ids, "attention_mask": mask})["start_logits"]
"""

from . import errors
from ._tercel import __version__
from .errors import Error
from .session import Embedding, IoBinding, Session, TensorInfo, export_onnx

__all__ = ["Embedding", "Error", "IoBinding", "Session", "TensorInfo", "__version__", "errors", "export_onnx"]
