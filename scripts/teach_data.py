#!/usr/bin/env python3
"""Writes what teach.py learns from: token ids, labels, stars and folds of the reviews, and the student's start.

The hold-out is of blocks of neighbouring train reviews; folds are of such blocks too. Some unlabelled reviews are kept
out, for what is told of confidence. No review of the test half, and none with its text, is written.
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, set_seed

from command_line import Parser, blaming, bounded, command, empty_folder, require
from encoder import load, token_ids
from imdb import block_of, hold_out, read_reviews, training_reviews
from teach_corpus import HELD_OUT, UNLABELLED, require_vocabulary

BLOCK = 250  # neighbours, of each class, that are held out or put into a fold together
SPECIAL = {"[CLS]": "<s>", "[SEP]": "</s>", "[PAD]": "<pad>", "[MASK]": "<mask>"}  # MPNet's names of BERT's tokens


@command("teach_data")
def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser("teach_data", __doc__, argparse.ArgumentDefaultsHelpFormatter)
    add = parser.add_argument
    add("--data", nargs="+", required=True, help="sources of reviews, as finetune.py takes them")
    add("--base", type=Path, required=True, help="folder of all-mpnet-base-v2, for its vocabulary")
    add("--init", default="minilm", help="where the student starts")
    add(
        "-o", "--output", type=Path, required=True, help="folder for data.npz, the student's start and the lists of ids"
    )
    add("--hold-out", type=bounded(int, 1), default=2500, metavar="N")
    add("--kept", type=bounded(int, 0), default=2000, metavar="N", help="unlabelled reviews that are kept out")
    add("--folds", type=bounded(int, 2), default=3)
    add("--seed", type=bounded(int, 0), default=1)
    args = parser.parse_args(argv)
    require(args.base.is_dir(), f"{args.base}: no such folder")
    empty_folder(args.output)
    set_seed(args.seed)  # of the student's new layers

    reviews = [review for source in args.data for review in read_reviews(source, None)]
    held = hold_out([review for review in reviews if review.split != "unsup"], args.hold_out, BLOCK, args.seed)
    unlabelled = sorted(review.id for review in training_reviews(reviews, held) if review.split == "unsup")
    kept = set(random.Random(args.seed).sample(unlabelled, min(args.kept, len(unlabelled))))
    rows = training_reviews(reviews, held | kept)
    blocks = sorted({block_of(review, BLOCK) for review in rows if review.split == "train"})
    sources = " ".join(args.data)
    require(len(blocks) >= args.folds, f"{sources}: too few train reviews for {args.folds} folds beside the hold-out")
    random.Random(args.seed + 1).shuffle(blocks)
    fold_of = {block: number % args.folds for number, block in enumerate(blocks)}
    folds = [fold_of[block_of(review, BLOCK)] if review.split == "train" else UNLABELLED for review in rows]
    last = [review for review in reviews if review.id in held]
    rows, folds = rows + last, folds + [HELD_OUT] * len(last)

    model, tokenizer = load(args.init)
    ours = tokenizer.get_vocab()
    require_vocabulary(ours, args.init)
    with blaming(f"{args.base}: holds no tokenizer that can be read"):
        theirs = AutoTokenizer.from_pretrained(args.base, trust_remote_code=False).get_vocab()
    teacher_ids = np.zeros(len(ours), np.int64)
    for word, number in ours.items():
        same = SPECIAL.get(word, word)
        require(same in theirs, f"{args.base}: its vocabulary has no {same}, which the student's has")
        teacher_ids[number] = theirs[same]
    ids = token_ids([review.text for review in rows], tokenizer)
    np.savez(
        args.output / "data.npz",
        ids=np.concatenate([row[1:-1] for row in ids]).astype(np.uint16),
        lengths=np.array([len(row) - 2 for row in ids], np.int32),
        labels=np.array([review.label for review in rows], np.int8),
        stars=np.array([(review.stars - 5.5) / 4.5 if review.stars else 0.0 for review in rows], np.float32),
        folds=np.array(folds, np.int8),
        teacher_ids=teacher_ids.astype(np.uint16),
    )
    model.save_pretrained(args.output / "start")
    tokenizer.save_pretrained(args.output / "start")
    (args.output / "hold_out.txt").write_text("".join(f"{review_id}\n" for review_id in sorted(held)))
    (args.output / "kept.txt").write_text("".join(f"{review_id}\n" for review_id in sorted(kept)))
    sizes = [folds.count(fold) for fold in range(args.folds)]
    print(f"{len(rows)} reviews: {folds.count(UNLABELLED)} unlabelled, {len(last)} held out, folds of {sizes}")


if __name__ == "__main__":
    sys.exit(main())
