"""The tokenizer of a Hugging Face folder for a package; whatever the program does not do the same way is refused.

Part of export.py; export_sentencepiece.py has the kind Unigram.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PretrainedConfig, PreTrainedTokenizerFast

import export_sentencepiece
from command_line import blaming, require

STANDARD_TOKENS = ["[CLS]", "[MASK]", "[PAD]", "[SEP]", "[UNK]"]


@dataclass
class Tokenizer:
    """The source's tokenizer, found to be one that the program has."""

    fast: PreTrainedTokenizerFast
    settings: dict[str, Any]  # for the manifest, but for its files
    files: dict[str, bytes]  # their contents by their keys there
    begin: int  # the tokens around a text
    end: int
    max_tokens: int


def check_wordpiece(backend: dict[str, Any]) -> bool:
    """Whether text is lowercased; refuses what is not BERT's own WordPiece tokenizer."""
    model, normalizer = backend["model"], backend["normalizer"] or {}
    for key, value in (("unk_token", "[UNK]"), ("continuing_subword_prefix", "##"), ("max_input_chars_per_word", 100)):
        require(model[key] == value, f"tokenizer: {key} is {model[key]}, not {value}")
    require(normalizer.get("type") == "BertNormalizer", "tokenizer: its normalizer is not BertNormalizer")
    for key in ("clean_text", "handle_chinese_chars"):
        require(normalizer[key] is True, f"tokenizer: {key} is {normalizer[key]}, not true")
    lowercase = normalizer["lowercase"]
    require(
        normalizer["strip_accents"] in (None, lowercase),
        f"tokenizer: strip_accents {normalizer['strip_accents']} with lowercase {lowercase}",
    )
    pre_tokenizer = (backend["pre_tokenizer"] or {}).get("type")
    require(pre_tokenizer == "BertPreTokenizer", f"tokenizer: its pre-tokenizer is {pre_tokenizer}")

    added = backend["added_tokens"]
    contents = sorted(token["content"] for token in added)
    require(contents == STANDARD_TOKENS, f"tokenizer: added tokens are {' '.join(contents)}, not the standard five")
    for token in added:
        plain = not (token["single_word"] or token["lstrip"] or token["rstrip"] or token["normalized"])
        require(
            plain and model["vocab"].get(token["content"]) == token["id"],
            f"tokenizer: {token['content']} is not matched as in BERT's own",
        )
    return lowercase


def wordpiece(folder: Path, backend: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes], int]:
    """The settings, the files and the size of a WordPiece vocabulary."""
    lowercase = check_wordpiece(backend)
    by_id = sorted(backend["model"]["vocab"].items(), key=lambda entry: entry[1])
    require([i for _, i in by_id] == list(range(len(by_id))), "tokenizer: ids are not 0 to the size of the vocabulary")
    tokens = [token for token, _ in by_id]
    vocab = "".join(token + "\n" for token in tokens).encode()
    require(
        all(token == token.rstrip() and "\n" not in token for token in tokens),
        "tokenizer: a vocabulary entry that a line of text cannot hold",
    )
    if (folder / "vocab.txt").is_file():
        vocab = (folder / "vocab.txt").read_bytes()
        with blaming("vocab.txt"):
            lines = vocab.decode().removesuffix("\n").split("\n")
        require([line.rstrip() for line in lines] == tokens, "vocab.txt and the tokenizer's vocabulary differ")
    return {"kind": "wordpiece", "lowercase": lowercase}, {"vocab": vocab}, len(tokens)


def class_name(folder: Path) -> str:
    """The tokenizer's class as its config names it, with its way to find words if that is not BERT's."""
    file = folder / "tokenizer_config.json"
    if not file.is_file():
        return "tokenizer"
    with blaming(file.name):
        config = json.loads(file.read_text(encoding="utf-8"))
        words = config.get("word_tokenizer_type")
        return f"{config.get('tokenizer_class', 'tokenizer')}{f' ({words})' if words else ''}"


def load_fast(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer in its fast form."""
    names = ["vocab.txt", "tokenizer.json", *(file.name for file in folder.glob("*.model"))]
    present = any((folder / name).is_file() for name in names)
    require(present, "no vocab.txt, no tokenizer.json and no SentencePiece model")
    name = class_name(folder)
    described = "tokenizer.json" if (folder / "tokenizer.json").is_file() else f"{name} has no fast form here"
    with blaming(described):
        fast = AutoTokenizer.from_pretrained(folder, use_fast=True, trust_remote_code=False)
    require(fast.is_fast, f"{name} has no fast form")
    return fast


def load_tokenizer(folder: Path, config: PretrainedConfig, positions: int) -> Tokenizer:
    fast = load_fast(folder)
    backend = json.loads(fast.backend_tokenizer.to_str())
    kind = backend["model"]["type"]
    require(kind in ("WordPiece", "Unigram"), f"tokenizer model {kind}: only WordPiece and Unigram can be exported")
    ends = fast("").input_ids
    if kind == "WordPiece":
        settings, files, size = wordpiece(folder, backend)
        expected = [backend["model"]["vocab"][token] for token in ("[CLS]", "[SEP]")]
        require(ends == expected, "tokenizer: it does not put a text between [CLS] and [SEP]")
    else:
        with blaming("tokenizer"):
            found = export_sentencepiece.describe(fast)
        settings, files, size = found.settings, found.files, found.pieces
    require(size <= config.vocab_size, f"vocabulary of {size} entries, embeddings of {config.vocab_size}")
    max_tokens = min(positions, fast.model_max_length)
    require(max_tokens >= 3, f"a text of at most {max_tokens} tokens is too short")
    return Tokenizer(fast, settings, files, ends[0], ends[1], max_tokens)
