"""`tercel classify`, `embed` and `evaluate`: text in, labels, vectors and scores out."""

import json
from pathlib import Path

import numpy as np
import pytest
import tercel

from cli import CHECKPOINTS, MODEL, SQUAD, output, output_json, refused

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
    pairs = output_json("classify", *model, "--pair", "a question", "one text", "another")
    assert [entry["text"] for entry in pairs] == ["one text", "another"]
    assert pairs[0]["labels"] != out[0]["labels"]


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
    np.testing.assert_array_equal(tercel.Embedding(directory, threads=2).embed(shown), vectors)
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
