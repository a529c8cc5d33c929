"""Small checkpoints of the other architectures, with the outputs of transformers on them.

They are saved as the hub has them: by save_pretrained, whose names are those of the files there, in
one of the forms of weights (safetensors or PyTorch's, whole or in shards). Where the hub's files
are older than transformers' own code (NomicBERT, ModernBERT), `foreign` writes those names.
"""

from __future__ import annotations

import json
import tempfile
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import transformers
from safetensors.torch import load_file, save_file
from tiny import encoder_inputs, generator, randomise

LENGTHS = (([9, 6, 1], 9), ([20], 20), ([5, 4, 3, 2, 1], 5))
"""Lengths of the rows, and the width they are padded to, of the cases a, b and c."""
SMALL = {
    "vocab_size": 31,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 22,
}
"""Sizes of the encoders; fewer positions than that do not take case b."""
MIXED = "mixed"
"""A data type by tensor: f32, f16 or bf16."""


@dataclass
class Family:
    """One directory."""

    name: str
    model: str
    config: dict = field(default_factory=dict)
    dtype: torch.dtype | str = torch.float32
    weights: str = "safetensors"
    labels: tuple[str, ...] = ()
    problem: str | None = None
    pad: int = 0
    foreign: Callable | None = None
    pooling: str = ""
    normalise: bool = False

    hidden = SMALL["hidden_size"]


DEBERTA_V3 = {
    "type_vocab_size": 0,
    "relative_attention": True,
    "max_relative_positions": -1,
    "position_buckets": 8,
    "pos_att_type": "p2c|c2p",
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
    "position_biased_input": False,
    "layer_norm_eps": 1e-7,
}
DEBERTA_V2 = DEBERTA_V3 | {"conv_kernel_size": 3, "conv_act": "gelu", "pos_att_type": ["p2c", "c2p"]}
DEBERTA_PLAIN = {
    "type_vocab_size": 2,
    "relative_attention": True,
    "max_relative_positions": 9,
    "position_buckets": -1,
    "pos_att_type": ["c2p", "p2c"],
    "share_att_key": False,
    "norm_rel_ebd": "none",
}
FAIRSEQ = {"type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2, "layer_norm_eps": 1e-5}
MODERN = {"pad_token_id": 0, "local_attention": 6, "num_hidden_layers": 4, "intermediate_size": 16}
VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "image_size": 12,
    "patch_size": 4,
}
CLIP = {
    "vocab_size": 37,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "max_position_embeddings": 20,
    "projection_dim": 12,
    "bos_token_id": 34,
    "eos_token_id": 35,
    "pad_token_id": 36,
}


def nomic_of_the_hub(config: dict, tensors: dict) -> tuple[dict, dict]:
    """The names of NomicBERT's first code."""
    keys = {
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "n_inner",
        "max_position_embeddings": "n_positions",
        "layer_norm_eps": "layer_norm_epsilon",
    }
    out = {keys.get(key, key): value for key, value in config.items()}
    for key in ("rope_parameters", "hidden_act", "head_dim", "default_theta"):
        out.pop(key, None)
    out |= {"rotary_emb_base": 1000, "rotary_emb_fraction": 1.0, "activation_function": "swiglu"}
    out |= {"qkv_proj_bias": False, "mlp_fc1_bias": False, "rotary_scaling_factor": None}
    return out, tensors


def modernbert_of_the_hub(config: dict, tensors: dict) -> tuple[dict, dict]:
    """The keys of ModernBERT's first files."""
    out = {key: value for key, value in config.items() if key not in ("layer_types", "rope_parameters")}
    out |= {"global_attn_every_n_layers": 3, "global_rope_theta": 160000.0, "local_rope_theta": 10000.0}
    return out, tensors


def old_norms(config: dict, tensors: dict) -> tuple[dict, dict]:
    """gamma and beta, as converted checkpoints had them."""

    def old(name: str) -> str:
        return name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")

    return config, {old(name): tensor for name, tensor in tensors.items()}


