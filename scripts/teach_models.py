"""The teacher (MPNet) and the student (DistilBERT, with tokens dropped between layers) as plain PyTorch modules."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from command_line import blaming, read_text, require

LEAST_KEPT = 16  # tokens that no schedule drops, as in encoder.py


class MPNet(nn.Module):
    """MPNet (Song et al., NeurIPS 2020), parameters named as in transformers, with two heads on its mean-pooled output.

    Gives [rows, 2]: the logit of POSITIVE and the stars, -1 to 1. The relative position bias is not trained.
    """

    def __init__(self, state: dict[str, Tensor], heads: int) -> None:
        super().__init__()
        self.heads = heads
        words, positions = (state[f"embeddings.{name}_embeddings.weight"].shape for name in ("word", "position"))
        dim, hidden = words[1], len(state["encoder.layer.0.intermediate.dense.bias"])
        layers = sum(name.endswith("intermediate.dense.bias") for name in state)
        self.embeddings: Any = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(*words),
                "position_embeddings": nn.Embedding(*positions),
                "LayerNorm": nn.LayerNorm(dim, eps=1e-5),
            }
        )
        layer = lambda: nn.ModuleDict(  # noqa: E731
            {
                "attention": nn.ModuleDict(
                    {
                        "attn": nn.ModuleDict({name: nn.Linear(dim, dim) for name in "qkvo"}),
                        "LayerNorm": nn.LayerNorm(dim, eps=1e-5),
                    }
                ),
                "intermediate": nn.ModuleDict({"dense": nn.Linear(dim, hidden)}),
                "output": nn.ModuleDict({"dense": nn.Linear(hidden, dim), "LayerNorm": nn.LayerNorm(dim, eps=1e-5)}),
            }
        )
        self.encoder: Any = nn.ModuleDict(
            {
                "layer": nn.ModuleList(layer() for _ in range(layers)),
                "relative_attention_bias": nn.Embedding(32, heads),
            }
        )
        self.encoder["relative_attention_bias"].weight.requires_grad_(False)
        self.head = nn.Linear(dim, 2)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.load_state_dict(state | {f"head.{name}": value for name, value in self.head.state_dict().items()})

    def position_bias(self, length: int, device: torch.device) -> Tensor:
        """Bias of each head by the distance from query to key: [1, heads, length, length]."""
        at = torch.arange(length, device=device)
        back = at[:, None] - at[None]
        far = back.abs()
        large = 8 + (torch.log(far.clamp(min=1).float() / 8) / math.log(128 / 8) * 8).long()
        bucket = torch.where(far < 8, far, large.clamp(max=15)) + (back < 0).long() * 16
        return self.encoder["relative_attention_bias"](bucket).permute(2, 0, 1)[None]

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        rows, length = ids.shape
        drop = lambda x: F.dropout(x, 0.1, self.training)  # noqa: E731
        e = self.embeddings
        x = e["word_embeddings"](ids) + e["position_embeddings"].weight[2 : length + 2]
        x = drop(e["LayerNorm"](x))
        with torch.no_grad():
            bias = self.position_bias(length, ids.device).masked_fill(~mask[:, None, None], -1e4)
            kind = ids.device.type
            bias = bias.to(torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype)
        for layer in self.encoder["layer"]:
            a = layer["attention"]["attn"]
            q, k, v = (a[n](x).view(rows, length, self.heads, -1).transpose(1, 2) for n in "qkv")
            context = F.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).reshape(rows, length, -1)
            x = layer["attention"]["LayerNorm"](x + drop(a["o"](context)))
            inner = F.gelu(layer["intermediate"]["dense"](x))
            x = layer["output"]["LayerNorm"](x + drop(layer["output"]["dense"](inner)))
        weight = mask[..., None].float()
        with torch.autocast(ids.device.type, enabled=False):
            return self.head((x.float() * weight).sum(1) / weight.sum(1))


class Student(nn.Module):
    """DistilBERT, parameters named as in transformers; gives [rows, 3]: two logits and the stars, -1 to 1."""

    def __init__(self, state: dict[str, Tensor], heads: int) -> None:
        super().__init__()
        self.heads = heads
        names = (f"distilbert.embeddings.{name}_embeddings.weight" for name in ("word", "position"))
        words, positions = (state[name].shape for name in names)
        dim, hidden = words[1], len(state["distilbert.transformer.layer.0.ffn.lin1.bias"])
        layers = sum(name.endswith("ffn.lin1.bias") for name in state)
        layer = lambda: nn.ModuleDict(  # noqa: E731
            {
                "attention": nn.ModuleDict(
                    {name: nn.Linear(dim, dim) for name in ("q_lin", "k_lin", "v_lin", "out_lin")}
                ),
                "sa_layer_norm": nn.LayerNorm(dim, eps=1e-12),
                "ffn": nn.ModuleDict({"lin1": nn.Linear(dim, hidden), "lin2": nn.Linear(hidden, dim)}),
                "output_layer_norm": nn.LayerNorm(dim, eps=1e-12),
            }
        )
        self.distilbert: Any = nn.ModuleDict(
            {
                "embeddings": nn.ModuleDict(
                    {
                        "word_embeddings": nn.Embedding(*words),
                        "position_embeddings": nn.Embedding(*positions),
                        "LayerNorm": nn.LayerNorm(dim, eps=1e-12),
                    }
                ),
                "transformer": nn.ModuleDict({"layer": nn.ModuleList(layer() for _ in range(layers))}),
            }
        )
        self.pre_classifier = nn.Linear(dim, dim)
        self.classifier = nn.Linear(dim, 2)
        self.star_head = nn.Linear(dim, 1)
        own = {f"star_head.{name}": value for name, value in self.star_head.state_dict().items()}
        self.load_state_dict(own | state)

    def forward(self, ids: Tensor, mask: Tensor, keep: Sequence[float] | None = None) -> Tensor:
        """`keep`: the share of a window's tokens that goes on after each layer but the last; None keeps all.

        The tokens that receive most attention go on (probabilities summed over heads and queries), the first always;
        of equal ones the first, and never fewer than LEAST_KEPT.
        """
        e = self.distilbert["embeddings"]
        x = e["LayerNorm"](e["word_embeddings"](ids) + e["position_embeddings"].weight[: ids.size(1)])
        layers = self.distilbert["transformer"]["layer"]
        n = mask.sum(1)
        for number, layer in enumerate(layers):
            last = number == len(layers) - 1
            a = layer["attention"]
            queried = x[:, :1] if last else x
            split = lambda y: y.view(y.size(0), y.size(1), self.heads, -1).transpose(1, 2)  # noqa: E731
            q, k, v = split(a["q_lin"](queried)), split(a["k_lin"](x)), split(a["v_lin"](x))
            if keep is None or last:
                context = F.scaled_dot_product_attention(q, k, v, mask[:, None, None])
            else:
                scores = (q @ k.transpose(2, 3)) / math.sqrt(q.size(-1))
                p = torch.softmax(scores.float().masked_fill(~mask[:, None, None], -1e9), -1)
                context = p.to(v.dtype) @ v
            context = context.transpose(1, 2).reshape(queried.shape)
            if keep is not None and not last:
                received = (p.detach() * mask[:, None, :, None]).sum((1, 2)).masked_fill(~mask, -1)
                received[:, 0] = math.inf
                kept = torch.ceil(keep[number] * n.double() - 1e-6).long()
                kept = torch.minimum(torch.maximum(kept, n.clamp(max=LEAST_KEPT)), mask.sum(1))
                order = torch.argsort(received, dim=1, descending=True, stable=True)
                chosen = torch.zeros_like(mask).scatter(
                    1, order, torch.arange(mask.size(1), device=ids.device) < kept[:, None]
                )
                at = torch.argsort(~chosen, dim=1, stable=True)[:, : int(kept.max())]
                mask = chosen.gather(1, at)
                queried = queried.gather(1, at[..., None].expand(-1, -1, x.size(2)))
                context = context.gather(1, at[..., None].expand(-1, -1, x.size(2)))
            queried = layer["sa_layer_norm"](queried + a["out_lin"](context))
            x = layer["output_layer_norm"](queried + layer["ffn"]["lin2"](F.gelu(layer["ffn"]["lin1"](queried))))
        with torch.autocast(ids.device.type, enabled=False):
            features = F.relu(self.pre_classifier(x[:, 0].float()))
            return torch.cat([self.classifier(features), self.star_head(features)], 1)


def read_folder(folder: Path, kind: str) -> tuple[dict[str, Tensor], int]:
    """The fp32 weights and the heads of a model of this kind in a Hugging Face folder."""
    text = read_text(folder / "config.json")
    with blaming(f"{folder}: holds no model that can be read"):
        config = json.loads(text)
        state = {name: value.float() for name, value in load_file(folder / "model.safetensors").items()}
    require(config.get("model_type") == kind, f"{folder}: holds no {kind} but a {config.get('model_type')}")
    return state, config.get("n_heads") or config["num_attention_heads"]
