#!/usr/bin/env python3
"""Compares `reviewrate tokenize` with the `tokenizers` package, id by id. Exits 1 if they differ anywhere.

BINARY has to be the reviewrate program; with the data sets and all Unicode scalar values the comparison takes minutes:

  tests/compare_tokenizer.py build/reviewrate --vocab-dir models/imdb-small \\
      --imdb imdb_labelled.jsonl.xz --unsup imdb_unsup.tsv.xz --all-scalars --random 200000
"""

from __future__ import annotations

import argparse
import itertools
import json
import lzma
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from tokenizers import AddedToken, Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")

BATCH_SIZE = 1000

# Spans of code points where scripts, marks, punctuation, blanks, controls and what decomposes are to be found.
INTERESTING_SPANS = (
    (0x00, 0x7F),
    (0x00, 0x7F),
    (0x00, 0x7F),
    (0x80, 0x17F),
    (0x180, 0x24F),
    (0x2B0, 0x36F),
    (0x370, 0x52F),
    (0x590, 0x6FF),
    (0x900, 0xDFF),
    (0xE00, 0xFFF),
    (0x1100, 0x11FF),
    (0x1AB0, 0x1AFF),
    (0x1DC0, 0x1FFF),
    (0x2000, 0x206F),
    (0x20D0, 0x22FF),
    (0x2E00, 0x2E7F),
    (0x3000, 0x30FF),
    (0x4E00, 0x4FFF),
    (0xAC00, 0xD7A3),
    (0xE000, 0xE0FF),
    (0xF900, 0xFAFF),
    (0xFE00, 0xFFFF),
    (0x1D100, 0x1D1FF),
    (0x1F300, 0x1F6FF),
    (0x2B820, 0x2B940),
    (0x2F800, 0x2FA1F),
    (0xE0000, 0xE01FF),
)


@dataclass(frozen=True)
class Difference:
    """A text for which the two do not agree."""

    text: str
    expected: list[int]
    actual: list[int]


def reference_tokenizer(vocab_dir: Path, *, lowercase: bool = True) -> Tokenizer:
    """The tokenizer that BertTokenizerFast makes of the vocab.txt in a folder, without truncation."""
    reference = BertWordPieceTokenizer(str(vocab_dir / "vocab.txt"), lowercase=lowercase, strip_accents=None)
    known = [token for token in SPECIAL_TOKENS if reference.token_to_id(token) is not None]
    reference.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in known])
    return reference._tokenizer


def run_binary(command: Sequence[str], texts: Sequence[str]) -> list[list[int]]:
    """The ids that `command` gives for each of the texts, which it gets as jsonl on its standard input."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stdin and process.stdout
        to_binary = process.stdin

        def feed() -> None:
            try:
                with to_binary:
                    for number, text in enumerate(texts):
                        to_binary.write(json.dumps({"id": str(number), "text": text}) + "\n")
            except BrokenPipeError:
                pass  # the exit status below tells why

        feeder = Thread(target=feed)
        feeder.start()
        records = [json.loads(line) for line in process.stdout]
        feeder.join()
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with exit status {process.returncode}")
    if [record["id"] for record in records] != [str(number) for number in range(len(texts))]:
        raise RuntimeError(f"{command[0]} gave {len(records)} records for {len(texts)} texts, or other ids than asked")
    for record in records:
        if "error" in record or len(record["tokens"]) != len(record["ids"]) or record["truncated"]:
            raise RuntimeError(f"{command[0]} gave a bad or cut record: {str(record)[:500]}")
    return [record["ids"] for record in records]


def tokenize_command(binary: Path, vocab_dir: Path) -> list[str]:
    """How the program is asked for all ids of jsonl texts; without a package in the folder, with its default model."""
    model = ["--model", str(vocab_dir)] if (vocab_dir / "manifest.json").exists() else []
    return [str(binary.resolve()), "tokenize", *model, "--max-tokens", "0", "--input-format", "jsonl", "-"]


def compare(command: Sequence[str], reference: Tokenizer, texts: Sequence[str]) -> list[Difference]:
    """The texts for which `command` gives other ids than the reference."""
    differences = []
    actual = run_binary(command, texts)
    for start in range(0, len(texts), BATCH_SIZE):
        batch = texts[start : start + BATCH_SIZE]
        encodings = reference.encode_batch_fast(list(batch))
        for text, encoding, ids in zip(batch, encodings, actual[start : start + BATCH_SIZE], strict=True):
            if encoding.ids != ids:
                differences.append(Difference(text, encoding.ids, ids))
    return differences


def scalar_texts() -> Iterator[str]:
    """Every Unicode scalar value, alone and inside a word."""
    for code_point in range(sys.maxunicode + 1):
        if not 0xD800 <= code_point < 0xE000:
            char = chr(code_point)
            yield char
            yield f"a{char}b"


def random_texts(count: int, seed: int, max_length: int = 40) -> Iterator[str]:
    """Short strings of English words' letters and of code points from all the interesting places."""
    generator = random.Random(seed)
    letters = "eeetaoinshrdlu      .,'"

    def piece() -> str:
        kind = generator.random()
        if kind < 0.45:
            return generator.choice(letters)
        if kind < 0.97:
            return chr(generator.randint(*generator.choice(INTERESTING_SPANS)))
        token = generator.choice(SPECIAL_TOKENS)
        return generator.choice((token, token.lower(), token[1:], token[:-1], f"[{token}"))

    for _ in range(count):
        yield "".join(piece() for _ in range(generator.randint(1, max_length)))