HALF, BRAIN = torch.float16, torch.bfloat16
FAMILIES = [
    Family("bert_regression", "BertForSequenceClassification", dtype=MIXED, labels=("score",), problem="regression"),
    Family(
        "bert_multilabel",
        "BertForSequenceClassification",
        dtype=HALF,
        labels=("a", "b", "c"),
        problem="multi_label_classification",
    ),
    Family("roberta_qa", "RobertaForQuestionAnswering", FAIRSEQ, weights="bin", pad=1),
    Family(
        "roberta_classify",
        "RobertaForSequenceClassification",
        FAIRSEQ,
        weights="sharded",
        labels=("x", "y", "z"),
        pad=1,
    ),
    Family("roberta_mlm", "RobertaForMaskedLM", FAIRSEQ, HALF, pad=1),
    Family("roberta_tokens", "RobertaForTokenClassification", FAIRSEQ, BRAIN, labels=("O", "B"), pad=1),
    Family("xlm_roberta_rerank", "XLMRobertaForSequenceClassification", FAIRSEQ, HALF, labels=("LABEL_0",), pad=1),
    Family("xlm_roberta_tokens", "XLMRobertaForTokenClassification", FAIRSEQ, BRAIN, labels=("O", "B"), pad=1),
    Family("camembert_base", "CamembertModel", FAIRSEQ, BRAIN, pad=1),
    Family("sentence_e5", "XLMRobertaModel", FAIRSEQ, HALF, pad=1, pooling="mean", normalise=True),
    Family("sentence_bge", "BertModel", dtype=HALF, weights="bin", pooling="cls", normalise=True),
    Family("albert_qa", "AlbertForQuestionAnswering", {"embedding_size": 8}),
    Family(
        "albert_classify", "AlbertForSequenceClassification", {"embedding_size": 8}, weights="legacy", labels=("n", "y")
    ),
    Family(
        "albert_mlm",
        "AlbertForMaskedLM",
        {
            "embedding_size": 8,
            "num_hidden_layers": 4,
            "num_hidden_groups": 2,
            "inner_group_num": 2,
            "hidden_act": "gelu_new",
        },
        HALF,
    ),
    Family("albert_tokens", "AlbertForTokenClassification", {"embedding_size": 8}, HALF, labels=("O", "B")),
    Family("electra_discriminator", "ElectraForPreTraining", {"embedding_size": 8}),
    Family("electra_classify", "ElectraForSequenceClassification", {"embedding_size": 16}, HALF, labels=("n", "y")),
    Family(
        "electra_tokens",
        "ElectraForTokenClassification",
        {"embedding_size": 8},
        HALF,
        labels=("O", "B"),
        foreign=old_norms,
    ),
    Family("electra_qa", "ElectraForQuestionAnswering", {"embedding_size": 8}, BRAIN),
    Family("electra_mlm", "ElectraForMaskedLM", {"embedding_size": 8}, HALF),
    Family("mpnet_qa", "MPNetForQuestionAnswering", {"pad_token_id": 1}, pad=1),
    Family("mpnet_classify", "MPNetForSequenceClassification", {"pad_token_id": 1}, HALF, labels=("n", "y"), pad=1),
    Family("mpnet_tokens", "MPNetForTokenClassification", {"pad_token_id": 1}, BRAIN, labels=("O", "B"), pad=1),
    Family("mpnet_mlm", "MPNetForMaskedLM", {"pad_token_id": 1}, HALF, pad=1),
    Family("sentence_mpnet", "MPNetModel", {"pad_token_id": 1}, pad=1, pooling="mean", normalise=True),
    Family("deberta_v3_classify", "DebertaV2ForSequenceClassification", DEBERTA_V3, HALF, labels=("n", "m", "y")),
    Family("deberta_v3_qa", "DebertaV2ForQuestionAnswering", DEBERTA_V3),
    Family("deberta_v2_mlm", "DebertaV2ForMaskedLM", DEBERTA_V2, HALF, weights="sharded_bin"),
    Family("deberta_v2_tokens", "DebertaV2ForTokenClassification", DEBERTA_PLAIN, labels=("O", "B")),
    Family("deberta_v2_base", "DebertaV2Model", {"relative_attention": False, "type_vocab_size": 0}, HALF),
    Family(
        "modernbert_classify",
        "ModernBertForSequenceClassification",
        MODERN | {"classifier_pooling": "mean"},
        labels=("n", "y"),
    ),
    Family("modernbert_mlm", "ModernBertForMaskedLM", MODERN, BRAIN),
    Family(
        "modernbert_qa", "ModernBertForQuestionAnswering", MODERN | {"norm_bias": True, "attention_bias": True}, HALF
    ),
    Family("modernbert_base", "ModernBertModel", MODERN, HALF, foreign=modernbert_of_the_hub),
    Family("modernbert_tokens", "ModernBertForTokenClassification", MODERN, HALF, labels=("O", "B")),
    Family("sentence_modernbert", "ModernBertModel", MODERN, BRAIN, pooling="cls", normalise=True),
    Family("nomic_bert_classify", "NomicBertForSequenceClassification", dtype=HALF, labels=("n", "y")),
    Family("nomic_bert_tokens", "NomicBertForTokenClassification", dtype=BRAIN, labels=("O", "B")),
    Family("sentence_nomic", "NomicBertModel", dtype=HALF, pooling="mean", normalise=True),
    Family("nomic_bert_mlm", "NomicBertForMaskedLM", dtype=HALF),
    Family("nomic_bert_base", "NomicBertModel", foreign=nomic_of_the_hub),
    Family("vit_classify", "ViTForImageClassification", VIT, MIXED, labels=("cat", "dog", "bird")),
    Family("vit_base", "ViTModel", VIT | {"image_size": [12, 8], "patch_size": [4, 2], "qkv_bias": False}, HALF),
    Family("clip_text", "CLIPTextModelWithProjection", CLIP, pad=36),
    Family("clip_text_old", "CLIPTextModel", CLIP | {"eos_token_id": 2}, HALF, pad=0),
    Family(
        "clip_both",
        "CLIPModel",
        {
            "text_config": CLIP,
            "vision_config": VIT | {"num_hidden_layers": 1, "projection_dim": 12},
            "projection_dim": 12,
        },
        HALF,
        pad=36,
    ),
]


