#!/usr/bin/env python3
"""Blends a trained classifier with the n-gram teacher: is the blend better, and what does it say of other reviews?

Both are mixed as logits, (1 - w) * classifier + w * teacher, all times one factor; both numbers are fitted on the
held-out reviews by log loss. Prints the held-out scores of each alone and of the blend, with the paired gain in log
loss and its standard error, and writes soft targets for distill.py: the blend's of the unlabelled reviews, and the
teacher's own out-of-fold ones of the train reviews, which the classifier has learnt from.
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
from scipy.optimize import minimize
from scipy.special import expit

from command_line import Parser, bounded, command
from distill import read_teacher, soft_targets, token_ids, write_teacher
from encoder import load, log_losses, predict, scores
from imdb import Review, read_hold_out, read_reviews, training_reviews


def mixed(ours: np.ndarray, theirs: np.ndarray, weight: float, factor: float) -> np.ndarray:
    """The blend's probability of POSITIVE from the two logits."""
    return expit(factor * ((1 - weight) * ours + weight * theirs))


def fit_blend(labels: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """Weight and factor of least log loss."""
    found = minimize(
        lambda v: log_losses(labels, mixed(ours, theirs, v[0], np.exp(v[1]))).mean(), [0.3, 0.0], method="Nelder-Mead"
    )
    return float(found.x[0]), float(np.exp(found.x[1]))


def paired_gain(labels: np.ndarray, before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    """Mean fall in log loss from one model to the other on the same reviews, and its standard error."""
    gain = log_losses(labels, before) - log_losses(labels, after)
    return float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))


@command("blend")
def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser("blend", __doc__, argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("model", help="the classifier's folder")
    parser.add_argument("--data", nargs="+", required=True, help="sources of reviews, as finetune.py takes them")
    parser.add_argument("--hold-out", type=Path, required=True, help="file of held-out train ids, one a line")
    parser.add_argument("--teacher", type=Path, required=True, help="jsonl with id and p, from train_teacher.py")
    parser.add_argument("-o", "--output", type=Path, help="jsonl file of soft targets; none: only the scores")
    parser.add_argument(
        "--limit", type=bounded(int, 0), default=0, help="only so many of the unlabelled, chosen at random; 0 is all"
    )
    parser.add_argument(
        "--tokens", type=bounded(int, 3), default=256, help="longest input for the unlabelled, cut head-tail"
    )
    parser.add_argument("--bf16", action=argparse.BooleanOptionalAction, default=True, help="bf16 multiplications")
    parser.add_argument("--seed", type=bounded(int, 0), default=1)
    parser.add_argument("--cache", type=Path, help="folder that keeps token ids from one stage to the next")
    args = parser.parse_args(argv)

    splits = ("train", "test", "unsup") if args.output else ("train",)
    everything = [review for source in args.data for review in read_reviews(source, splits)]
    held_out = read_hold_out(args.hold_out, everything)
    teacher = read_teacher(args.teacher)
    model, tokenizer = load(args.model)

    def logits_of(reviews: list[Review], tokens: int) -> tuple[np.ndarray, np.ndarray]:
        rows = token_ids([review.text for review in reviews], tokenizer, args.cache)
        p = np.clip(soft_targets(teacher, reviews), 1e-6, 1 - 1e-6)
        return np.subtract(*predict(model, rows, tokens, args.bf16).T[::-1]), np.log(p / (1 - p))

    judged = [review for review in everything if review.id in held_out]
    labels = np.array([review.label for review in judged])
    ours, theirs = logits_of(judged, 512)
    weight, factor = fit_blend(labels, ours, theirs)
    sharp = fit_blend(labels, ours, ours)[1]
    p = {
        "classifier": mixed(ours, ours, 0, 1),
        "classifier, temperature": mixed(ours, ours, 0, sharp),
        "teacher": mixed(theirs, theirs, 0, 1),
        f"blend, teacher {weight:.2f}, factor {factor:.2f}": mixed(ours, theirs, weight, factor),
    }
    for name, values in p.items():
        print(f"{name}: " + " ".join(f"{key} {value:.4f}" for key, value in scores(labels, values).items()))
    gain, error = paired_gain(labels, mixed(ours, ours, 0, sharp), mixed(ours, theirs, weight, factor))
    print(f"log loss falls by {gain:.4f} +- {error:.4f} from the classifier at its best temperature to the blend")
    if args.output is None:
        return
    allowed = training_reviews(everything, held_out)
    train = [review for review in allowed if review.split == "train"]
    soft = dict(zip((review.id for review in train), soft_targets(teacher, train), strict=True))
    rest = [review for review in allowed if review.split == "unsup"]
    if args.limit:
        rest = random.Random(args.seed).sample(rest, min(args.limit, len(rest)))
    blended = mixed(*logits_of(rest, args.tokens), weight, factor)
    soft.update(zip((review.id for review in rest), blended, strict=True))
    write_teacher(args.output, soft)


if __name__ == "__main__":
    sys.exit(main())
