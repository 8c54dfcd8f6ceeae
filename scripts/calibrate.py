#!/usr/bin/env python3
"""Calibrates a trained classifier on held-out train reviews and writes the folder that is exported.

Fits the temperature of least log loss (Guo et al., ICML 2017), on whole reviews and as many crops of one to several
sentences, a crop having the label of its review, and divides the classifier layer's weight and bias by
it, which is exact, so that every reader of the folder sees calibrated probabilities; stores the weights in fp16. With
--rating it also writes the nine thresholds on p that turn it into a rating of 1 to 10 with the least absolute error in
stars; with --confidence the percentiles of max(p, 1 - p) that tell the least sure N % of reviews.
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from scipy.optimize import minimize_scalar

from command_line import Parser, bounded, command, require
from encoder import Ids, load, predict, probability, scores, token_ids
from imdb import UNLABELLED, Review, read_hold_out, read_reviews
from teach_corpus import Reviews, require_vocabulary


def best_temperature(labels: np.ndarray, logits: np.ndarray) -> float:
    """The number to divide the logits [n, 2] by for the least log loss."""
    margin = np.where(labels == 1, 1.0, -1.0) * (logits[:, 1] - logits[:, 0])
    found = minimize_scalar(
        lambda log_t: np.logaddexp(0, -margin / np.exp(log_t)).mean(), bounds=(-3, 3), method="bounded"
    )
    return float(np.exp(found.x))


@torch.no_grad()
def fold_temperature(layer: torch.nn.Linear, temperature: float) -> None:
    """Makes the layer's own outputs the old ones divided by the temperature."""
    layer.weight.div_(temperature)
    layer.bias.div_(temperature)


def rate_linear(p: np.ndarray) -> np.ndarray:
    """10 times p rounded to one decimal, at least 1."""
    return np.array([max(1, round(10 * round(float(value), 1))) for value in p])


def rate_fitted(p: np.ndarray, thresholds: list[float]) -> np.ndarray:
    """1 and one more for each threshold that p reaches."""
    return 1 + np.searchsorted(thresholds, p, side="right")


def fit_thresholds(p: np.ndarray, stars: np.ndarray) -> list[float]:
    """Nine rising thresholds on p of least mean absolute error between rating and stars.

    Exact, by dynamic programming over the reviews in order of p. The fifth threshold is 0.5, so that a rating above 5
    and the label POSITIVE always go together.
    """
    values, group = np.unique(p, return_inverse=True)
    cost = np.zeros((len(values), 10))
    np.add.at(cost, group, np.abs(np.arange(1, 11) - stars[:, None]))
    positive = values >= 0.5
    cost[positive, :5] = np.inf
    cost[~positive, 5:] = np.inf
    best = np.zeros(10)
    came_from = np.zeros(cost.shape, dtype=int)
    for i, row in enumerate(cost):
        lowest = np.minimum.accumulate(best)
        came_from[i] = np.maximum.accumulate(np.where(best == lowest, np.arange(10), 0))
        best = lowest + row
    rating = np.zeros(len(values), dtype=int)
    column = int(np.argmin(best))
    for i in range(len(values) - 1, -1, -1):
        rating[i] = column
        column = came_from[i][column]
    edges = [0.0, *((values[1:] + values[:-1]) / 2), 1.0]
    thresholds = [float(edges[int((rating < k).sum())]) for k in range(1, 10)]
    low, high = ([min(t, 0.5) for t in thresholds[:4]], [max(t, 0.5) for t in thresholds[5:]])
    return [*low, 0.5, *high]


def crops(rows: Sequence[Ids], seed: int) -> list[np.ndarray]:
    """A crop of each row of token ids, with [CLS] and [SEP]."""
    reviews = Reviews(np.concatenate([row[1:-1] for row in rows]), np.array([len(row) - 2 for row in rows]))
    found = reviews.crops(np.arange(len(rows)), np.random.default_rng(seed))
    first, last = rows[0][:1], rows[0][-1:]
    spans = zip(found.start, found.length, strict=True)
    return [np.concatenate([first, reviews.flat_ids[start : start + length], last]) for start, length in spans]


