"""`tercel predict`: the results of every task, and bad records."""

import csv
import json
import os
import subprocess
from pathlib import Path

import numpy as np
from predicting import EMBED, WORDS, lines, predict, texts, write_lines

from cli import CHECKPOINTS, MODEL, SQUAD, TERCEL, output, output_json, refused, tercel


def test_embedding_is_that_of_embed(tmp_path: Path) -> None:
    given = texts(700)
    source = write_lines(tmp_path / "in.jsonl.gz", [{"id": f"r{i}", "text": t} for i, t in enumerate(given)])
    summary = predict(EMBED, "embedding", source, tmp_path / "out.npy")
    assert summary["records"] == 700 and summary["rejected"] == 0 and summary["tokens"] > 700
    (tmp_path / "lines.txt").write_text("".join(text + "\n" for text in given))
    output("embed", "--model", EMBED, "--input", tmp_path / "lines.txt", "--output", tmp_path / "expected.npy")
    expected = np.load(tmp_path / "expected.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), expected)
    # The same numbers as text, from two files, on replicas.
    for i, name in enumerate(["p-0.txt", "p-1.txt"]):
        (tmp_path / name).write_text("".join(text + "\n" for text in given[i * 350 : i * 350 + 350]))
    predict(EMBED, "embedding", tmp_path / "p-*.txt", tmp_path / "out.jsonl", "--devices", "cpu,cpu,cpu")
    rows = lines(tmp_path / "out.jsonl")
    assert [row["index"] for row in rows] == list(range(700))
    np.testing.assert_array_equal(np.array([row["embedding"] for row in rows], np.float32), expected)
    predict(EMBED, "embedding", source, tmp_path / "out.csv", "--workers", 3, "--max-tokens", 77)
    with open(tmp_path / "out.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["id"] for row in table] == [f"r{i}" for i in range(700)]
    numbers = np.array([row["embedding"].split() for row in table], np.float32)
    np.testing.assert_array_equal(numbers, expected)
    assert sorted(path.name for path in tmp_path.glob("out.*")) == ["out.csv", "out.jsonl", "out.npy"]


def test_classification(tmp_path: Path) -> None:
    model = CHECKPOINTS / "bert_classify"
    given = texts(20)
    with open(tmp_path / "in.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["review", "second", "stars"])
        writer.writerows([text, 'say "so", twice\nor thrice', i] for i, text in enumerate(given))
    options = ["--text-field", "review", "--keep", "stars", "--top-k", 0]
    predict(model, "text-classification", tmp_path / "in.csv", tmp_path / "out.jsonl", *options)
    expected = output_json("classify", "--model", model, *given)
    rows = lines(tmp_path / "out.jsonl")
    assert [row["stars"] for row in rows] == [str(i) for i in range(20)]
    for row, entry in zip(rows, expected):
        assert [label["label"] for label in row["labels"]] == [label["label"] for label in entry["labels"]]
        np.testing.assert_allclose(
            [label["score"] for label in row["labels"]], [label["score"] for label in entry["labels"]], rtol=1e-6
        )
    pair = ["--text-field", "review", "--pair-field", "second"]
    predict(model, "text-classification", tmp_path / "in.csv", tmp_path / "out.tsv", *pair)
    with open(tmp_path / "out.tsv", newline="") as file:
        table = list(csv.DictReader(file, delimiter="\t"))
    assert len(table) == 20 and set(table[0]) == {"index", "id", "label", "score"}
    predict(model, "text-classification", tmp_path / "in.csv", tmp_path / "out.npy", *options)
    np.testing.assert_allclose(np.load(tmp_path / "out.npy").sum(1), 1, atol=1e-5)


def tagger(folder: Path) -> Path:
    """A model that says, for each id, a row of a table."""
    import onnx
    from onnx import helper, numpy_helper

    (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 40}))
    (folder / "tokenizer.json").write_bytes((MODEL / "tokenizer.json").read_bytes())
    table = np.random.default_rng(11).normal(size=(30522, 3)).astype(np.float32)
    info = helper.make_tensor_value_info
    names = ("input_ids", "attention_mask")
    inputs = [info(name, onnx.TensorProto.INT64, ["batch", "sequence"]) for name in names]
    logits = info("logits", onnx.TensorProto.FLOAT, ["batch", "sequence", 3])
    node = helper.make_node("Gather", ["table", "input_ids"], ["logits"])
    graph = helper.make_graph([node], "g", inputs, [logits], [numpy_helper.from_array(table, "table")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), folder / "m.onnx")
    return folder / "m.onnx"


def test_token_classification(tmp_path: Path) -> None:
    model = tagger(tmp_path)
    given = [text for text in texts(12) if text] + [" ".join(WORDS * 30)]
    source = write_lines(tmp_path / "in.jsonl", [{"text": text} for text in given])
    predict(model, "token-classification", source, tmp_path / "out.jsonl")
    expected = output_json("classify", "--tokens", "--model", model, *given)
    for row, entry in zip(lines(tmp_path / "out.jsonl"), expected, strict=True):
        keys = ["text", "label", "begin", "end"]
        assert [[t[k] for k in keys] for t in row["tokens"]] == [[t[k] for k in keys] for t in entry["tokens"]]
    predict(model, "token-classification", source, tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="") as file:
        assert sum(1 for _ in csv.DictReader(file)) == sum(len(entry["tokens"]) for entry in expected)
    assert ".jsonl" in refused("predict", model, "--task", "token-classification", "--input", source,
                               "--output", tmp_path / "out.npy")  # fmt: skip


def test_question_answering_of_squad(tmp_path: Path) -> None:
    data = json.loads((SQUAD / "squad-heldout.json").read_text("utf-8"))
    data["data"] = data["data"][:1]
    data["data"][0]["paragraphs"] = data["data"][0]["paragraphs"][:3]
    (tmp_path / "in.json").write_text(json.dumps(data))
    reference = json.loads((SQUAD / "predictions-f32.json").read_text("utf-8"))
    predict(MODEL, "question-answering", tmp_path / "in.json", tmp_path / "out.jsonl", "--top-k", 2)
    rows = lines(tmp_path / "out.jsonl")
    assert len(rows) == sum(len(p["qas"]) for p in data["data"][0]["paragraphs"])
    for row in rows:
        assert row["answers"][0]["text"] == reference[row["id"]] and len(row["answers"]) == 2


def test_tensors(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    info = helper.make_tensor_value_info
    nodes = [helper.make_node("Mul", ["x", "x"], ["y"]), helper.make_node("Add", ["y", "x"], ["z"])]
    graph = helper.make_graph(
        nodes,
        "g",
        [info("x", onnx.TensorProto.FLOAT, ["n", "k"])],
        [info("y", onnx.TensorProto.FLOAT, ["n", "k"]), info("z", onnx.TensorProto.FLOAT, ["n", "k"])],
    )
    model = tmp_path / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), model)
    rows = np.random.default_rng(1).normal(size=(1000, 5)).astype(np.float32)
    np.save(tmp_path / "in.npy", rows)
    predict(model, "tensors", tmp_path / "in.npy", tmp_path / "out.npy", "--tensor", "z")
    np.testing.assert_array_equal(np.load(tmp_path / "out.npy"), rows * rows + rows)
    message = refused("predict", model, "--task", "tensors", "--input", tmp_path / "in.npy",
                      "--output", tmp_path / "two.npy")  # fmt: skip
    assert "2 outputs" in message and not (tmp_path / "two.npy.journal").exists()
    # Rows of different lengths, integers among them, and one that does not fit.
    source = write_lines(tmp_path / "in.jsonl", [{"x": [1, 2]}, {"x": [0.5]}, {"x": "no"}, {"x": [3, 4]}])
    summary = predict(model, "tensors", source, tmp_path / "out.jsonl", "--rejects", tmp_path / "bad.jsonl")
    assert summary["rejected"] == 1
    assert [row["y"] for row in lines(tmp_path / "out.jsonl")] == [[1, 4], [0.25], [9, 16]]
    assert "no array" in lines(tmp_path / "bad.jsonl")[0]["reason"]


