#!/usr/bin/env python3
"""Makes the tests' tiny model: a DistilBERT of 2 layers x 32 with random weights, far too small to know anything.

Writes two forms of the same weights under tests/data: `tiny`, a package made by scripts/export.py, and
`tiny_plain.pt`, a plain torch.jit.trace of the Hugging Face model with forward(input_ids, attention_mask).
The vocabulary is made from the words of the export's own reference texts.
"""

import argparse
import json
import re
import string
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from transformers import BertTokenizerFast, DistilBertConfig, DistilBertForSequenceClassification
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import export
import tiny_models
from export_model import save_module
from export_reference import read_texts

ROOT = Path(__file__).resolve().parents[1]
VOCABULARY_SIZE = 1000
ENDINGS = "s ed ing er est ly ness ful less able tion ment ous ive al y en ish wise like"


def vocabulary() -> list[str]:
    """At most a thousand entries, of which all text of ASCII letters, digits and punctuation can be made."""
    text = " ".join(line["text"] for line in read_texts(export.REFERENCE_TEXTS)).lower()
    counts = Counter(word for word in re.findall(r"[a-z]+", text) if 2 <= len(word) <= 20)
    words = sorted(counts, key=lambda word: (-counts[word], word))
    characters = string.ascii_lowercase + string.digits
    entries = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *string.punctuation, *characters, *"東京éßł"]
    entries += [f"##{piece}" for piece in [*characters, *ENDINGS.split()]]
    return list(dict.fromkeys([*entries, *words]))[:VOCABULARY_SIZE]


def make_source(folder: Path, seed: int = 5, **changes: Any) -> DistilBertForSequenceClassification:
    """Saves the tiny model, or one with changes in its config, as a Hugging Face folder and returns it.

    Its weights are representable in fp16.
    """
    entries = vocabulary()
    (folder / "vocab.txt").write_text("".join(f"{entry}\n" for entry in entries))
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=512).save_pretrained(folder)

    torch.manual_seed(seed)
    shape = {"dim": 32, "hidden_dim": 64, "n_layers": 2, "n_heads": 2, "max_position_embeddings": 512}
    config = DistilBertConfig(vocab_size=len(entries), **{**shape, **tiny_models.POLARITY, **changes})
    model = DistilBertForSequenceClassification(config).eval()
    tiny_models.randomize(model)
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.half().float())
    model.save_pretrained(folder)
    return model


def trace(model: DistilBertForSequenceClassification, path: Path) -> None:
    """Traces as a user would, with an example of some length; lengths are free afterwards."""
    ids = torch.arange(5, 17).unsqueeze(0)
    with torch.no_grad():
        traced = torch.jit.trace(model, (ids, torch.ones_like(ids)), strict=False)
    save_module(traced, path)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        type=Path,
        default=ROOT / "tests" / "data",
        help="where tiny and tiny_plain.pt go (default: %(default)s)",
    )
    args = parser.parse_args(argv)
    logging.set_verbosity_error()
    args.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        source = Path(name)
        model = make_source(source)
        trace(model, args.output / "tiny_plain.pt")
        (source / "README.md").write_text(
            "# tiny\n\nA DistilBERT with random weights, for tests only: it knows nothing.\n"
            "Made by tests/make_tiny_model.py.\n"
        )
        status = export.main(
            [name, "-o", str(args.output / "tiny"), "--license", "Apache-2.0", "--long-text", "head-tail", "--force"]
        )
    if status == 0:
        lines = (args.output / "tiny" / "reference.jsonl").read_text().split("\n")
        spread = sorted(json.loads(line)["p"][1] for line in lines if line)
        print(f"p_positive from {spread[0]:.3f} to {spread[-1]:.3f}, median {spread[len(spread) // 2]:.3f}")
    return status


if __name__ == "__main__":
    sys.exit(main())
