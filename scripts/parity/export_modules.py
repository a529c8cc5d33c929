"""What stands around a model of transformers while it is exported."""

from __future__ import annotations

import math

import torch

LOWEST = torch.finfo(torch.float32).min


def divided_attention(module, query, key, value, mask, scaling=None, dropout=0.0, **kwargs):
    """Self-attention as transformers 4 wrote it: the scores are divided, after the product."""
    scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(query.shape[-1])
    weights = torch.nn.functional.softmax(scores + mask, dim=-1)
    return torch.matmul(weights, value).permute(0, 2, 1, 3).contiguous(), weights


class OldMask(torch.nn.Module):
    """A model behind the attention mask of transformers 4."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        mask = (1.0 - attention_mask[:, None, None, :].to(torch.float32)) * LOWEST
        return self.model(input_ids, mask, token_type_ids)


class SentenceEmbedding(torch.nn.Module):
    """Mean pooling over the mask, then L2 normalisation, as sentence-transformers computes them."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids):
        tokens = self.model(input_ids, attention_mask, token_type_ids)[0]
        mask = attention_mask.unsqueeze(-1).expand(tokens.size()).to(tokens.dtype)
        mean = torch.sum(tokens * mask, 1) / torch.clamp(mask.sum(1), min=1e-9)
        return tokens, torch.nn.functional.normalize(mean, p=2, dim=1)


class Named(torch.nn.Module):
    """A model that gives its outputs by name, as a tuple of those that are wanted."""

    def __init__(self, model, outputs):
        super().__init__()
        self.model = model
        self.outputs = outputs

    def forward(self, first, attention_mask=None, token_type_ids=None):
        others = {"attention_mask": attention_mask, "token_type_ids": token_type_ids}
        found = self.model(first, **{name: value for name, value in others.items() if value is not None})
        return tuple(found[name] for name in self.outputs)
