"""`tercel show`, `plan`, `run`, `export` and `tokenize`."""

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import onnx
import onnx.parser
import pytest

from cli import CHECKPOINTS, DOCUMENT, MODEL, output, output_json, random_inputs, refused

# show


def test_show() -> None:
    out = output_json("show", MODEL)
    assert {value["name"] for value in out["inputs"]} == {"input_ids", "attention_mask", "token_type_ids"}
    assert [value["name"] for value in out["outputs"]] == ["start_logits", "end_logits"]
    assert out["parameters"] == pytest.approx(22.6e6, rel=0.02)
    assert out["flops"] > 1e9 and out["operators"]["MatMul"] >= 36
    text = output("show", MODEL)
    assert "input_ids: i64 batch x sequence" in text and "MatMul" in text
    larger = output_json("show", MODEL, "--dim", "batch=4", "--dim", "sequence=128")
    assert larger["flops"] == pytest.approx(4 * out["flops"], rel=1e-6)
    assert "ir_version" in output("show", CHECKPOINTS / "bert_qa", "--text")
    assert output("show", CHECKPOINTS / "bert_qa", "--text", "--optimized")


def test_show_operators_covers_what_the_shipped_model_uses() -> None:
    operators = output("show", "--operators").split()
    assert operators == sorted(operators) == output_json("show", "--operators")
    assert set(output_json("show", MODEL)["operators"]) <= set(operators)


def test_show_counts_at_a_sequence_that_the_positions_allow(tmp_path: Path) -> None:
    graph = "<ir_version: 10, opset_import: ['' : 21]> g (float['sequence', 8] x) => (float['sequence', 4] y)"
    body = "<float[16, 8] places, float[8, 4] w> { z = Add(x, places) y = MatMul(z, w) }"
    model = onnx.parser.parse_model((graph + body).replace("'", '"'))
    tensors = {"places": np.ones((16, 8), np.float32), "w": np.ones((8, 4), np.float32)}
    model.graph.initializer.extend(onnx.numpy_helper.from_array(value, name) for name, value in tensors.items())
    onnx.save(model, tmp_path / "model.onnx")
    out = output_json("show", tmp_path / "model.onnx")
    assert out["flops_shape"] == "sequence=16" and out["flops"] == 2 * 16 * 8 * 4
    refused("show", tmp_path / "model.onnx", "--dim", "sequence=128")


def test_show_refuses() -> None:
    refused("show")
    assert "nowhere" in refused("show", "nowhere.onnx")
    assert "--dim" in refused("show", MODEL, "--dim", "batch")
    refused("show", DOCUMENT)


def test_what_was_not_understood_is_named() -> None:
    assert "no such command: shwo" in refused("shwo", MODEL)
    assert "unexpected argument: --jsn (see `tercel show --help`)" in refused("show", "--jsn", MODEL)
    assert "unexpected argument: --inptu" in refused("predict", "--inptu", "x")


# plan


def test_plan() -> None:
    rates = ["--bandwidth", "cuda:0=1e12", "--peak", "cuda:0=1e14", "--bandwidth", "cpu=1e10", "--peak", "cpu=1e11"]
    given = ["plan", MODEL, "--devices", "cuda:0,cpu", "--dtype", "f16", *rates]
    whole = output_json(*given, "--memory", "cuda:0=8GB")
    assert {layer["device"] for layer in whole["layers"]} == {"cuda:0"}
    assert whole["warning"] == "" and whole["weight_bytes"] == pytest.approx(2 * 22.6e6, rel=0.02)
    assert whole["shape"] == "batch=1, sequence=128"
    part = output_json(*given, "--memory", "cuda:0=36M", "--batch", "2", "--seq", "64")
    places = [layer["device"] for layer in part["layers"]]
    assert places == sorted(places, reverse=True) and len(set(places)) == 2
    assert all(device["fits"] and device["seconds"] > 0 for device in part["devices"])
    assert sum(device["weight_bytes"] for device in part["devices"]) == whole["weight_bytes"]
    text = output(*given, "--memory", "cuda:0=36M")
    assert "encoder/layer/5" in text and "usable" in text


@pytest.mark.parametrize(
    "arguments",
    [
        ["--devices", "cuda:77"],
        ["--memory", "cuda:0"],
        ["--memory", "=8G"],
        ["--peak", "cpu=fast"],
        ["--peak", "cpu=-1"],
        ["--dtype", "int8"],
        ["--devices", "cpu,"],
    ],
)
def test_plan_refuses(arguments: list[str]) -> None:
    refused("plan", MODEL, *arguments)


