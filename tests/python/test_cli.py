"""The command `tercel`: what it prints, what it writes, and how it fails."""

import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).resolve().parents[2]
TERCEL = Path(os.environ.get("TERCEL_BUILD", REPO / "build")).resolve() / "tercel"
MODEL = REPO / "models/minilm-qa"
DOCUMENT = REPO / "examples/amazon.txt"
CHECKPOINTS = REPO / "tests/data/checkpoints"
SQUAD = REPO / "tests/data/squad"
COMMANDS = ["ask", "classify", "embed", "evaluate", "show", "run", "export", "tokenize"]


def tercel(*arguments: object, stdin: bytes = b"", cwd: Path = REPO) -> subprocess.CompletedProcess:
    return subprocess.run(
        [TERCEL, *map(str, arguments)], input=stdin, capture_output=True, timeout=300, check=False, cwd=cwd
    )


def output(*arguments: object, **options: object) -> str:
    done = tercel(*arguments, **options)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def output_json(*arguments: object, **options: object) -> object:
    return json.loads(output(*arguments, "--json", **options))


def refused(*arguments: object, code: int = 2, **options: object) -> str:
    """Runs a command that must fail: one line on stderr, nothing on stdout. Returns the line."""
    done = tercel(*arguments, **options)
    assert done.returncode == code, (done.returncode, done.stderr.decode())
    assert done.stdout == b""
    message = done.stderr.decode()
    assert message.startswith("tercel: ") and message.count("\n") == 1 and message.endswith("\n"), message
    return message


# Help and version


def test_version() -> None:
    assert output("--version").startswith("tercel 0.")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_two_examples(command: str) -> None:
    text = output(command, "--help")
    assert text.count(f"tercel {command}") >= 2
    assert f"  {command} " in output("--help")


def test_every_example_in_the_help_names_options_that_exist() -> None:
    for command in COMMANDS:
        options, examples = output(command, "--help").split("Examples:")
        for word in examples.split():
            if word.startswith("--"):
                assert word.rstrip(",;:") in options, f"{command}: {word}"