def confidence_percentiles(p: np.ndarray) -> list[float]:
    """What max(p, 1 - p) of 1, 2, ... 50 % of the reviews is not above."""
    return [float(c) for c in np.percentile(np.maximum(p, 1 - p), range(1, 51))]


def chosen(path: Path, reviews: list[Review]) -> list[Review]:
    """The reviews whose ids the file names."""
    ids = read_hold_out(path, reviews)
    return [review for review in reviews if review.id in ids]


@command("calibrate")
def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser("calibrate", __doc__, argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("model", help="the trained classifier's folder")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the calibrated model")
    parser.add_argument("--data", nargs="+", required=True, help="sources of reviews, as finetune.py takes them")
    parser.add_argument("--hold-out", type=Path, required=True, help="file of held-out train ids, one a line")
    parser.add_argument("--rating", type=Path, help="json file of the fitted rating thresholds")
    parser.add_argument("--confidence", type=Path, help="json file of the percentiles of confidence")
    parser.add_argument("--kept", type=Path, help="file of ids of the reviews that --confidence goes by")
    parser.add_argument("--tokens", type=bounded(int, 3), default=512, help="longest input, cut head-tail")
    parser.add_argument("--seed", type=bounded(int, 0), default=1, help="of the crops")
    args = parser.parse_args(argv)
    if args.confidence and not args.kept:
        parser.error("--confidence: needs --kept")

    every = [review for source in args.data for review in read_reviews(source, ("train", "unsup"))]
    reviews = chosen(args.hold_out, [review for review in every if review.label != UNLABELLED])
    labels = np.array([review.label for review in reviews])
    stars = np.array([review.stars for review in reviews])
    require(
        not args.rating or bool((stars >= 1).all()),
        f"--rating: {(stars < 1).sum()} of the {len(stars)} reviews of --hold-out have no stars to fit thresholds to",
    )
    model, tokenizer = load(args.model)
    require_vocabulary(tokenizer.get_vocab(), args.model)
    rows = token_ids([review.text for review in reviews], tokenizer)
    parts = {"reviews": rows, "crops": crops(rows, args.seed)}
    logits = {name: predict(model, part, args.tokens) for name, part in parts.items()}
    temperature = best_temperature(np.tile(labels, len(parts)), np.concatenate(list(logits.values())))
    fold_temperature(model.classifier, temperature)
    model.half().save_pretrained(args.output)
    tokenizer.save_pretrained(args.output)
    model = load(args.output)[0]
    stored = {name: probability(predict(model, part, args.tokens)) for name, part in parts.items()}
    alone = ", ".join(f"{best_temperature(labels, logits[name]):.4f} ({name})" for name in parts)
    print(f"temperature {temperature:.4f}; of each alone {alone}")
    for name in parts:
        for when, p in (("before", probability(logits[name])), ("after, fp16", stored[name])):
            print(f"{name} {when}: " + " ".join(f"{key} {value:.4f}" for key, value in scores(labels, p).items()))
    if args.rating:
        thresholds = fit_thresholds(stored["reviews"], stars)
        ratings = {"linear": rate_linear(stored["reviews"]), "fitted": rate_fitted(stored["reviews"], thresholds)}
        for name, rating in ratings.items():
            error = np.abs(rating - stars)
            print(f"rating {name}: mean absolute error {error.mean():.3f}, within one {(error <= 1).mean():.4f}")
        args.rating.write_text(json.dumps({"thresholds": thresholds}, indent=2) + "\n")
    if args.confidence:
        kept = token_ids([review.text for review in chosen(args.kept, every)], tokenizer)
        p = probability(predict(model, kept, args.tokens))
        args.confidence.write_text(json.dumps({"percentiles": confidence_percentiles(p)}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