# run, export, tokenize


def test_run_on_arrays(tmp_path: Path) -> None:
    from safetensors_numpy import load_safetensors

    directory = CHECKPOINTS / "bert_qa"
    expected = load_safetensors(directory / "expected.safetensors")
    arguments: list[object] = []
    for name in ["input_ids", "attention_mask", "token_type_ids"]:
        np.save(tmp_path / f"{name}.npy", expected[f"a.{name}"])
        arguments += ["--input", f"{name}={tmp_path / name}.npy"]
    text = output("run", directory, *arguments, "--output", tmp_path / "out", "--repeat", 5)
    assert "4 more runs: min" in text and "start_logits: f32 3x11" in text
    mask = expected["a.attention_mask"].astype(bool)
    for name in ["start_logits", "end_logits"]:
        got = np.load(tmp_path / "out" / f"{name}.npy")
        assert got.dtype == np.float32
        np.testing.assert_allclose(got[mask], expected[f"a.{name}"][mask], atol=1e-4)


def test_run_on_random_inputs_is_repeatable(tmp_path: Path) -> None:
    directory = CHECKPOINTS / "bert_qa"
    for name, seed in [("a", 7), ("b", 7), ("c", 8)]:
        output("run", directory, *random_inputs(2, 9), "--seed", seed, "--output", tmp_path / name)
    a, b, c = (np.load(tmp_path / name / "start_logits.npy") for name in "abc")
    assert a.shape == (2, 9) and np.array_equal(a, b) and not np.array_equal(a, c)
    out = output_json("run", directory, *random_inputs(2, 9), "--repeat", 10)
    times = out["milliseconds"]
    assert times["runs"] == 9 and 0 < times["min"] <= times["median"] <= times["p99"]


