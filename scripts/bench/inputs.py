"""The texts that all classify and the model that all run. Works in the folder of a shape; the texts lie one above."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

MAX_TOKENS = 512


def read_texts(load: str) -> list[str]:
    with Path("..", f"{load}.jsonl").open() as lines:
        return [json.loads(line)["text"] for line in lines]


def encode(texts: list[str]) -> list[list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file("hf/tokenizer.json")
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return [encoding.ids for encoding in tokenizer.encode_batch(texts)]


def make_texts(job: dict[str, Any]) -> None:
    """Writes both loads, and calibration reviews that are not in them."""
    from labelled_files import read_records

    name, _, value = job["where"].partition("=")
    records = read_records(Path(job["reviews"]))
    texts = [str(record["text"]) for _, record in records if not name or str(record.get(name)) == value]
    if not texts:
        sys.exit(f"{job['reviews']}: holds no such reviews")
    count = min(job["count"], len(texts))
    chosen = [i * len(texts) // count for i in range(count)]
    others = sorted(set(range(len(texts))) - set(chosen)) or chosen
    sentences: list[str] = []
    source = iter([*chosen, *others])
    while len(sentences) < job["sentences"] and (i := next(source, None)) is not None:
        pieces = re.split(r"(?<=[.!?])\s+", re.sub(r"<br ?/?>|\s+", " ", texts[i]))
        sentences += [piece.strip() for piece in pieces if 3 <= len(piece.split()) <= 60]
    loads = {
        "reviews": [texts[i] for i in chosen],
        "sentences": sentences[: job["sentences"]],
        "calibration": [texts[others[i * len(others) // 64]] for i in range(64)],
    }
    for load, items in loads.items():
        records_out = (json.dumps({"id": str(i), "text": text}) + "\n" for i, text in enumerate(items))
        Path("..", f"{load}.jsonl").write_text("".join(records_out))


def make_inputs(job: dict[str, Any]) -> dict[str, Any]:
    """Makes the loads and the shape's Hugging Face folder, rounded to fp16; returns its sizes and the loads' lengths.

    Its weights are the given package's in the small shape, its tokenizer is in both.
    """
    import torch
    from transformers import DistilBertConfig, DistilBertForSequenceClassification, DistilBertTokenizerFast

    from export_model import rounded
    from native_distilbert import to_transformers

    make_texts(job)
    given = Path(job["given"])
    manifest = json.loads((given / "manifest.json").read_text())
    interface, words = manifest["model"]["interface"], manifest["tokenizer"]
    if (interface, words["kind"], manifest["max_tokens"]) != ("packed", "wordpiece", MAX_TOKENS):
        sys.exit(f"{given}: only a native DistilBERT with WordPiece and {MAX_TOKENS} tokens has peers to run it")
    vocab = str(given / words["files"]["vocab"]["file"])
    tokenizer = DistilBertTokenizerFast(vocab, do_lower_case=words["lowercase"], model_max_length=MAX_TOKENS)
    if job["shape"] == "small":
        model = to_transformers(torch.jit.load(given / manifest["model"]["file"]), manifest["labels"])
        positive = manifest["labels"].index(manifest["positive"])
    else:
        torch.manual_seed(1)
        config = DistilBertConfig(vocab_size=len(tokenizer), id2label={0: "NEGATIVE", 1: "POSITIVE"})
        model = DistilBertForSequenceClassification(config).eval()
        positive = 1
        with torch.no_grad():
            # Untrained, all probabilities would lie near 0.5; spread out, a difference between two ways shows.
            texts = read_texts("reviews")[:32]
            batch = tokenizer(texts, truncation=True, max_length=256, padding=True, return_tensors="pt")
            logits = model(**batch).logits
            model.classifier.weight.mul_(20)
            model.classifier.bias.copy_(-logits.mean(0) * 20)
    rounded(model).save_pretrained("hf")
    tokenizer.save_pretrained("hf")
    c = model.config
    sizes = {"d": c.dim, "ffn": c.hidden_dim, "layers": c.n_layers, "heads": c.n_heads, "positive": positive}
    lengths = {load: [len(ids) for ids in encode(read_texts(load))] for load in ("reviews", "sentences")}
    return {"sizes": sizes, "lengths": lengths}