def imdb_texts(path: Path) -> Iterator[str]:
    """The reviews of a labelled.jsonl.xz: one JSON object with a `text` a line."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)["text"]


def unsup_texts(path: Path) -> Iterator[str]:
    """The reviews of an unsup.tsv.xz: id, tab, text, below a line of names."""
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        next(lines)
        for line in lines:
            yield line.rstrip("\n").split("\t", 1)[1]


def report(name: str, command: Sequence[str], reference: Tokenizer, texts: Iterable[str]) -> bool:
    """Compares texts in parts, prints the first differences and the count, and returns whether all are equal."""
    compared = differing = 0
    remaining = iter(texts)
    while part := list(itertools.islice(remaining, 100 * BATCH_SIZE)):
        differences = compare(command, reference, part)
        for difference in differences[: max(0, 5 - differing)]:
            print(f"{name}: {difference.text[:200]!r}")
            print(f"  expected {difference.expected[:60]}\n  actual   {difference.actual[:60]}")
        compared += len(part)
        differing += len(differences)
    print(f"{name}: {compared} texts compared, {differing} differ", flush=True)
    return differing == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path, metavar="BINARY", help="the reviewrate program")
    parser.add_argument(
        "--vocab-dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the vocab.txt; a model package is used whole",
    )
    parser.add_argument("--cased", action="store_true", help="the model package is a cased one")
    parser.add_argument("--imdb", type=Path, metavar="FILE", help="labelled reviews, xz-compressed jsonl")
    parser.add_argument("--unsup", type=Path, metavar="FILE", help="unlabelled reviews, xz-compressed tsv")
    parser.add_argument("--all-scalars", action="store_true", help="every Unicode scalar value, alone and in a word")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="this many random strings (default: 0)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random strings (default: 1)")
    arguments = parser.parse_args()

    sources: list[tuple[str, Iterable[str]]] = []
    if arguments.imdb:
        sources.append(("labelled reviews", imdb_texts(arguments.imdb)))
    if arguments.unsup:
        sources.append(("unlabelled reviews", unsup_texts(arguments.unsup)))
    if arguments.all_scalars:
        sources.append(("Unicode scalar values", scalar_texts()))
    if arguments.random:
        sources.append((f"random strings, seed {arguments.seed}", random_texts(arguments.random, arguments.seed)))
    if not sources:
        parser.error("nothing to compare: give --imdb, --unsup, --all-scalars or --random")

    reference = reference_tokenizer(arguments.vocab_dir, lowercase=not arguments.cased)
    command = tokenize_command(arguments.binary, arguments.vocab_dir)
    results = [report(name, command, reference, texts) for name, texts in sources]
    return 0 if all(results) else 1


if __name__ == "__main__":
    raise SystemExit(main())
