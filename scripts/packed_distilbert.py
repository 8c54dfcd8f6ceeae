"""The DistilBERT classifier as it lies in a package: packed windows in, one row of logits a window out.

`PackedDistilBert(model)` takes the weights of a Hugging Face `DistilBertForSequenceClassification`, rounds them to
fp16 and can be compiled by `torch.jit.script`. The program takes weights and settings from the saved module and runs
src/packed_distilbert.cpp; `prepare("fp32")` and `forward(ids, positions, lengths)` serve the exporter's own check.

It gives what the original gives, with less work:
- The windows' tokens lie one after another in a single row, with no padding. Only attention looks at the windows.
- The classifier reads the first token alone, so the last layer computes keys and values for every token, but
  everything after them for first tokens only.

`unpack(module, labels)` goes the other way, from a package's module to the Hugging Face model.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DistilBertConfig, DistilBertForSequenceClassification

# The compiler of TorchScript reads these annotations, and it knows List, not list, in every supported version.


def _half(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.detach().to(torch.float16), requires_grad=False)


class Linear(nn.Module):
    """A linear layer that runs in oneDNN: 10 % faster than MKL on AVX-512 processors of AMD, elsewhere the same."""

    def __init__(self, *parts: nn.Linear) -> None:
        super().__init__()
        self.weight = _half(torch.cat([part.weight for part in parts]))
        self.bias = _half(torch.cat([part.bias for part in parts]))

    def prepare(self) -> None:
        # Laid out once for the way oneDNN reads them when about 1,024 tokens come at a time.
        self.weight = torch.ops.mkldnn._reorder_linear_weight(self.weight.float(), 1024)
        self.bias = self.bias.float()

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")


class Norm(nn.Module):
    """Layer normalization."""

    eps: float

    def __init__(self, norm: nn.LayerNorm) -> None:
        super().__init__()
        self.weight = _half(norm.weight)
        self.bias = _half(norm.bias)
        self.eps = norm.eps

    def prepare(self) -> None:
        self.weight = self.weight.float()
        self.bias = self.bias.float()

    def forward(self, x: Tensor) -> Tensor:
        return F.layer_norm(x, [x.size(1)], self.weight, self.bias, self.eps)


class FeedForward(nn.Module):
    """What follows attention in a layer: output projection and feed-forward network, each with its residual."""

    relu: bool

    def __init__(self, layer: nn.Module, activation: str) -> None:
        super().__init__()
        self.out = Linear(layer.attention.out_lin)
        self.norm1 = Norm(layer.sa_layer_norm)
        self.up = Linear(layer.ffn.lin1)
        self.down = Linear(layer.ffn.lin2)
        self.norm2 = Norm(layer.output_layer_norm)
        self.relu = activation == "relu"

    def prepare(self) -> None:
        self.out.prepare()
        self.norm1.prepare()
        self.up.prepare()
        self.down.prepare()
        self.norm2.prepare()

    def forward(self, context: Tensor, x: Tensor) -> Tensor:
        x = self.norm1(self.out(context).add_(x))
        h = self.up(x)
        if self.relu:
            h.relu_()
        else:
            torch._C._nn.gelu_(h)
        return self.norm2(self.down(h).add_(x))


def attend(queries: list[Tensor], keys: list[Tensor], values: list[Tensor]) -> Tensor:
    """Attention of each window to itself: lists of [1, heads, n, d] in, [rows of queries, heads * d] out."""
    contexts: list[Tensor] = []
    for q, k, v in zip(queries, keys, values):
        # The kernel writes [1, n, heads, d]; transposed back it is contiguous, so that cat is one plain copy.
        contexts.append(F.scaled_dot_product_attention(q, k, v).transpose(1, 2))
    return torch.cat(contexts, 1).flatten(2)[0]


class Layer(nn.Module):
    heads: int

    def __init__(self, layer: nn.Module, heads: int, activation: str) -> None:
        super().__init__()
        attention = layer.attention
        self.qkv = Linear(attention.q_lin, attention.k_lin, attention.v_lin)
        self.rest = FeedForward(layer, activation)
        self.heads = heads

    def prepare(self) -> None:
        self.qkv.prepare()
        self.rest.prepare()

    def forward(self, x: Tensor, lengths: list[int]) -> Tensor:
        # Views, no copies: the attention kernel takes strided heads.
        qkv = self.qkv(x).view(1, x.size(0), 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        context = attend(qkv[0].split(lengths, 2), qkv[1].split(lengths, 2), qkv[2].split(lengths, 2))
        return self.rest(context, x)


class LastLayer(nn.Module):
    """A layer of which only the windows' first tokens come out."""

    heads: int

    def __init__(self, layer: nn.Module, heads: int, activation: str) -> None:
        super().__init__()
        attention = layer.attention
        self.q = Linear(attention.q_lin)
        self.kv = Linear(attention.k_lin, attention.v_lin)
        self.rest = FeedForward(layer, activation)
        self.heads = heads

    def prepare(self) -> None:
        self.q.prepare()
        self.kv.prepare()
        self.rest.prepare()

    def forward(self, x: Tensor, lengths: list[int]) -> Tensor:
        counts = torch.tensor(lengths)
        first = x.index_select(0, counts.cumsum(0) - counts)
        q = self.q(first).view(1, first.size(0), self.heads, -1).transpose(1, 2)
        kv = self.kv(x).view(1, x.size(0), 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        context = attend(q.split(1, 2), kv[0].split(lengths, 2), kv[1].split(lengths, 2))
        return self.rest(context, first)


class PackedDistilBert(nn.Module):
    """A `DistilBertForSequenceClassification` on packed windows, holding each weight once, in fp16."""

    def __init__(self, model: DistilBertForSequenceClassification) -> None:
        super().__init__()
        config = model.config
        embeddings = model.distilbert.embeddings
        layers = list(model.distilbert.transformer.layer)
        self.words = _half(embeddings.word_embeddings.weight)
        self.places = _half(embeddings.position_embeddings.weight)
        self.norm = Norm(embeddings.LayerNorm)
        self.layers = nn.ModuleList(Layer(layer, config.n_heads, config.activation) for layer in layers[:-1])
        self.last = LastLayer(layers[-1], config.n_heads, config.activation)
        self.pre_classifier = Linear(model.pre_classifier)
        self.classifier = Linear(model.classifier)

    @torch.jit.export
    def prepare(self, precision: str) -> None:
        """Turns the fp16 weights, once, into what runs; any precision but "fp32" raises ValueError."""
        if precision != "fp32":
            raise ValueError("unknown precision: " + precision)
        # The embeddings stay fp16: rows are widened as they are looked up, which is exact and spares memory.
        self.norm.prepare()
        for layer in self.layers:
            layer.prepare()
        self.last.prepare()
        self.pre_classifier.prepare()
        self.classifier.prepare()

    def forward(self, ids: Tensor, positions: Tensor, lengths: list[int]) -> Tensor:
        """Logits, fp32 [windows, labels].

        ids and positions: int64 [tokens], the windows' tokens one after another, each window's positions from 0;
        lengths: tokens of each window, at least 1 each, summing to the length of ids.
        """
        x = F.embedding(ids, self.words).float().add_(F.embedding(positions, self.places))
        x = self.norm(x)
        for layer in self.layers:
            x = layer(x, lengths)
        x = self.last(x, lengths)
        return self.classifier(self.pre_classifier(x).relu_())


def _fill(packed: nn.Module, *parts: nn.Module) -> None:
    """Gives each part its share of the weights that the packed one holds."""
    for name in ("weight", "bias"):
        for part, share in zip(parts, getattr(packed, name).chunk(len(parts))):
            getattr(part, name).copy_(share)


@torch.no_grad()
def unpack(module: nn.Module, labels: list[str]) -> DistilBertForSequenceClassification:
    """The Hugging Face model in fp32 whose packed form `module` is, scripted or not, before `prepare`."""
    layers = [*module.layers.children(), module.last]
    model = DistilBertForSequenceClassification(
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
    for packed, layer in zip(layers, model.distilbert.transformer.layer):
        attention, rest = layer.attention, packed.rest
        if packed is layers[-1]:
            _fill(packed.q, attention.q_lin)
            _fill(packed.kv, attention.k_lin, attention.v_lin)
        else:
            _fill(packed.qkv, attention.q_lin, attention.k_lin, attention.v_lin)
        _fill(rest.out, attention.out_lin)
        _fill(rest.norm1, layer.sa_layer_norm)
        _fill(rest.up, layer.ffn.lin1)
        _fill(rest.down, layer.ffn.lin2)
        _fill(rest.norm2, layer.output_layer_norm)
    _fill(module.pre_classifier, model.pre_classifier)
    _fill(module.classifier, model.classifier)
    return model.eval()
