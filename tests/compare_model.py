#!/usr/bin/env python3
"""Compares the program's probabilities with those of transformers on real reviews of all lengths.

    tests/compare_model.py build/reviewrate --model models/imdb-small --source HF_FOLDER --imdb imdb_labelled.jsonl.xz

The reviews (jsonl, .xz or plain, with id, split, label and text) are those of the test half, taken at equal distances
in the order of their length. Both read a review's first 510 tokens. Transformers runs in fp32 on the weights rounded
to fp16, as the package holds them. Exit codes: 0 equal to 1e-5, and tokens equal; 1 not; 2 usage or a broken run.
"""

import argparse
import json
import lzma
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import logging

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from export_model import label_names, load_model, rounded, same_weights
from export_reference import transformers_probabilities

MAX_TOKENS = 512
TOLERANCE = 1e-5


def read_reviews(path: Path) -> list[dict[str, Any]]:
    with lzma.open(path, "rt") if path.suffix == ".xz" else path.open() as file:
        reviews = [json.loads(line) for line in file]
    return [review for review in reviews if review.get("split", "test") == "test"]


def spread(
    reviews: list[dict[str, Any]], count: int, tokenizer: PreTrainedTokenizerFast
) -> list[tuple[dict[str, Any], list[int]]]:
    """`count` reviews from the shortest to the longest, each with all its ids but [CLS] and [SEP]."""
    texts = [review["text"] for review in reviews]
    ids = tokenizer(texts, add_special_tokens=False, verbose=False).input_ids
    order = sorted(range(len(reviews)), key=lambda i: (len(ids[i]), reviews[i]["id"]))
    count = min(count, len(order))
    step = (len(order) - 1) / max(1, count - 1)
    return [(reviews[i], ids[i]) for i in (order[round(k * step)] for k in range(count))]


def run_program(args: argparse.Namespace, reviews: list[dict[str, Any]]) -> list[dict[str, Any]]:
    command = [str(args.binary), "-m", str(args.model), "--long-text", "head"]
    command += ["--input-format", "jsonl", "-f", "jsonl", "-"]
    lines = "".join(json.dumps({"id": review["id"], "text": review["text"]}) + "\n" for review in reviews)
    with tempfile.TemporaryFile() as stdin:
        stdin.write(lines.encode())
        stdin.seek(0)
        begin = time.monotonic()
        done = subprocess.run(command, stdin=stdin, stdout=subprocess.PIPE, check=False)
        seconds = time.monotonic() - begin
    if done.returncode != 0:
        raise SystemExit(f"compare_model: {args.binary} ended with {done.returncode}")
    records = [json.loads(line) for line in done.stdout.decode().split("\n") if line]
    if [record["id"] for record in records] != [review["id"] for review in reviews]:
        raise SystemExit("compare_model: the records are not those of the reviews, in their order")
    tokens = sum(min(record["tokens"], MAX_TOKENS) for record in records)
    print(f"program: {len(records)} reviews, {tokens} tokens in {seconds:.1f} s")
    return records


def main() -> int:
    summary, _, details = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("binary", type=Path, help="the built reviewrate")
    parser.add_argument("--model", metavar="DIR", type=Path, required=True, help="the package")
    parser.add_argument("--source", metavar="DIR", required=True, help="the Hugging Face model it was made from")
    parser.add_argument("--imdb", metavar="FILE", type=Path, required=True, help="labelled reviews, jsonl or jsonl.xz")
    parser.add_argument("-n", "--number", type=int, default=500, help="how many reviews (default: %(default)s)")
    args = parser.parse_args()
    if args.number < 1:
        parser.error("-n must be at least 1")
    logging.set_verbosity_error()

    tokenizer = AutoTokenizer.from_pretrained(args.source)
    chosen = spread(read_reviews(args.imdb), args.number, tokenizer)
    records = run_program(args, [review for review, _ in chosen])

    model = load_model(Path(args.source))
    half = rounded(model)
    cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
    texts = [[[cls, *ids[: MAX_TOKENS - 2], sep]] for _, ids in chosen]
    expected = transformers_probabilities(half, texts)
    positive = json.loads((args.model / "manifest.json").read_text())["positive"]
    column = label_names(model).index(positive)
    p = [row[column] for row in expected]
    found = [record["p_positive"] for record in records]

    wrong_tokens = [
        review["id"]
        for (review, ids), record in zip(chosen, records, strict=True)
        if record["tokens"] != len(ids) + 2 or record["truncated"] != (len(ids) + 2 > MAX_TOKENS)
    ]
    differences = [abs(a - b) for a, b in zip(found, p, strict=True)]
    worst = max(range(len(differences)), key=differences.__getitem__)
    lengths = [len(ids) + 2 for _, ids in chosen]
    print(f"{len(chosen)} reviews of {min(lengths)} to {max(lengths)} tokens; other tokens in {len(wrong_tokens)}")
    if wrong_tokens:
        print("  such as " + ", ".join(wrong_tokens[:5]))
    print(f"largest difference from transformers, same weights: {differences[worst]:.2e} ({chosen[worst][0]['id']})")
    if same_weights(half, model):
        print("largest difference from unrounded weights: 0, they are fp16 already")
    else:
        unrounded = [row[column] for row in transformers_probabilities(model, texts)]
        largest = max(abs(a - b) for a, b in zip(found, unrounded, strict=True))
        print(f"largest difference from unrounded weights: {largest:.2e}")
    if all("label" in review for review, _ in chosen):
        right = sum((a >= 0.5) == bool(review["label"]) for a, (review, _) in zip(found, chosen, strict=True))
        print(f"{right / len(chosen):.1%} of these labels are right")
    return 0 if not wrong_tokens and differences[worst] <= TOLERANCE else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except SystemExit as error:
        if not isinstance(error.code, str):
            raise
        print(error.code, file=sys.stderr)
        sys.exit(2)
