"""Every way in which sentence-transformers pools tokens, against its definition over the tokens' own states."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tercel

REPO = Path(__file__).resolve().parents[2]
SOURCE = REPO / "tests/data/checkpoints/sentence_mean"
MODES = ["cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]
FLAGS = {
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "mean": "pooling_mode_mean_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}
MASKS = {
    "right": [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0]],
    "left": [[1, 1, 1, 1, 1], [0, 0, 1, 1, 1], [0, 0, 0, 0, 1]],
    "holes": [[1, 0, 1, 1, 0], [0, 1, 0, 1, 0], [1, 1, 1, 0, 1]],
}


def pooled(mode: str, states: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Of one sequence: [tokens, size] and [tokens]."""
    real = np.flatnonzero(mask)
    if mode == "cls":
        return states[0]
    if mode == "max":
        return states[real].max(0)
    if mode == "lasttoken":
        return states[real[-1]]
    weights = (real - real[0] + 1 if mode == "weightedmean" else np.ones(len(real))).astype(np.float32)
    total = (states[real] * weights[:, None]).sum(0)
    return total / (np.sqrt(len(real)) if mode == "mean_sqrt_len_tokens" else weights.sum())


def checkpoint(folder: Path, pooling: dict | None) -> Path:
    """The fixture with another pooling, and without the module behind it; without any: the states of tokens."""
    shutil.copytree(SOURCE, folder)
    modules = json.loads((folder / "modules.json").read_text(encoding="utf-8"))
    if pooling is None:
        (folder / "modules.json").unlink()
        return folder
    (folder / "modules.json").write_text(json.dumps(modules[:2]), encoding="utf-8")
    (folder / "1_Pooling/config.json").write_text(
        json.dumps({"word_embedding_dimension": 32, **pooling}), encoding="utf-8"
    )
    return folder


POOLINGS = [
    *(pytest.param([mode], {"pooling_mode": mode}, id=mode) for mode in MODES),
    *(pytest.param([mode], {FLAGS[mode]: True}, id=f"{mode}-flag") for mode in MODES),
    pytest.param(MODES, {flag: True for flag in reversed(FLAGS.values())}, id="all-flags"),
    pytest.param(["lasttoken", "cls"], {"pooling_mode": ["lasttoken", "cls"]}, id="two"),
    pytest.param(["mean"], {}, id="default"),
]


@pytest.mark.parametrize("padding", MASKS)
@pytest.mark.parametrize("modes, pooling", POOLINGS)
def test_pooling(modes: list[str], pooling: dict, padding: str, tmp_path: Path) -> None:
    if "cls" in modes and padding != "right":
        pytest.skip("the first token of these sequences is padding")
    mask = np.array(MASKS[padding])
    feeds = {"input_ids": np.arange(15).reshape(3, 5) % 11 + 1, "attention_mask": mask}
    tokens = tercel.Session(checkpoint(tmp_path / "tokens", None))
    if any(info.name == "token_type_ids" for info in tokens.inputs):
        feeds["token_type_ids"] = np.zeros((3, 5), np.int64)
    states = tokens.run(feeds)["last_hidden_state"]
    expected = [np.concatenate([pooled(mode, *row) for mode in modes]) for row in zip(states, mask)]
    for optimize in (True, False):
        session = tercel.Session(checkpoint(tmp_path / f"pooled{optimize}", pooling), optimize=optimize)
        got = session.run(feeds)["sentence_embedding"]
        np.testing.assert_allclose(got, expected, 1e-4, 1e-5)


def test_other_modes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(tercel.errors.UnsupportedError, match='pooling "attention"; supported are cls, max'):
        tercel.Session(checkpoint(tmp_path / "m", {"pooling_mode": "attention"}))
