"""`tercel ask`, its prompt, help, signals and closed pipes."""

import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from cli import (
    CHECKPOINTS,
    COMMANDS,
    DOCUMENT,
    MODEL,
    REPO,
    TERCEL,
    output,
    output_json,
    random_inputs,
    refused,
    tercel,
)

# Help and version


def test_version() -> None:
    assert output("--version").startswith("tercel 0.")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_each_command_has_two_examples(command: str) -> None:
    text = output(command, "--help")
    assert text.count(f"tercel {command}") >= 2
    assert f"  {command} " in output("--help")


def test_every_example_in_the_help_names_options_that_exist() -> None:
    helps = {command: output(command, "--help").split("Examples:") for command in COMMANDS}
    for _, examples in helps.values():
        for line in examples.replace("\\\n", " ").splitlines():
            # `tercel COMMAND …`, after a pipe or in a sentence's quotes too.
            for command, arguments in re.findall(r"tercel ([a-z]+)([^`|]*)", line):
                for option in re.findall(r"(?<!\S)--[a-z-]+", arguments):
                    assert option in helps[command][0], f"{command}: {option}"


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
                                    ["--cpu-isa", "generic"], ["--memory-limit", "2G"], ["--throughput"],
                                    ["--pin"]])  # fmt: skip
def test_session_options_keep_the_answer(option: list) -> None:
    sentence = b"Nine countries share the forest."
    assert output("ask", "--document", "-", "--quiet", *option, "How many countries?", stdin=sentence) == "Nine\n"


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
