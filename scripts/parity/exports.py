"""Small ONNX files as PyTorch's two exporters write them: inputs of the graph passes.

Each ``<name>.onnx`` has beside it ``<name>.expected.safetensors`` with random inputs and ONNX
Runtime's outputs. The weights are random and the models tiny (1 or 2 layers, hidden 16, 4 heads).
Stack traces and other notes that exporters attach to nodes are removed: they name paths of the
machine that exported.

The ``optimum_*`` files hold the graph that Optimum wrote with transformers 4 (TorchScript
exporter): scores divided by sqrt(head size) and a mask of (1 - attention_mask) * the lowest f32,
added to them.
"""

from __future__ import annotations

import logging
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
import transformers
from export_modules import Named, OldMask, SentenceEmbedding, divided_attention
from tiny import encoder_inputs, generator, randomise, save_cases
from transformers import BertConfig, DistilBertConfig
from transformers.modeling_utils import AttentionInterface

VOCAB = 40
INPUTS = ["input_ids", "attention_mask", "token_type_ids"]
QA = ["start_logits", "end_logits"]
LOGITS = ["logits"]
FAIRSEQ = {"type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
DEBERTA = {
    "type_vocab_size": 2,
    "relative_attention": True,
    "position_buckets": 8,
    "pos_att_type": ["p2c", "c2p"],
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
}
VIT = {"image_size": 12, "patch_size": 4}


@dataclass
class Export:
    """One file: which model, which exporter, which opset."""

    name: str
    model: str
    opset: int
    dynamo: bool = False
    attention: str = "eager"
    act: str = "gelu"
    outputs: list[str] = field(default_factory=lambda: QA)
    wrapper: type | None = None
    layers: int = 2
    config: dict | None = None

    @property
    def inputs(self) -> list[str]:
        if self.model.startswith("ViT"):
            return ["pixel_values"]
        plain = ("Distil", "Roberta", "MPNet", "ModernBert", "CLIP")
        return INPUTS[:2] if self.model.startswith(plain) else INPUTS


EXPORTS = [
    Export("bert_qa_ts14_eager", "BertForQuestionAnswering", 14),
    Export("bert_qa_ts14_sdpa", "BertForQuestionAnswering", 14, attention="sdpa"),
    Export("bert_qa_ts17_eager", "BertForQuestionAnswering", 17, layers=1),
    Export("bert_qa_ts17_sdpa", "BertForQuestionAnswering", 17, attention="sdpa", layers=1),
    Export("bert_qa_dynamo18_eager", "BertForQuestionAnswering", 18, dynamo=True),
    Export("bert_qa_dynamo18_sdpa", "BertForQuestionAnswering", 18, dynamo=True, attention="sdpa"),
    Export("bert_qa_dynamo20_eager", "BertForQuestionAnswering", 20, dynamo=True, layers=1),
    Export(
        "bert_qa_dynamo20_sdpa",
        "BertForQuestionAnswering",
        20,
        dynamo=True,
        attention="sdpa",
        layers=1,
    ),
    Export("bert_qa_dynamo23_sdpa", "BertForQuestionAnswering", 23, dynamo=True, attention="sdpa"),
    Export("distilbert_qa_ts14_eager", "DistilBertForQuestionAnswering", 14, layers=1),
    Export(
        "distilbert_qa_dynamo18_sdpa_tanh",
        "DistilBertForQuestionAnswering",
        18,
        dynamo=True,
        attention="sdpa",
        act="gelu_pytorch_tanh",
    ),
    Export(
        "bert_classify_ts14_newgelu",
        "BertForSequenceClassification",
        14,
        attention="sdpa",
        act="gelu_new",
        outputs=["logits"],
        layers=1,
    ),
    Export(
        "bert_classify_dynamo20_newgelu",
        "BertForSequenceClassification",
        20,
        dynamo=True,
        attention="sdpa",
        act="gelu_new",
        outputs=["logits"],
        layers=1,
    ),
    Export(
        "bert_tokens_ts17_tanh",
        "BertForTokenClassification",
        17,
        act="gelu_pytorch_tanh",
        outputs=["logits"],
        layers=1,
    ),
    Export(
        "minilm_embed_ts14",
        "BertModel",
        14,
        attention="sdpa",
        outputs=["last_hidden_state", "sentence_embedding"],
        wrapper=SentenceEmbedding,
        layers=1,
    ),
    Export("optimum_bert_qa_11", "BertForQuestionAnswering", 11, attention="divided", wrapper=OldMask),
    Export(
        "optimum_bert_qa_14",
        "BertForQuestionAnswering",
        14,
        attention="divided",
        wrapper=OldMask,
        layers=1,
    ),
    # One of each other family, by one exporter and the other.
    Export("roberta_classify_ts14", "RobertaForSequenceClassification", 14, outputs=LOGITS, layers=1, config=FAIRSEQ),
    Export("albert_qa_dynamo20", "AlbertForQuestionAnswering", 20, True, "sdpa", config={"embedding_size": 8}),
    Export(
        "electra_discriminator_ts17",
        "ElectraForPreTraining",
        17,
        outputs=LOGITS,
        layers=1,
        config={"embedding_size": 8},
    ),
    Export(
        "mpnet_base_dynamo18",
        "MPNetModel",
        18,
        True,
        outputs=["last_hidden_state", "pooler_output"],
        layers=1,
        config={"pad_token_id": 1},
    ),
    Export(
        "deberta_v3_classify_ts17", "DebertaV2ForSequenceClassification", 17, outputs=LOGITS, layers=1, config=DEBERTA
    ),
    Export(
        "modernbert_mlm_dynamo20",
        "ModernBertForMaskedLM",
        20,
        True,
        outputs=LOGITS,
        config={"pad_token_id": 0, "local_attention": 20},
    ),
    Export(
        "nomic_bert_base_ts17",
        "NomicBertModel",
        17,
        attention="sdpa",
        outputs=["last_hidden_state"],
        layers=1,
        config={},
    ),
    Export(
        "vit_classify_ts17", "ViTForImageClassification", 17, attention="sdpa", outputs=LOGITS, layers=1, config=VIT
    ),
    Export(
        "clip_text_dynamo18",
        "CLIPTextModelWithProjection",
        18,
        True,
        "sdpa",
        outputs=["text_embeds", "last_hidden_state"],
        config={"projection_dim": 12, "bos_token_id": 37, "eos_token_id": 38, "pad_token_id": 39},
    ),
]


def sizes_of(item: Export) -> dict:
    """The sizes of the models that have a configuration of their own."""
    sizes = {
        "hidden_size": 16,
        "num_hidden_layers": item.layers,
        "num_attention_heads": 4,
        "intermediate_size": 24,
        "num_labels": 2,
    }
    return sizes if item.model.startswith("ViT") else sizes | {"vocab_size": VOCAB, "max_position_embeddings": 26}


def arrays(item: Export, seed: str, lengths: list[int], width: int) -> dict[str, np.ndarray]:
    """One batch of inputs."""
    if item.inputs == ["pixel_values"]:
        shape = (len(lengths), 3, 12, 12)
        return {"pixel_values": generator(seed, str(shape)).standard_normal(shape).astype(np.float32)}
    out = encoder_inputs(seed, VOCAB, lengths, width, "token_type_ids" in item.inputs)
    if item.model.startswith("CLIP"):
        out["input_ids"][np.arange(len(lengths)), np.array(lengths) - 1] = VOCAB - 2
    return out


def build(item: Export) -> torch.nn.Module:
    """The model with random weights."""
    if item.config is not None:
        cls = getattr(transformers, item.model)
        config = cls.config_class(**sizes_of(item) | item.config)
    elif item.model.startswith("Distil"):
        config = DistilBertConfig(
            vocab_size=VOCAB,
            dim=16,
            n_layers=item.layers,
            n_heads=4,
            hidden_dim=32,
            max_position_embeddings=24,
            activation=item.act,
            num_labels=2,
        )
    else:
        config = BertConfig(
            vocab_size=VOCAB,
            hidden_size=16,
            num_hidden_layers=item.layers,
            num_attention_heads=4,
            intermediate_size=32,
            max_position_embeddings=24,
            hidden_act=item.act,
            num_labels=2 if item.outputs == QA else 3,
        )
    config._attn_implementation = item.attention
    if item.config is not None:
        return Named(randomise(cls(config), item.model), item.outputs).eval()
    config.return_dict = False
    kwargs = {"add_pooling_layer": False} if item.model == "BertModel" else {}
    model = randomise(getattr(transformers, item.model)(config, **kwargs), item.model)
    return item.wrapper(model).eval() if item.wrapper else model


def export(item: Export, path: Path) -> None:
    """Exports with dynamic batch and sequence axes."""
    example = arrays(item, "example", [7, 5], 7)
    arguments = tuple(torch.from_numpy(example[name]) for name in item.inputs)
    names = {"input_names": item.inputs, "output_names": item.outputs}
    if item.dynamo:
        batch, sequence = torch.export.Dim("batch"), torch.export.Dim("sequence")
        torch.onnx.export(
            build(item),
            arguments,
            path,
            dynamic_shapes=tuple({0: batch, 1: sequence} for _ in item.inputs),
            opset_version=item.opset,
            dynamo=True,
            external_data=False,
            verbose=False,
            **names,
        )
    else:
        axes = {name: {0: "batch", 1: "sequence"} for name in item.inputs + item.outputs}
        if item.model not in ("BertForTokenClassification", "ElectraForPreTraining"):
            fixed = ("sentence_embedding", "logits", "pixel_values")
            axes |= {n: {0: "batch"} for n in axes if n in fixed}
        torch.onnx.export(
            build(item),
            arguments,
            path,
            dynamic_axes=axes,
            opset_version=item.opset,
            dynamo=False,
            **names,
        )


def remove_notes(path: Path) -> None:
    """Removes what exporters note about their own machine and source."""
    model = onnx.load(path)
    for element in [*model.graph.node, *model.graph.value_info, model.graph]:
        element.ClearField("doc_string")
        element.ClearField("metadata_props")
    for element in [*model.graph.input, *model.graph.output, *model.graph.initializer]:
        element.ClearField("metadata_props")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def shorten_names(path: Path) -> None:
    """Numbers the nodes and their results: the names of modules are most of a small file."""
    model = onnx.load(path)
    kept = {value.name for value in [*model.graph.input, *model.graph.output]}
    short: dict[str, str] = {}
    for node in model.graph.node:
        node.name = ""
        for name in node.output:
            short[name] = name if name in kept or not name else f"v{len(short)}"
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [short.get(name, name) for name in names]
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


def input_names(path: Path) -> list[str]:
    """The graph inputs that are not initializers."""
    graph = onnx.load(path, load_external_data=False).graph
    stored = {tensor.name for tensor in graph.initializer}
    return [value.name for value in graph.input if value.name not in stored]


def run(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """ONNX Runtime's outputs, without its own graph optimisations."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs)))


def make(folder: Path) -> None:
    """Writes every exported file and its expected outputs into the folder."""
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    AttentionInterface.register("divided", divided_attention)
    for item in EXPORTS:
        path = folder / f"{item.name}.onnx"
        export(item, path)
        remove_notes(path)
        if item.config is not None:
            shorten_names(path)
        cases = []
        for lengths, width in (([11, 7, 1], 11), ([5, 4], 5), ([24], 24)):
            inputs = arrays(item, item.name, lengths, width)
            outputs = run(path, inputs)
            compare_with_torch(item, inputs, outputs)
            cases.append(inputs | outputs)
        save_cases(folder / f"{item.name}.expected.safetensors", cases)


def compare_with_torch(item: Export, inputs: dict, outputs: dict) -> None:
    """An export that is not the model it came from is no fixture."""
    with torch.inference_mode():
        result = build(item)(*(torch.from_numpy(inputs[name]) for name in item.inputs))
    for name, tensor in zip(item.outputs, result):
        worst = np.abs(outputs[name] - tensor.numpy()).max()
        if not worst < 1e-4:
            raise SystemExit(f"{item.name}: {name} differs from PyTorch by {worst}")