def test_a_model_that_was_exported_in_training_mode(tmp_path: Path) -> None:
    import onnx
    from onnx import helper, numpy_helper

    info = helper.make_tensor_value_info
    values = {"scale": [2, 3], "bias": [1, -1], "mean": [0.5, 1], "var": [4, 9], "ratio": 0.5}
    constants = [numpy_helper.from_array(np.array(value, np.float32), name) for name, value in values.items()]
    constants.append(numpy_helper.from_array(np.array(True), "train"))
    names = ["x", "scale", "bias", "mean", "var"]
    nodes = [
        helper.make_node("BatchNormalization", names, ["b", "m", "v"], training_mode=1),
        helper.make_node("Dropout", ["b", "ratio", "train"], ["y"]),
    ]
    given, result = (info(name, onnx.TensorProto.FLOAT, ["n", 2]) for name in "xy")
    graph = helper.make_graph(nodes, "g", [given], [result], constants)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8), tmp_path / "m.onnx")
    rows = np.random.default_rng(0).normal(size=(500, 2)).astype(np.float32)
    np.save(tmp_path / "in.npy", rows)
    command = ["predict", tmp_path / "m.onnx", "--task", "tensors", "--input", tmp_path / "in.npy", "--output"]
    done = tercel(*command, tmp_path / "out.npy", "--batch-size", 7, "--quiet")
    assert done.returncode == 0 and "training mode: 2 of its operators" in done.stderr.decode()
    expected = (rows - values["mean"]) / np.sqrt(np.add(values["var"], 1e-5)) * values["scale"] + values["bias"]
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), expected, atol=1e-5)