def save_json(path: Path, value) -> None:
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def build(item: Family) -> torch.nn.Module:
    """The model with random weights."""
    cls = getattr(transformers, item.model)
    sizes = {} if cls.config_class.__name__.startswith(("ViT", "CLIP")) else SMALL
    options = sizes | item.config
    if item.labels:
        options["id2label"] = dict(enumerate(item.labels))
        options["label2id"] = {label: i for i, label in enumerate(item.labels)}
    config = cls.config_class(**options)
    if item.problem:
        config.problem_type = item.problem
    config._attn_implementation = "eager"
    model = randomise(cls(config), item.name)
    model.tie_weights()
    return model.eval()


def dtype_of(item: Family, name: str) -> torch.dtype:
    if item.dtype != MIXED:
        return item.dtype
    return (torch.float32, torch.float16, torch.bfloat16)[zlib.crc32(name.encode()) % 3]


def saved_state(item: Family, model: torch.nn.Module) -> tuple[dict, dict]:
    """config.json and the tensors as save_pretrained writes them, in the stored types."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tensors = load_file(Path(folder) / "model.safetensors")
        config = json.loads((Path(folder) / "config.json").read_text(encoding="utf-8"))
    config.pop("transformers_version", None)
    return config, {name: tensor.to(dtype_of(item, name)) for name, tensor in sorted(tensors.items())}


def save_bin(tensors: dict, path: Path, legacy: bool = False) -> None:
    """As training scripts do: some parameters, one matrix stored the other way round."""
    state = OrderedDict()
    for index, (name, tensor) in enumerate(tensors.items()):
        if index == 1 and tensor.dim() == 2:
            tensor = tensor.t().contiguous().t()
        state[name] = torch.nn.Parameter(tensor) if index % 5 == 2 else tensor
    state._metadata = OrderedDict({"": {"version": 1}})
    torch.save(state, path, _use_new_zipfile_serialization=not legacy)


def save_weights(item: Family, tensors: dict, folder: Path) -> None:
    names = list(tensors)
    halves = [names[::2], names[1::2]]
    parts = [{name: tensors[name] for name in half} for half in halves]
    if item.weights == "safetensors":
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    elif item.weights in ("bin", "legacy"):
        save_bin(tensors, folder / "pytorch_model.bin", item.weights == "legacy")
    else:
        stem, end = ("model", "safetensors") if item.weights == "sharded" else ("pytorch_model", "bin")
        weight_map = {}
        for i, part in enumerate(parts, 1):
            file = f"{stem}-{i:05}-of-00002.{end}"
            if end == "bin":
                save_bin(part, folder / file)
            else:
                save_file(part, folder / file, metadata={"format": "pt"})
            weight_map |= {name: file for name in part}
        size = sum(tensor.nbytes for tensor in tensors.values())
        save_json(folder / f"{stem}.{end}.index.json", {"metadata": {"total_size": size}, "weight_map": weight_map})
    for path in folder.iterdir():
        path.chmod(0o644)


def save_model(item: Family, folder: Path) -> torch.nn.Module:
    """Writes the checkpoint; returns it as transformers reads it, every tensor found."""
    model = build(item)
    config, tensors = saved_state(item, model)
    stored_config, stored = item.foreign(config, tensors) if item.foreign else (config, tensors)
    save_json(folder / "config.json", stored_config)
    save_weights(item, stored, folder)
    with tempfile.TemporaryDirectory() as plain:
        save_json(Path(plain) / "config.json", config)
        save_file(tensors, Path(plain) / "model.safetensors", metadata={"format": "pt"})
        read, report = type(model).from_pretrained(
            plain if item.foreign else folder,
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
        )
    wrong = {key: value for key, value in report.items() if value and "unexpected" not in key}
    if wrong:
        raise SystemExit(f"{item.name}: {wrong}")
    return read.eval()


def inputs_of(item: Family, config) -> list[dict[str, np.ndarray]]:
    """The inputs of the cases."""
    if item.model.startswith("ViT"):
        height, width = config.image_size if isinstance(config.image_size, (list, tuple)) else [config.image_size] * 2
        shapes = [(n, config.num_channels, height, width) for n in (1, 3)]
        return [{"pixel_values": generator(item.name, str(s)).standard_normal(s).astype(np.float32)} for s in shapes]
    text = getattr(config, "text_config", config)
    segments = getattr(text, "type_vocab_size", 0) > 1
    cases = []
    for lengths, width in LENGTHS:
        case = encoder_inputs(item.name, text.vocab_size - 4, lengths, width, segments)
        if item.model.startswith("CLIP"):
            end = text.vocab_size - 2
            case["input_ids"][np.arange(len(lengths)), np.array(lengths) - 1] = end
        case["input_ids"] = np.where(case["attention_mask"] == 0, item.pad, case["input_ids"])
        cases.append(case)
    return cases


@torch.inference_mode()
def expected(item: Family, model: torch.nn.Module) -> list[dict[str, np.ndarray]]:
    """Inputs and outputs of the cases."""
    cases = []
    for inputs in inputs_of(item, model.config):
        tensors = {name: torch.from_numpy(value) for name, value in inputs.items()}
        if item.model == "CLIPModel":
            outputs = {"text_embeds": model.get_text_features(**tensors)}
            if not isinstance(outputs["text_embeds"], torch.Tensor):
                outputs = {"text_embeds": outputs["text_embeds"].pooler_output}
        else:
            outputs = model(**tensors)
        if item.pooling:
            outputs["sentence_embedding"] = embedding(item, outputs["last_hidden_state"], tensors["attention_mask"])
        cases.append(inputs | {name: value.numpy() for name, value in outputs.items()})
    return cases


def embedding(item: Family, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The modules behind the transformer."""
    weights = mask.unsqueeze(-1).to(tokens.dtype)
    mean = (tokens * weights).sum(1) / weights.sum(1)
    pooled = tokens[:, 0] if item.pooling == "cls" else mean
    return torch.nn.functional.normalize(pooled, dim=-1) if item.normalise else pooled
