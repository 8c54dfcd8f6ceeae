#!/usr/bin/env python3
"""Compares `reviewrate tokenize` with transformers' fast tokenizers on real reviews, id by id.

    tests/compare_sentencepiece.py build/reviewrate --reviews imdb_labelled.jsonl.xz -n 10000 --random 20000

SentencePiece models are trained on the reviews: one of ALBERT's kind, uncased and cased, and one of XLM-RoBERTa's.
Exits 1 if ids differ anywhere.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
from pathlib import Path

from transformers import AutoTokenizer
from transformers.utils import logging

import make_sentencepiece_models
from compare_tokenizer import imdb_texts, random_texts, report, scalar_texts, tokenize_command
from make_sentencepiece_models import export


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path, metavar="BINARY", help="the reviewrate program")
    parser.add_argument("--reviews", type=Path, required=True, metavar="FILE", help="reviews, xz-compressed jsonl")
    parser.add_argument("-n", "--number", type=int, default=10000, help="how many reviews (default: %(default)s)")
    parser.add_argument("--size", type=int, default=4000, help="pieces of each model (default: %(default)s)")
    parser.add_argument("--random", type=int, default=0, metavar="N", help="and this many random strings")
    parser.add_argument(
        "--all-scalars", action="store_true", help="and every Unicode scalar value, alone and in a word"
    )
    args = parser.parse_args()
    logging.set_verbosity_error()

    reviews = list(itertools.islice(imdb_texts(args.reviews), args.number))
    training = [*reviews[:3000], *make_sentencepiece_models.training_texts()]
    kinds = {
        "albert": lambda folder: make_sentencepiece_models.make_albert(folder, training, args.size),
        "albert cased": lambda folder: make_sentencepiece_models.make_albert(
            folder, training, args.size, do_lower_case=False, keep_accents=True
        ),
        "xlm-roberta": lambda folder: make_sentencepiece_models.make_xlm_roberta(folder, training, args.size),
    }
    equal = True
    for kind, make in kinds.items():
        with tempfile.TemporaryDirectory() as name:
            source, package = Path(name, "source"), Path(name, "package")
            source.mkdir()
            make(source)
            if export.main([str(source), "-o", str(package), "--license", "none"]) != 0:
                return 1
            reference = AutoTokenizer.from_pretrained(source).backend_tokenizer
            reference.no_truncation()
            command = tokenize_command(args.binary, package)
            equal &= report(f"{kind}: reviews", command, reference, reviews)
            if args.random:
                equal &= report(f"{kind}: random strings", command, reference, random_texts(args.random, 1))
            if args.all_scalars:
                equal &= report(f"{kind}: Unicode scalar values", command, reference, scalar_texts())
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