def test_integers_that_the_model_cannot_take_are_bad(tmp_path: Path) -> None:
    import onnx
    from onnx import helper

    info = helper.make_tensor_value_info
    values = [info(name, onnx.TensorProto.INT8, ["n", "k"]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), tmp_path / "m.onnx")
    source = write_lines(tmp_path / "in.jsonl", [{"x": [1, -127]}, {"x": [1, 300]}, {"x": [1, 0.5]}])
    predict(tmp_path / "m.onnx", "tensors", source, tmp_path / "o.jsonl", "--rejects", tmp_path / "bad.jsonl")
    assert [row["y"] for row in lines(tmp_path / "o.jsonl")] == [[-1, 127]]
    assert "300, which is no i8" in lines(tmp_path / "bad.jsonl")[0]["reason"]


def test_what_is_kept_is_kept_whole(tmp_path: Path) -> None:
    record = {"id": 18446744073709551615, "v": [0.123456789012345, 16777217, -0.5], "n": {"a": [None]}, "text": "x"}
    source = write_lines(tmp_path / "in.jsonl", [record])
    predict(EMBED, "embedding", source, tmp_path / "o.jsonl", "--keep", "v", "--keep", "n")
    row = lines(tmp_path / "o.jsonl")[0]
    assert {name: row[name] for name in ("id", "v", "n")} == {name: record[name] for name in ("id", "v", "n")}


def test_bad_records_do_not_stop_the_run(tmp_path: Path) -> None:
    good = json.dumps({"text": "a good one"}).encode()
    bad = [b'{"text": ', b'{"other": 1}', b'{"text": 5}', b'{"text": "\xff"}', b'{"text": "' + b"x" * 3000 + b'"}']
    (tmp_path / "in.jsonl").write_bytes(b"\n".join([good, bad[0], bad[1], good, *bad[2:], good]))
    options = ["--rejects", tmp_path / "bad.jsonl", "--max-record", "2K"]
    summary = predict(EMBED, "embedding", tmp_path / "in.jsonl", tmp_path / "out.jsonl", *options)
    assert summary["records"] == 8 and summary["rejected"] == 5
    assert [row["index"] for row in lines(tmp_path / "out.jsonl")] == [0, 3, 7]
    rejects = lines(tmp_path / "bad.jsonl")
    assert [(reject["index"], reject["line"]) for reject in rejects] == [(1, 2), (2, 3), (4, 5), (5, 6), (6, 7)]
    for reject, word in zip(rejects, ["broken JSON", '"text"', "no text", "UTF-8", "2048 bytes"]):
        assert word in reject["reason"] and reject["file"].endswith("in.jsonl")
    assert rejects[1]["raw"] == bad[1].decode()
    message = refused("predict", EMBED, "--task", "embedding", "--input", tmp_path / "in.jsonl",
                      "--output", tmp_path / "strict.jsonl", "--strict")  # fmt: skip
    assert "in.jsonl:2: broken JSON" in message and "--resume" in message