@pytest.mark.parametrize(
    "arguments", [[], ["unknown"], ["ask", "--unknown"], ["ask"], ["ask", "--document"], ["show", "a", "b"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    assert "--help" in refused(*arguments)


# ask


def test_ask() -> None:
    text = output("ask", "--document", DOCUMENT, "How many countries share the forest?")
    assert "\n  Nine  (probability" in text and "»Nine« countries share the forest." in text and " ms)" in text


def test_ask_finds_its_model_beside_the_command(tmp_path: Path) -> None:
    text = output("ask", "--document", DOCUMENT, "--quiet", "How many countries share the forest?", cwd=tmp_path)
    assert text == "Nine\n"


def test_ask_json() -> None:
    questions = ["How many countries share the forest?", "Who told of large towns?"]
    text = DOCUMENT.read_text("utf-8")
    out = output_json("ask", "--document", DOCUMENT, "--top-k", 3, *questions)
    assert [result["question"] for result in out["results"]] == questions
    for result in out["results"]:
        assert len(result["answers"]) == 3 and result["milliseconds"] > 0
        scores = [answer["score"] for answer in result["answers"]]
        assert scores == sorted(scores, reverse=True)
        for answer in result["answers"]:
            assert text.encode()[answer["begin"] : answer["end"]].decode() == answer["text"]
            assert text[answer["begin_char"] : answer["end_char"]] == answer["text"]
            assert 0 < answer["probability"] <= 1
            assert " ".join(answer["text"].split()) in answer["sentence"]
    assert "Orellana" in out["results"][1]["answers"][0]["text"]


def test_ask_reads_standard_input_and_counts_characters() -> None:
    text = "Früher, im März, lebte in Köln die Ärztin Änne Müller. She was born in 1871 in Düren."
    out = output_json("ask", "--document", "-", "When was she born?", stdin=text.encode())
    answer = out["results"][0]["answers"][0]
    assert answer["text"] == "1871" and text[answer["begin_char"] : answer["end_char"]] == "1871"


@pytest.mark.parametrize("option", [["--dtype", "bf16"], ["--dtype", "f16"], ["--threads", 1], ["--no-optimize"],
                                    ["--cpu-isa", "generic"], ["--memory-limit", "2G"]])  # fmt: skip
def test_session_options_keep_the_answer(option: list) -> None:
    assert output("ask", "--document", DOCUMENT, "--quiet", *option, "How many countries share it?") == "Nine\n"


def test_explain_goes_to_standard_error() -> None:
    done = tercel("ask", "--document", DOCUMENT, "--explain", "--quiet", "How many countries share the forest?")
    assert done.returncode == 0 and done.stdout == b"Nine\n" and b"MatMul" in done.stderr


def test_ask_refuses_bad_documents(tmp_path: Path) -> None:
    question = "Who wrote it?"
    cases = {
        "missing.txt": None,
        "empty.txt": b"",
        "blank.txt": b" \n\t\n",
        "zeros.bin": b"text\0text",
        "noise.bin": np.random.default_rng(1).integers(1, 256, 10000, dtype=np.uint8).tobytes(),
        "utf16.txt": "plain text".encode("utf-16"),
        "huge.txt": b"many words " * (10 << 20),
    }
    hints = {"missing.txt": "No such file", "empty.txt": "empty", "blank.txt": "empty", "zeros.bin": "binary",
             "noise.bin": "binary", "utf16.txt": "binary", "huge.txt": "split"}  # fmt: skip
    for name, content in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        message = refused("ask", "--document", path, question)
        assert hints[name] in message and name in message
    assert "directory" in refused("ask", "--document", tmp_path, question)
    assert "split" in refused("ask", "--document", "-", question, stdin=cases["huge.txt"])


def test_ask_refuses_bad_questions_and_options() -> None:
    document = ["ask", "--document", DOCUMENT]
    assert "question is empty" in refused(*document, " ")
    assert "question is too long" in refused(*document, "why " * 400)
    assert "no question" in refused(*document)
    assert "top_k" in refused(*document, "--top-k", 30, "Who?")
    assert "--top-k" in refused(*document, "--top-k", 0, "Who?")
    assert "512M" in refused(*document, "--memory-limit", "much", "Who?")
    assert "bf16" in refused(*document, "--dtype", "float3", "Who?")
    assert "i64" in refused(*document, "--dtype", "i64", "Who?")
    refused(*document, "--cpu-isa", "sse9", "Who?")
    refused(*document, "--devices", "abacus", "Who?")
    refused(*document, "--memory-limit", "1M", "Who?", code=1)


def test_ask_refuses_bad_models(tmp_path: Path) -> None:
    question = ["ask", "--document", DOCUMENT, "Who?", "--model"]
    assert "nowhere" in refused(*question, "nowhere")
    assert "tercel classify" in refused(*question, CHECKPOINTS / "bert_classify")
    assert "tokenizer.json" in refused(*question, CHECKPOINTS / "distilbert_qa")
    (tmp_path / "garbage.onnx").write_bytes(b"\x00garbage" * 100)
    (tmp_path / "tokenizer.json").write_bytes((MODEL / "tokenizer.json").read_bytes())
    refused(*question, tmp_path / "garbage.onnx")
    refused(*question, tmp_path)


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, *arguments: object) -> None:
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.environ["TERM"] = "xterm"
            os.execv(TERCEL, [str(TERCEL), *map(str, arguments)])
        self.text = ""

    def expect(self, text: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < end, self.text
            if select.select([self.fd], [], [], 0.2)[0]:
                try:
                    self.text += os.read(self.fd, 4096).decode(errors="replace")
                except OSError:
                    break
        assert text in self.text, self.text

    def type(self, text: str) -> None:
        os.write(self.fd, text.encode())

    def status(self) -> int:
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return code


def test_prompt() -> None:
    terminal = Terminal("ask", "--document", DOCUMENT, "--model", MODEL)
    terminal.expect("? ")
    terminal.type("How many countries share the forest?\n")
    terminal.expect("\x1b[1;32mNine\x1b[0m countries")
    terminal.type("why " * 300 + "\n")
    terminal.expect("question is too long")
    terminal.type("quit\n")
    assert terminal.status() == 0


def test_prompt_ends_with_the_input_and_with_interruption() -> None:
    for key, code in [("\x04", 0), ("\x03", 130)]:
        terminal = Terminal("ask", "--document", DOCUMENT, "--model", MODEL)
        terminal.expect("\r\n? ")
        terminal.type(key)
        assert terminal.status() == code


def test_interruption_ends_a_run() -> None:
    process = subprocess.Popen(
        [TERCEL, "run", MODEL, *random_inputs(1, 128), "--repeat", "100000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=REPO,
    )  # fmt: skip
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130 and out == b"" and err.startswith(b"tercel: ")


def test_closed_pipe_is_quiet() -> None:
    process = subprocess.Popen([TERCEL, "show", MODEL, "--text"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == -signal.SIGPIPE


def test_full_disk_is_reported() -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run([TERCEL, "show", "--operators"], stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1 and done.stderr.startswith(b"tercel: standard output")


# classify and embed


def test_classify(tmp_path: Path) -> None:
    model = ["--model", CHECKPOINTS / "bert_classify"]
    out = output_json("classify", *model, "one text", "another")
    assert [entry["text"] for entry in out] == ["one text", "another"]
    for entry in out:
        assert {label["label"] for label in entry["labels"]} == {"negative", "neutral", "positive"}
        assert sum(label["score"] for label in entry["labels"]) == pytest.approx(1, abs=1e-5)
    best = out[0]["labels"][0]
    (tmp_path / "lines.txt").write_text("one text\nanother\n")
    lines = output("classify", *model, "--input", tmp_path / "lines.txt").splitlines()
    assert lines[0] == f"{best['label']}\t{best['score']:.4f}\tone text" and len(lines) == 2


def test_classify_tokens_of_a_long_text(tmp_path: Path) -> None:
    """The model says, for each id, a row of a table: labels are known whatever the windows."""
    import onnx
    from onnx import helper, numpy_helper
    from tokenizers import Tokenizer

    names = ["O", "PLACE", "PERSON"]
    config = {"max_position_embeddings": 40, "id2label": {str(i): name for i, name in enumerate(names)}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer.json").write_bytes((MODEL / "tokenizer.json").read_bytes())
    tokenizer = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.no_truncation()
    table = np.random.default_rng(11).normal(size=(tokenizer.get_vocab_size(), 3)).astype(np.float32)
    inputs = [
        helper.make_tensor_value_info(name, onnx.TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask")
    ]
    logits = helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch", "sequence", 3])
    node = helper.make_node("Gather", ["table", "input_ids"], ["logits"])
    graph = helper.make_graph([node], "g", inputs, [logits], [numpy_helper.from_array(table, "table")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "model.onnx")

    text = "The quick brown fox jumps over the lazy dog; unbelievable! " * 12
    expected = tokenizer.encode(text, add_special_tokens=False)
    (entry,) = output_json("classify", "--tokens", "--model", tmp_path / "model.onnx", text)
    assert [(token["begin"], token["end"]) for token in entry["tokens"]] == expected.offsets
    assert [token["label"] for token in entry["tokens"]] == [names[table[i].argmax()] for i in expected.ids]
    rows = np.exp(table[expected.ids])
    np.testing.assert_allclose([token["score"] for token in entry["tokens"]], rows.max(1) / rows.sum(1), rtol=1e-5)
    line = output("classify", "--tokens", "--model", tmp_path / "model.onnx", "The fox").splitlines()[0]
    assert line.split("\t")[:2] == ["The", entry["tokens"][0]["label"]]


def test_classify_refuses() -> None:
    model = ["classify", "--model", CHECKPOINTS / "bert_classify"]
    assert "--input" in refused(*model)
    assert "empty" in refused(*model, "")
    assert "--input" in refused(*model, "text", "--input", "lines.txt")
    assert "tercel ask" in refused("classify", "--model", MODEL, "text")
    assert "tercel classify" in refused(*model, "--tokens", "text")


@pytest.mark.parametrize("name", ["sentence_mean", "sentence_cls"])
def test_embed_as_sentence_transformers(name: str, tmp_path: Path) -> None:
    from safetensors_numpy import load_safetensors

    directory = CHECKPOINTS / name
    texts = json.loads((directory / "expected_texts.json").read_text("utf-8"))
    texts = texts if isinstance(texts, list) else texts["texts"]
    expected = load_safetensors(directory / "expected.safetensors")["texts.sentence_embedding"]
    shown = [text for text in texts if "\n" not in text]
    rows = [row for text, row in zip(texts, expected) if "\n" not in text]
    lines = "".join(text + "\n" for text in shown).encode()
    output("embed", "--model", directory, "--input", "-", "--output", tmp_path / "out.npy", stdin=lines)
    vectors = np.load(tmp_path / "out.npy")
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, rows, atol=1e-5)
    (entry,) = output_json("embed", "--model", directory, shown[0] or "x")
    assert len(entry["embedding"]) == vectors.shape[1]
    numbers = [float(number) for number in output("embed", "--model", directory, shown[0] or "x").split()]
    np.testing.assert_allclose(numbers, entry["embedding"], atol=1e-6)


def test_embed_refuses_the_wrong_model(tmp_path: Path) -> None:
    message = refused("embed", "--model", MODEL, "text", "--output", tmp_path / "out.npy")
    assert "start_logits" in message and "tercel ask" in message
    assert not (tmp_path / "out.npy").exists()


# evaluate


def subset(count: int, path: Path) -> list[str]:
    """Every n-th question of the held-out data, as a file of its own. Returns their ids."""
    data = json.loads((SQUAD / "squad-heldout.json").read_text("utf-8"))
    ids = [qa["id"] for article in data["data"] for p in article["paragraphs"] for qa in p["qas"]]
    chosen = set(ids[:: len(ids) // count][:count])
    for article in data["data"]:
        for paragraph in article["paragraphs"]:
            paragraph["qas"] = [qa for qa in paragraph["qas"] if qa["id"] in chosen]
    path.write_text(json.dumps(data), "utf-8")
    return sorted(chosen)


def test_evaluation_gives_the_reference_answers(tmp_path: Path) -> None:
    ids = subset(40, tmp_path / "data.json")
    reference = json.loads((SQUAD / "predictions-f32.json").read_text("utf-8"))
    out = output_json(
        "evaluate", "question-answering", "--data", tmp_path / "data.json", "--output", tmp_path / "out.json"
    )
    got = json.loads((tmp_path / "out.json").read_text("utf-8"))
    assert got == {name: reference[name] for name in ids}
    assert out["questions"] == 40 and 0 < out["exact_match"] <= out["f1"] <= 100
    first = output_json("evaluate", "question-answering", "--data", tmp_path / "data.json", "--limit", 3)
    assert first["questions"] == 3


def test_evaluation_refuses(tmp_path: Path) -> None:
    command = ["evaluate", "question-answering", "--output", tmp_path / "out.json", "--data"]
    assert "nowhere.json" in refused(*command, "nowhere.json")
    (tmp_path / "data.json").write_text('{"data": [{"title": ""}]}')
    assert "paragraphs" in refused(*command, tmp_path / "data.json")
    (tmp_path / "data.json").write_text('{"data": []}')
    assert "no questions" in refused(*command, tmp_path / "data.json")
    assert "question-answering" in refused("evaluate", "chess", "--data", tmp_path / "data.json")
    assert not (tmp_path / "out.json").exists()


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


def test_show_refuses() -> None:
    refused("show")
    assert "nowhere" in refused("show", "nowhere.onnx")
    assert "--dim" in refused("show", MODEL, "--dim", "batch")
    refused("show", DOCUMENT)


# run, export, tokenize


def random_inputs(batch: int, length: int) -> list[str]:
    names = ["input_ids", "attention_mask", "token_type_ids"]
    return [word for name in names for word in ("--random", f"{name}={batch}x{length}")]


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
