"""A fast tokenizer of the kind Unigram, as reviewrate's "sentencepiece" tokenizer takes it.

`describe(fast)` gives the settings for the manifest and the files: a SentencePiece model that holds the tokenizer's
vocabulary in transformers' own order and with its scores, so that conventions such as fairseq's offset of ids need no
rule in the program, and the table of normalization rules. Whatever the program does not do the same way is refused.

Part of export.py.
"""

import base64
import json
import struct
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerFast

from command_line import require

MARK = "\u2581"
NORMAL, UNKNOWN, CONTROL, UNUSED = 1, 2, 3, 5  # types of pieces in sentencepiece_model.proto

# Normalizers in the words of tokenizer.json, and the steps of the program that do the same.
STEPS: list[tuple[str, list[dict[str, Any]]]] = [
    (
        "quotes",
        [
            {"type": "Replace", "pattern": {"String": "``"}, "content": '"'},
            {"type": "Replace", "pattern": {"String": "''"}, "content": '"'},
        ],
    ),
    ("unaccent", [{"type": "NFKD"}, {"type": "StripAccents"}]),
    ("lowercase", [{"type": "Lowercase"}]),
    ("charsmap", [{"type": "Precompiled"}]),
    ("strip-right", [{"type": "Strip", "strip_left": False, "strip_right": True}]),
    ("merge-spaces", [{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "}]),
    ("mark-long-spaces", [{"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": MARK}]),
]


@dataclass
class Description:
    """What the manifest says of the tokenizer, and the files that go with it by their keys there."""

    settings: dict[str, Any]
    files: dict[str, bytes]
    pieces: int


def flat(part: dict[str, Any] | None, key: str) -> list[dict[str, Any]]:
    """The members of a Sequence, or the one that is none."""
    if part is None:
        return []
    return [leaf for member in part[key] for leaf in flat(member, key)] if part["type"] == "Sequence" else [part]


def normalizer_steps(normalizer: dict[str, Any] | None) -> tuple[list[str], bytes | None]:
    """The program's steps, and the table of rules if one of them wants it."""
    left = flat(normalizer, "normalizers")
    charsmaps = {part.pop("precompiled_charsmap") for part in left if part["type"] == "Precompiled"}
    require(len(charsmaps) <= 1, "two tables of normalization rules")
    charsmap = charsmaps.pop() if charsmaps else None
    require(charsmap is None or len(charsmap) > 8, "an empty table of normalization rules")
    steps = []
    while left:
        step = next((name for name, parts in STEPS if left[: len(parts)] == parts), None)
        require(step is not None, f"the program has no normalizer {json.dumps(left[0], ensure_ascii=False)[:100]}")
        steps.append(str(step))
        del left[: len(dict(STEPS)[str(step)])]
    return steps, None if charsmap is None else base64.b64decode(charsmap)


def splits_white_space(pre_tokenizer: dict[str, Any] | None) -> bool:
    parts = flat(pre_tokenizer, "pretokenizers")
    kinds = [part["type"] for part in parts]
    require(kinds in (["Metaspace"], ["WhitespaceSplit", "Metaspace"]), f"pre-tokenizer {' + '.join(kinds) or 'none'}")
    metaspace = parts[-1]
    usual = {"replacement": MARK, "prepend_scheme": "always", "split": True}
    for key, value in usual.items():
        require(metaspace.get(key, value) == value, f"Metaspace with {key} {metaspace.get(key)}, not {value}")
    return len(parts) == 2


def field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer message that holds bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def sentencepiece_model(pieces: list[tuple[str, float, int]]) -> bytes:
    """A ModelProto of pieces (text, score, type) and of what says that it is a unigram model."""
    parts = [
        field(1, field(1, text.encode()) + b"\x15" + struct.pack("<f", score) + b"\x18" + bytes([kind]))
        for text, score, kind in pieces
    ]
    unknown = next(text for text, _, kind in pieces if kind == UNKNOWN)
    return b"".join(parts) + field(2, b"\x18\x01" + field(45, unknown.encode()))


def describe(fast: PreTrainedTokenizerFast) -> Description:
    """The tokenizer for a package; BadInput if the program would give other ids."""
    backend = json.loads(fast.backend_tokenizer.to_str())
    model, added = backend["model"], sorted(backend["added_tokens"], key=lambda token: token["id"])
    require(model["type"] == "Unigram", f"its model is {model['type']}")
    require(not model.get("byte_fallback"), "byte fallback")
    require(model["unk_id"] is not None, "no unknown piece")
    steps, charsmap = normalizer_steps(backend["normalizer"])

    special = {token["id"] for token in added}
    kinds = {i: CONTROL for i in special} | {model["unk_id"]: UNKNOWN}
    pieces = [(text, score, kinds.get(i, NORMAL)) for i, (text, score) in enumerate(model["vocab"])]
    special_tokens = []
    for token in added:
        text = token["content"]
        require(
            not token["single_word"] and not token["rstrip"], f"{text} is matched in a way the program does not know"
        )
        if token["id"] == len(pieces):
            pieces.append((text, 0.0, UNUSED))
        require(token["id"] < len(pieces) and pieces[token["id"]][0] == text, f"no piece of its own for {text}")
        if token["normalized"] and fast.backend_tokenizer.normalizer is not None:
            text = fast.backend_tokenizer.normalizer.normalize_str(text)
        require(text != "", f"nothing is left of {token['content']} when normalized")
        special_tokens.append(
            {"text": text, "id": token["id"], "strip_left": token["lstrip"], "normalized": token["normalized"]}
        )
    require(len({text for text, _, _ in pieces}) == len(pieces), "two pieces of the same text")
    require(all(len(text.encode()) <= 1024 for text, _, _ in pieces), "a piece of more than 1,024 bytes")

    ends, word = fast("").input_ids, fast("a").input_ids
    require(
        len(ends) == 2 and [word[0], word[-1]] == ends and max(ends) < len(pieces),
        "it does not put a text between one special token and another",
    )
    settings = {
        "kind": "sentencepiece",
        "normalizer": steps,
        "split_white_space": splits_white_space(backend["pre_tokenizer"]),
        "begin": pieces[ends[0]][0],
        "end": pieces[ends[1]][0],
        "special_tokens": special_tokens,
    }
    files = {"model": sentencepiece_model(pieces)}
    if charsmap is not None:
        files["charsmap"] = charsmap
    return Description(settings, files, len(pieces))