def test_standard_input_to_standard_output(tmp_path: Path) -> None:
    data = "".join(json.dumps({"text": text}) + "\n" for text in texts(5)).encode()
    out = output("predict", EMBED, "--task", "embedding", "--input", "-", "--output", "-", stdin=data)
    assert [json.loads(line)["index"] for line in out.splitlines()] == list(range(5))
    empty = tercel("predict", EMBED, "--task", "embedding", "--input", "-", "--output", tmp_path / "e.npy")
    assert empty.returncode == 0 and len(np.load(tmp_path / "e.npy")) == 0


def test_refusals(tmp_path: Path) -> None:
    source = write_lines(tmp_path / "in.jsonl", [{"text": "x"}])
    command = ["predict", EMBED, "--task", "embedding", "--input", source, "--output"]
    assert "standard output" in refused(*command, "-", "--resume")
    assert ".jsonl" in refused(*command, tmp_path / "out.bin")
    assert "no task" in refused("predict", EMBED, "--task", "chess", "--input", source, "--output", "-")
    assert "tercel ask" in refused("predict", MODEL, "--task", "embedding", "--input", source, "--output", "-")
    assert "missing.jsonl" in refused("predict", EMBED, "--task", "embedding", "--input", "missing.jsonl",
                                      "--output", "-")  # fmt: skip
    for name in ("id", "index"):
        assert f'a field "{name}" already' in refused(*command, "-", "--keep", name)
    assert 'a field "index" already' in refused(*command, "-", "--id-field", "index")
    assert "loader_memory = 0" in refused(*command, tmp_path / "zero.npy", "--loader-memory", "0")
    assert "max_record_bytes = 0" in refused(*command, "-", "--max-record", "0")
    assert not (tmp_path / "zero.npy.journal").exists()
    output(*command, tmp_path / "out.jsonl")
    assert "--overwrite" in refused(*command, tmp_path / "out.jsonl")
    output(*command, tmp_path / "out.jsonl", "--overwrite")
    assert "complete already" in tercel(*command, tmp_path / "out.jsonl", "--resume").stderr.decode()


def test_progress_says_what_is_computed_not_what_is_read(tmp_path: Path) -> None:
    import pty

    given = [{"question": "Who jumps?", "context": " ".join(WORDS * 16)} for _ in range(60)]
    source = write_lines(tmp_path / "in.jsonl", given)
    command = ["predict", MODEL, "--task", "question-answering", "--input", source, "--output", tmp_path / "o.jsonl"]
    terminal, end = pty.openpty()
    process = subprocess.Popen([TERCEL, *map(str, command), "--threads", "1"], stderr=end, stdout=subprocess.DEVNULL)
    os.close(end)
    shown = b""
    try:
        while chunk := os.read(terminal, 4096):
            shown += chunk
    except OSError:  # the end of a terminal
        pass
    os.close(terminal)
    assert process.wait() == 0
    bars = [line for line in shown.decode().split("\r") if line.startswith("[")]
    percents = [int(bar.split("]")[1].split("%")[0]) for bar in bars]
    assert percents == sorted(percents) and percents[0] < 70 and percents[-1] == 100
    for part in ("records, ", "/s, ", " tokens/s, ", "waiting ", " left"):
        assert part in bars[0]
