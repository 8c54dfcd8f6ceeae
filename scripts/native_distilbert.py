"""What a package's model.pt holds of a native model: the weights of a DistilBERT classifier and their names.

`NativeDistilBert(model)` takes the weights of a Hugging Face `DistilBertForSequenceClassification` and rounds them to
fp16; `torch.jit.script` compiles it, and the saved file is what the program reads: it takes weights and settings by
their names and has the arithmetic itself (src/README.md). So the module has no forward pass, and its names cannot
change without breaking packages.

`to_transformers(module, labels)` goes the other way, from a package's module to the Hugging Face model.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertForSequenceClassification


def _half(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.detach().to(torch.float16), requires_grad=False)


class Linear(nn.Module):
    """One linear layer, or several with the same input, their outputs one after another."""

    def __init__(self, *parts: nn.Linear) -> None:
        super().__init__()
        self.weight = _half(torch.cat([part.weight for part in parts]))
        self.bias = _half(torch.cat([part.bias for part in parts]))


class Norm(nn.Module):
    """Layer normalization."""

    eps: float

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight = _half(norm.weight)
        self.bias = _half(norm.bias)
        self.eps = norm.eps


class FeedForward(nn.Module):
    """What follows attention in a layer: output projection and feed-forward network, each with its normalization."""

    relu: bool  # else gelu

    def __init__(self, layer: Any, activation: str) -> None:
        super().__init__()
        self.out = Linear(layer.attention.out_lin)
        self.norm1 = Norm(layer.sa_layer_norm)
        self.up = Linear(layer.ffn.lin1)
        self.down = Linear(layer.ffn.lin2)
        self.norm2 = Norm(layer.output_layer_norm)
        self.relu = activation == "relu"


class Layer(nn.Module):
    """A layer whose output is needed for every token: query, key and value are one product."""

    heads: int

    def __init__(self, layer: Any, heads: int, activation: str) -> None:
        super().__init__()
        attention = layer.attention
        self.qkv = Linear(attention.q_lin, attention.k_lin, attention.v_lin)
        self.rest = FeedForward(layer, activation)
        self.heads = heads


class LastLayer(nn.Module):
    """The last layer: the classifier reads the first token alone, so its query is apart from keys and values."""

    heads: int

    def __init__(self, layer: Any, heads: int, activation: str) -> None:
        super().__init__()
        attention = layer.attention
        self.q = Linear(attention.q_lin)
        self.kv = Linear(attention.k_lin, attention.v_lin)
        self.rest = FeedForward(layer, activation)
        self.heads = heads


class NativeDistilBert(nn.Module):
    """The weights of a `DistilBertForSequenceClassification`, each once, in fp16."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        config = model.config
        embeddings = model.distilbert.embeddings
        layers = list(model.distilbert.transformer.layer)
        # The file's names for the word and the position embeddings.
        self.words = _half(embeddings.word_embeddings.weight)
        self.places = _half(embeddings.position_embeddings.weight)
        self.norm = Norm(embeddings.LayerNorm)
        self.layers = nn.ModuleList(Layer(layer, config.n_heads, config.activation) for layer in layers[:-1])
        self.last = LastLayer(layers[-1], config.n_heads, config.activation)
        self.pre_classifier = Linear(model.pre_classifier)
        self.classifier = Linear(model.classifier)


def _fill(stored: Any, *parts: Any) -> None:
    """Gives each part its share of the weights that the stored module holds."""
    for name in ("weight", "bias"):
        for part, share in zip(parts, getattr(stored, name).chunk(len(parts)), strict=True):
            getattr(part, name).copy_(share)


@torch.no_grad()
def to_transformers(module: Any, labels: list[str]) -> DistilBertForSequenceClassification:
    """The Hugging Face model in fp32 whose native form `module` is, a NativeDistilBert or one that was saved."""
    layers = [*module.layers.children(), module.last]
    model: Any = DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=module.words.size(0),
            max_position_embeddings=module.places.size(0),
            dim=module.words.size(1),
            hidden_dim=module.last.rest.up.weight.size(0),
            n_layers=len(layers),
            n_heads=module.last.heads,
            activation="relu" if module.last.rest.relu else "gelu",
            id2label=dict(enumerate(labels)),
            label2id={label: i for i, label in enumerate(labels)},
        )
    )
    embeddings = model.distilbert.embeddings
    embeddings.word_embeddings.weight.copy_(module.words)
    embeddings.position_embeddings.weight.copy_(module.places)
    _fill(module.norm, embeddings.LayerNorm)
    for stored, layer in zip(layers, model.distilbert.transformer.layer, strict=True):
        attention, rest = layer.attention, stored.rest
        if stored is layers[-1]:
            _fill(stored.q, attention.q_lin)
            _fill(stored.kv, attention.k_lin, attention.v_lin)
        else:
            _fill(stored.qkv, attention.q_lin, attention.k_lin, attention.v_lin)
        _fill(rest.out, attention.out_lin)
        _fill(rest.norm1, layer.sa_layer_norm)
        _fill(rest.up, layer.ffn.lin1)
        _fill(rest.down, layer.ffn.lin2)
        _fill(rest.norm2, layer.output_layer_norm)
    _fill(module.pre_classifier, model.pre_classifier)
    _fill(module.classifier, model.classifier)
    return model.eval()
