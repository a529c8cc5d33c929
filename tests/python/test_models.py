"""Whole models in Tercel against what PyTorch, transformers and ONNX Runtime gave on the same inputs."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import tercel
from safetensors_numpy import load_safetensors

REPO = Path(__file__).resolve().parents[2]
ONNX_FILES = sorted((REPO / "tests/data/onnx").glob("*.onnx"))
CHECKPOINTS = sorted(path.parent for path in (REPO / "tests/data/checkpoints").glob("*/config.json"))
OUTPUT_NAMES = {"token_embeddings": "last_hidden_state"}
"""Outputs that have another name in expected.safetensors."""
ERRORS = {"f32": 1e-4, "f16": 3e-2, "bf16": 2e-1}
"""Max abs error by the type of the weights, on outputs of order 1."""


def cases(path: Path) -> list[dict[str, np.ndarray]]:
    """One dictionary a case of an expected.safetensors, whose tensors are named "case.tensor"."""
    grouped: dict[str, dict[str, np.ndarray]] = {}
    for name, value in load_safetensors(path).items():
        case, tensor = name.split(".", 1)
        grouped.setdefault(case, {})[tensor] = value
    return [case for name, case in sorted(grouped.items()) if name != "texts"]


def expected_rows(expected: np.ndarray, case: dict[str, np.ndarray], metadata) -> np.ndarray:
    """What a graph over packed rows gives: the rows of padding of [batch, sequence, …] are zero."""
    mask = case.get("attention_mask")
    if metadata.get("tercel.rows") != "packed" or mask is None or expected.shape[: mask.ndim] != mask.shape:
        return expected
    real = mask.reshape(mask.shape + (1,) * (expected.ndim - mask.ndim)) != 0
    return np.where(real, expected, np.zeros_like(expected))


def check(session, case: dict[str, np.ndarray], error: float) -> int:
    inputs = {}
    for info in session.inputs:
        if info.name in case:
            inputs[info.name] = case[info.name] if info.shape else case[info.name].reshape(())
    outputs = session.run(inputs)
    checked = 0
    for name, got in outputs.items():
        expected = case.get(OUTPUT_NAMES.get(name, name))
        if expected is None:
            continue
        checked += 1
        expected = expected_rows(expected, case, session.metadata)
        assert got.shape == expected.shape or got.size == expected.size == 1, name  # scalars are stored as [1]
        assert got.dtype == expected.dtype, name
        difference = np.abs(got.astype(np.float64) - expected.astype(np.float64))
        assert float(difference.max(initial=0.0)) <= error, name
    return checked


@pytest.mark.parametrize("optimize", [True, False], ids=["optimized", "as_stored"])
@pytest.mark.parametrize("path", ONNX_FILES, ids=lambda path: path.stem)
def test_onnx_file(path: Path, optimize: bool) -> None:
    session = tercel.Session(path, threads=2, optimize=optimize)
    for case in cases(path.with_suffix(".expected.safetensors")):
        assert check(session, case, 1e-4) > 0


@pytest.mark.parametrize("isa", ["generic", "avx2"])
@pytest.mark.parametrize("stem", ["bert_qa_ts14_sdpa", "bert_qa_dynamo23_sdpa", "minilm_embed_ts14"])
def test_lower_instruction_sets(stem: str, isa: str) -> None:
    path = REPO / "tests/data/onnx" / f"{stem}.onnx"
    try:
        session = tercel.Session(path, cpu_isa=isa)
    except tercel.Error as error:
        pytest.skip(str(error))
    for case in cases(path.with_suffix(".expected.safetensors")):
        assert check(session, case, 1e-4) > 0


@pytest.mark.parametrize("dtype", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("directory", CHECKPOINTS, ids=lambda path: path.name)
def test_checkpoint(directory: Path, dtype: str) -> None:
    session = tercel.Session(directory, dtype=dtype)
    for case in cases(directory / "expected.safetensors"):
        scale = max(1.0, *(float(np.abs(v).max()) for v in case.values() if v.dtype == np.float32))
        assert check(session, case, ERRORS[dtype] * (1.0 if dtype == "f32" else scale)) > 0


@pytest.mark.parametrize("directory", CHECKPOINTS, ids=lambda path: path.name)
def test_padding_changes_nothing(directory: Path) -> None:
    session = tercel.Session(directory, threads=1)
    case = cases(directory / "expected.safetensors")[0]
    inputs = {info.name: case[info.name] for info in session.inputs}
    batch = session.run(inputs)
    if "attention_mask" not in inputs:
        pytest.skip("images have no padding")
    for row, length in enumerate(inputs["attention_mask"].sum(1)):
        alone = session.run({name: value[row : row + 1, :length] for name, value in inputs.items()})
        for name, value in alone.items():
            own = batch[name][row]
            if own.shape != value[0].shape:
                own = own[:length]
            assert np.array_equal(own, value[0]), name


@pytest.mark.parametrize("optimize", [False, True], ids=["plain", "optimized"])
@pytest.mark.parametrize("source", [*CHECKPOINTS, *ONNX_FILES], ids=lambda path: path.stem)
def test_export_runs_in_onnx_runtime(source: Path, optimize: bool, tmp_path: Path) -> None:
    target = tmp_path / "model.onnx"
    tercel.export_onnx(source, target, optimize=optimize)
    onnx.checker.check_model(str(target), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(target, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    folder = source / "expected.safetensors" if source.is_dir() else source.with_suffix(".expected.safetensors")
    for case in cases(folder):
        fed = {
            value.name: case[value.name] if value.shape else case[value.name].reshape(())
            for value in session.get_inputs()
            if value.name in case
        }
        for name, got in zip(names, session.run(None, fed)):
            expected = case.get(OUTPUT_NAMES.get(name, name))
            if expected is None:
                continue
            if got.dtype != expected.dtype:  # ONNX Runtime has bfloat16 as plain 16-bit words
                got = got.view(expected.dtype)
            expected = expected_rows(expected, case, session.get_modelmeta().custom_metadata_map)
            difference = np.abs(got.astype(np.float64) - expected.astype(np.float64))
            assert float(difference.max(initial=0.0)) <= 1e-4, name


@pytest.mark.parametrize("family", ["bert_qa", "modernbert_base", "mpnet_qa", "sentence_bge"])
def test_other_runtimes_pack_any_mask_alike(family: str, tmp_path: Path) -> None:
    source = REPO / "tests/data/checkpoints" / family
    tercel.export_onnx(source, tmp_path / "model.onnx", optimize=True)
    theirs = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    ours = tercel.Session(source, threads=2)
    random = np.random.default_rng(5)
    right = np.arange(9) < random.integers(1, 10, (4, 1))
    holes = random.random((4, 9)) < 0.7
    holes[:, 0] = True
    for mask in (right, holes, right[:, ::-1], np.ones((3, 1), bool)):
        ids = random.integers(4, 24, mask.shape)
        fed = {"input_ids": ids, "attention_mask": mask.astype(np.int64), "token_type_ids": ids % 2}
        fed = {info.name: fed[info.name] for info in ours.inputs}
        for name, got in ours.run(fed).items():
            expected = theirs.run([name], fed)[0]
            np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4, err_msg=name)