def test_run_ends_at_its_timeout() -> None:
    message = refused("run", MODEL, *random_inputs(64, 384), "--timeout", "0.01", code=1)
    assert "deadline" in message
    refused("run", MODEL, "--timeout", "-1")
    output("run", MODEL, *random_inputs(1, 16), "--timeout", "1e30")


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"])
def test_npy_of_each_type_goes_through(dtype: str, tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    array = (np.random.default_rng(5).random((3, 0 if dtype == "u2" else 2, 5)) * 100 % 7).astype(dtype)
    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    node = helper.make_node("Identity", ["x"], ["y/z:0"])
    values = [helper.make_tensor_value_info(name, kind, ["a", "b", "c"]) for name in ("x", "y/z:0")]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")
    np.save(tmp_path / "x.npy", array)
    output("run", tmp_path / "model.onnx", "--input", f"x={tmp_path / 'x.npy'}", "--output", tmp_path / "out")
    got = np.load(tmp_path / "out" / "y_z_0.npy")
    assert got.dtype == array.dtype and np.array_equal(got, array)
    if dtype not in ("f2", "b1"):
        name = {"f": "f", "i": "i", "u": "u"}[dtype[0]] + str(8 * int(dtype[1]))
        out = output_json("run", tmp_path / "model.onnx", "--random", f"x=2x3x4:{name}")
        assert out["outputs"][0]["shape"] == [2, 3, 4] and out["outputs"][0]["dtype"] == name


def test_run_refuses_bad_arrays(tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = ["run", CHECKPOINTS / "bert_qa", "--output", out]
    np.save(tmp_path / "good.npy", np.zeros((1, 4), np.int64))
    good = (tmp_path / "good.npy").read_bytes()
    for cut in range(0, len(good), 7):
        (tmp_path / "bad.npy").write_bytes(good[:cut])
        refused(*command, "--input", f"input_ids={tmp_path / 'bad.npy'}")
    for old, new in [(b"(1, 4)", b"(1,-4)"), (b"(1, 4)", b"(9, 4)"), (b"<i8", b">i8"), (b"<i8", b"|O8"),
                     (b"(1, 4), }          ", b"(4294967296,4294967296), }")]:  # fmt: skip
        (tmp_path / "bad.npy").write_bytes(good.replace(old, new))
        refused(*command, "--input", f"input_ids={tmp_path / 'bad.npy'}")
    np.save(tmp_path / "fortran.npy", np.asfortranarray(np.zeros((2, 4), np.int64)))
    assert "Fortran" in refused(*command, "--input", f"input_ids={tmp_path / 'fortran.npy'}")
    assert "name=file.npy" in refused(*command, "--input", "input_ids")
    assert "nowhere.npy" in refused(*command, "--input", "input_ids=nowhere.npy")
    assert "input_ids" in refused(*command, "--random", "ids=1x4")
    assert "attention_mask" in refused(*command, "--random", "input_ids=1x4")
    for shape in ["", "4xx", "x", "-1", "1x4:f99", "9223372036854775807x2"]:
        refused(*command, "--random", f"input_ids={shape}")
    assert not out.exists()


def test_export(tmp_path: Path) -> None:
    import onnxruntime

    path = tmp_path / "model.onnx"
    output("export", MODEL, "-o", path, "--tokenizer")
    assert {file.name for file in tmp_path.iterdir()} == {"model.onnx", "tokenizer.json"}
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_outputs()] == ["start_logits", "end_logits"]
    question = "How many countries share the forest?"
    assert output("ask", "--document", DOCUMENT, "--model", path, "--quiet", question) == "Nine\n"
    output("export", MODEL, "-o", path, "--dtype", "f16", "--optimize", "--external-data")
    assert path.stat().st_size < 1 << 20 and (tmp_path / "model.onnx.data").stat().st_size > 40 << 20
    assert output("ask", "--document", DOCUMENT, "--model", path, "--quiet", question) == "Nine\n"


def test_export_refuses(tmp_path: Path) -> None:
    assert "nowhere" in refused("export", "nowhere", "-o", tmp_path / "model.onnx")
    assert "tokenizer.json" in refused(
        "export", CHECKPOINTS / "distilbert_qa", "-o", tmp_path / "model.onnx", "--tokenizer"
    )
    refused("export", MODEL, "-o", tmp_path / "missing" / "model.onnx", code=1)
    assert not list(tmp_path.iterdir())


def test_tokenize() -> None:
    from tokenizers import Tokenizer

    text = "Unbelievable: naïve Ångström 😀!"
    expected = Tokenizer.from_file(str(MODEL / "tokenizer.json")).encode(text)
    (entry,) = output_json("tokenize", text)
    assert entry["ids"] == expected.ids and entry["tokens"] == expected.tokens
    lines = output("tokenize", "--model", MODEL, "--no-special-tokens", text).splitlines()
    assert [int(line.split("\t")[0]) for line in lines] == expected.ids[1:-1]
    assert "tokenizer.json" in refused("tokenize", "--model", CHECKPOINTS / "distilbert_qa", "text")


# bench


def test_bench_measures_and_plots(tmp_path: Path) -> None:
    plot = tmp_path / "speed.svg"
    options = ["--seconds", 0.01, "--batches", "1,3", "--lengths", "16,128,mixed", "--plot", plot]
    rows = output_json("bench", CHECKPOINTS / "modernbert_qa", *options)
    assert [(row["lengths"], row["batch"]) for row in rows] == [
        (lengths, batch) for lengths in ("16", "128", "mixed") for batch in (1, 3)
    ]
    for row in rows:
        assert 0 < row["median_milliseconds"] <= row["p99_milliseconds"] and row["runs"] >= 5
        assert row["sequences_per_second"] == pytest.approx(1000 * row["batch"] / row["median_milliseconds"])
        if row["lengths"] != "mixed":
            assert row["tokens_per_second"] == pytest.approx(row["sequences_per_second"] * int(row["lengths"]))
    root = ElementTree.parse(plot).getroot()
    names = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert len(root.findall("{http://www.w3.org/2000/svg}polyline")) == 3
    assert {"16 tokens", "128 tokens", "4 to 22 tokens, mixed", "Tokens a second: modernbert_qa"} <= set(names)


def test_bench_keeps_to_the_length_that_the_model_takes() -> None:
    rows = output_json("bench", CHECKPOINTS / "sentence_mean", "--seconds", 0.01, "--batches", "1,8")
    assert [row["lengths"] for row in rows] == ["16", "16", "24", "24", "mixed", "mixed"]


def test_bench_of_images_has_no_lengths() -> None:
    (row,) = output_json("bench", CHECKPOINTS / "vit_classify", "--seconds", 0.01, "--batches", 2)
    assert "lengths" not in row and row["batch"] == 2
    lines = output("bench", CHECKPOINTS / "vit_classify", "--seconds", 0.01, "--batches", "1,2").splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["1", "2"]


def test_bench_refuses() -> None:
    model = CHECKPOINTS / "bert_qa"
    for option, value in [("--batches", "0"), ("--batches", "1,,2"), ("--lengths", "few"), ("--seconds", "0")]:
        assert option in refused("bench", model, option, value)
    assert "out of range" in refused("bench", model, "--lengths", 100000, "--batches", 1, "--json")
    assert "--lengths" in refused("bench", CHECKPOINTS / "vit_classify", "--lengths", 16)
