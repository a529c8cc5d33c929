"""StringSplit against ONNX's reference, which splits as Python does; ONNX Runtime splits at spaces alone."""

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator
from op_cases.strings import WORDS

from models import make, ours

TEXTS = [*WORDS, "a  b  ", "  ", " b", "a\tb c\r\n", "bb", ",,,"]


@pytest.mark.parametrize("maxsplit", [None, 0, 1, 2, 5])
@pytest.mark.parametrize("delimiter", [None, "", ",", ",,", "b", " ", "本"])
def test_split(delimiter: str | None, maxsplit: int | None, tmp_path: Path) -> None:
    given = {"delimiter": delimiter, "maxsplit": maxsplit}
    node = helper.make_node("StringSplit", ["x"], ["y", "n"], **{k: v for k, v in given.items() if v is not None})
    string = TensorProto.STRING
    model = make([node], [("x", string, None)], [("y", string, None), ("n", TensorProto.INT64, None)], opset=20)
    for texts in (TEXTS, np.reshape(TEXTS[:18], (3, 2, 3)), TEXTS[:1]):
        feeds = {"x": np.array(texts, object)}
        expected = ReferenceEvaluator(model).run(None, feeds)
        for got, reference in zip(ours(model, feeds, tmp_path), expected):
            assert (got.shape, got.astype(str).tolist()) == (reference.shape, reference.astype(str).tolist())
