"""Small checkpoints in the layout of the Hugging Face hub, with the outputs of transformers: BERT and
DistilBERT here, the other architectures in families.py.

A directory has config.json, model.safetensors, sometimes tokenizer.json, and expected.safetensors:
the inputs and outputs of three batches, computed in f32 with eager attention from the weights as
they were saved (thus rounded, if they were saved in f16 or bf16). A sentence-transformers directory
has expected_texts.json too: texts, and the tensor ``texts.sentence_embedding`` with their
embeddings.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import families
import numpy as np
import torch
import transformers
from families import save_json
from safetensors.torch import save_file
from sentence_transformers import SentenceTransformer
from tiny import encoder_inputs, randomise, save_cases
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

POSITIONS = 40
TEXTS = [
    "the river is long",
    "A small town by the sea; who made it?",
    "2024!",
    "the king of the north was born in the year 1066 and the queen was born later, in a town far "
    "away from the river, so they met at sea and they made a small house there",
]
WORDS = (
    "the of and in to was is for as on by with he that at from his it an were are which this be "
    "or had not also has who they made after one two three first year years new city king queen "
    "river sea town house world war north south east west born small long time people name known "
    "called part state"
).split()
PIECES = ("##s ##ed ##ing ##er ##ly ##al ##ion ##or ##an ##on ##en ##th ##st ##re ##ch ##ar").split()
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


@dataclass
class Checkpoint:
    """One directory."""

    name: str
    model: str
    act: str
    dtype: torch.dtype = torch.float32
    hidden: int = 32
    inner: int = 64
    layers: int = 2
    vocab: int = 61
    labels: tuple[str, ...] = ()
    legacy_names: bool = False
    tokenizer: bool = False
    pooling: str = ""
    normalise: bool = False

    @property
    def distil(self) -> bool:
        return self.model.startswith("Distil")


CHECKPOINTS = [
    Checkpoint("bert_qa", "BertForQuestionAnswering", "gelu", tokenizer=True),
    Checkpoint(
        "bert_classify",
        "BertForSequenceClassification",
        "gelu_new",
        torch.float16,
        hidden=48,
        inner=80,
        labels=("negative", "neutral", "positive"),
        tokenizer=True,
    ),
    Checkpoint(
        "bert_tokens",
        "BertForTokenClassification",
        "relu",
        torch.float16,
        inner=72,
        labels=("O", "B-PER", "I-PER", "B-LOC", "I-LOC"),
    ),
    Checkpoint("bert_mlm", "BertForMaskedLM", "gelu", torch.bfloat16, layers=3),
    Checkpoint("bert_base_legacy", "BertModel", "silu", legacy_names=True),
    Checkpoint("sentence_mean", "BertModel", "gelu", tokenizer=True, pooling="mean", normalise=True),
    Checkpoint("sentence_cls", "DistilBertModel", "gelu", torch.float16, tokenizer=True, pooling="cls"),
    Checkpoint("distilbert_qa", "DistilBertForQuestionAnswering", "gelu"),
    Checkpoint(
        "distilbert_classify",
        "DistilBertForSequenceClassification",
        "relu",
        torch.float16,
        layers=3,
        labels=("no", "yes"),
        tokenizer=True,
    ),
    Checkpoint(
        "distilbert_tokens",
        "DistilBertForTokenClassification",
        "gelu_new",
        torch.bfloat16,
        labels=("O", "B", "I"),
    ),
    Checkpoint("distilbert_mlm", "DistilBertForMaskedLM", "gelu"),
    Checkpoint("distilbert_base", "DistilBertModel", "silu", torch.bfloat16, inner=88),
]


def vocabulary() -> list[str]:
    """About 200 tokens: letters, digits and marks with their continuations, and some words."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    marks = "0123456789.,;:!?'\"-()"
    out = [*SPECIAL, *marks, *letters, *("##" + c for c in letters + "0123456789"), *PIECES]
    return out + [word for word in WORDS if len(word) > 1]


def save_tokenizer(folder: Path) -> None:
    """An uncased WordPiece tokenizer as BERT's."""
    tokens = {token: i for i, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordPiece(tokens, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS]:0 $A:0 [SEP]:0",
        pair="[CLS]:0 $A:0 [SEP]:0 $B:1 [SEP]:1",
        special_tokens=[(token, tokens[token]) for token in ("[CLS]", "[SEP]")],
    )
    tokenizer.add_special_tokens(SPECIAL)
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=False) + "\n", encoding="utf-8")
    config = {"model_max_length": POSITIONS, "tokenizer_class": "BertTokenizer"}
    names = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")
    save_json(folder / "tokenizer_config.json", config | dict(zip(names, SPECIAL)))


def config_of(item: Checkpoint) -> dict:
    """What config.json holds; the key of the data type is the old one in some directories."""
    vocab = len(vocabulary()) if item.tokenizer else item.vocab
    common = {
        "architectures": [item.model],
        "vocab_size": vocab,
        "max_position_embeddings": POSITIONS,
        "pad_token_id": 0,
        "initializer_range": 0.02,
        "torch_dtype" if item.legacy_names or item.distil else "dtype": str(item.dtype).split(".")[1],
    }
    if item.labels:
        common["id2label"] = {str(i): label for i, label in enumerate(item.labels)}
        common["label2id"] = {label: i for i, label in enumerate(item.labels)}
    if item.distil:
        return common | {
            "model_type": "distilbert",
            "activation": item.act,
            "dim": item.hidden,
            "hidden_dim": item.inner,
            "n_layers": item.layers,
            "n_heads": 4,
            "dropout": 0.1,
            "attention_dropout": 0.1,
            "qa_dropout": 0.1,
            "seq_classif_dropout": 0.2,
            "sinusoidal_pos_embds": False,
            "tie_weights_": True,
        }
    return common | {
        "model_type": "bert",
        "hidden_act": item.act,
        "hidden_size": item.hidden,
        "intermediate_size": item.inner,
        "num_hidden_layers": item.layers,
        "num_attention_heads": 4,
        "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-5 if item.act == "relu" else 1e-12,
        "position_embedding_type": "absolute",
    }


def legacy(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names as the first converted checkpoints had: prefix, gamma and beta, position_ids."""
    out = {"bert.embeddings.position_ids": torch.arange(POSITIONS).unsqueeze(0)}
    for name, tensor in tensors.items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        out["bert." + name.replace("LayerNorm.bias", "LayerNorm.beta")] = tensor
    return out


def save_model(item: Checkpoint, folder: Path) -> None:
    """Random weights, tied ones once."""
    config = config_of(item)
    save_json(folder / "config.json", config)
    cls = getattr(transformers, item.model)
    model = cls(cls.config_class.from_pretrained(folder))
    model = randomise(model, item.name)
    model.tie_weights()
    tensors, seen = {}, set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() not in seen and not name.endswith("position_ids"):
            seen.add(tensor.data_ptr())
            tensors[name] = tensor.to(item.dtype).contiguous()
    if item.legacy_names:
        tensors = legacy(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


def load(item: Checkpoint, folder: Path):
    """The checkpoint as transformers reads it, every tensor found."""
    model, report = getattr(transformers, item.model).from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    wrong = {key: value for key, value in report.items() if value and "unexpected" not in key}
    if wrong:
        raise SystemExit(f"{item.name}: {wrong}")
    return model.eval()


@torch.inference_mode()
def expected(item: Checkpoint, folder: Path) -> list[dict[str, np.ndarray]]:
    """Inputs and outputs of three batches."""
    model = load(item, folder)
    vocab = model.config.vocab_size
    cases = []
    for lengths, width in (([11, 6, 1], 11), ([POSITIONS], POSITIONS), ([5, 4, 3, 2, 1], 5)):
        inputs = encoder_inputs(item.name, vocab, lengths, width, not item.distil)
        outputs = model(**{name: torch.from_numpy(value) for name, value in inputs.items()})
        cases.append(inputs | {name: value.numpy() for name, value in outputs.items()})
    return cases


def save_sentence_files(item: Checkpoint | families.Family, folder: Path) -> None:
    """The files that make a checkpoint one of sentence-transformers."""
    steps = ["Transformer", "Pooling"] + ["Normalize"] * item.normalise
    paths = ["", "1_Pooling", "2_Normalize"]
    kind = "sentence_transformers.models."
    modules = [
        {"idx": i, "name": str(i), "path": path, "type": kind + step}
        for i, (step, path) in enumerate(zip(steps, paths))
    ]
    save_json(folder / "modules.json", modules)
    save_json(folder / "sentence_bert_config.json", {"max_seq_length": 24, "do_lower_case": False})
    (folder / "1_Pooling").mkdir()
    pooling = {
        "word_embedding_dimension": item.hidden,
        "pooling_mode_cls_token": item.pooling == "cls",
        "pooling_mode_mean_tokens": item.pooling == "mean",
        "pooling_mode_max_tokens": False,
        "pooling_mode_mean_sqrt_len_tokens": False,
    }
    save_json(folder / "1_Pooling" / "config.json", pooling)


@torch.inference_mode()
def add_sentence_outputs(folder: Path, cases: list[dict[str, np.ndarray]]) -> None:
    """Adds the embeddings that sentence-transformers computes, of the cases and of texts."""
    model = SentenceTransformer(str(folder), device="cpu", model_kwargs={"dtype": torch.float32})
    for case in cases:
        features = {name: torch.from_numpy(v) for name, v in case.items() if v.dtype == np.int64}
        case["sentence_embedding"] = model(features)["sentence_embedding"].numpy()
    save_json(folder / "expected_texts.json", TEXTS)
    texts = {"sentence_embedding": model.encode(TEXTS, convert_to_numpy=True)}
    save_cases(folder / "expected.safetensors", cases, texts=texts)


def make(folder: Path) -> None:
    """Writes every checkpoint into the folder."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    logging.disable(logging.WARNING)
    for item in CHECKPOINTS:
        place = folder / item.name
        place.mkdir(parents=True)
        save_model(item, place)
        if item.tokenizer:
            save_tokenizer(place)
        cases = expected(item, place)
        if item.pooling:
            save_sentence_files(item, place)
            add_sentence_outputs(place, cases)
        else:
            save_cases(place / "expected.safetensors", cases)
    for family in families.FAMILIES:
        place = folder / family.name
        place.mkdir(parents=True)
        cases = families.expected(family, families.save_model(family, place))
        if family.pooling:
            save_sentence_files(family, place)
        save_cases(place / "expected.safetensors", cases)
