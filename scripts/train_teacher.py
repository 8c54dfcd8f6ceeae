#!/usr/bin/env python3
"""The n-gram teacher: logistic regression on 1-3-grams weighted by naive Bayes (Wang and Manning, ACL 2012).

Writes one line {"id", "p"} for every review that is not of the test half. A train review's p comes from a model that
has not seen it, nor the neighbours in its block (reviews of one film stand together); unlabelled and held-out reviews
get the mean of all folds' models.
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from scipy.special import expit
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from command_line import Parser, bounded, command
from distill import write_teacher
from encoder import scores
from imdb import POSITIVE, block_of, read_hold_out, read_reviews, training_reviews

TOKEN = r"(?u)\w+(?:'\w+)?|[!?]"


def bayes_ratio(x: csr_matrix, labels: np.ndarray, smoothing: float = 1.0) -> np.ndarray:
    """Each n-gram's log ratio of its share in positive and in negative reviews (equation 3 of the paper)."""
    present = x.sign()
    positive = smoothing + np.asarray(present[labels == POSITIVE].sum(0)).ravel()
    negative = smoothing + np.asarray(present[labels != POSITIVE].sum(0)).ravel()
    return np.log(positive / positive.sum()) - np.log(negative / negative.sum())


def sharpness(labels: np.ndarray, logits: np.ndarray) -> float:
    """The factor on the logits with the least log loss."""
    sign = np.where(labels == POSITIVE, 1.0, -1.0)
    found = minimize_scalar(lambda a: np.logaddexp(0, -a * sign * logits).mean(), bounds=(0.1, 10), method="bounded")
    return float(found.x)


@command("train_teacher")
def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser("train_teacher", __doc__, argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="sources of reviews, as finetune.py takes them")
    parser.add_argument("--hold-out", type=Path, required=True, help="file of held-out train ids, one a line")
    parser.add_argument("-o", "--output", type=Path, required=True, help="jsonl file of the teacher's probabilities")
    parser.add_argument("--folds", type=bounded(int, 2), default=5)
    parser.add_argument("--block", type=bounded(int, 1), default=250, help="neighbours that stay in one fold")
    parser.add_argument("--min-count", type=bounded(int, 1), default=3, help="reviews an n-gram must stand in")
    parser.add_argument(
        "-C", type=bounded(float, 1e-9), default=30.0, help="inverse strength of the regression's L2 penalty"
    )
    args = parser.parse_args(argv)

    everything = [r for source in args.data for r in read_reviews(source, ("train", "test", "unsup"))]
    held_out = read_hold_out(args.hold_out, everything)
    allowed = training_reviews(everything, held_out)
    train = [r for r in allowed if r.split == "train"]
    rest = [r for r in allowed if r.split == "unsup"] + [r for r in everything if r.id in held_out]
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 3), min_df=args.min_count, token_pattern=TOKEN, sublinear_tf=True, dtype=np.float32
    )
    x = vectorizer.fit_transform(r.text.replace("<br />", " ") for r in train)
    x_rest = vectorizer.transform(r.text.replace("<br />", " ") for r in rest)
    labels = np.array([r.label for r in train])
    fold = np.array([block_of(r, args.block) % args.folds for r in train])
    print(f"{len(train)} train reviews, {x.shape[1]} n-grams", flush=True)

    out_of_fold, others = np.zeros(len(train)), np.zeros(len(rest))
    for number in range(args.folds):
        inside, outside = fold != number, fold == number
        ratio = bayes_ratio(x[inside], labels[inside]).astype(np.float32)
        model = LogisticRegression(C=args.C, solver="liblinear", dual=True, max_iter=300)
        model.fit(x[inside].multiply(ratio).tocsr(), labels[inside])
        weight, bias = model.coef_[0] * ratio, float(model.intercept_[0])
        out_of_fold[outside] = x[outside] @ weight + bias
        others += (x_rest @ weight + bias) / args.folds
        print(f"fold {number}: {(labels[outside] == (out_of_fold[outside] > 0)).mean():.4f} right", flush=True)
    factor = sharpness(labels, out_of_fold)
    p, p_rest = (expit(factor * logits) for logits in (out_of_fold, others))
    print(f"logits times {factor:.3f}; out of fold: {scores(labels, p)}")
    judged = np.array([i for i, r in enumerate(rest) if r.id in held_out])
    print(f"held out: {scores(np.array([rest[i].label for i in judged]), p_rest[judged])}")
    ids = (review.id for review in train + rest)
    write_teacher(args.output, dict(zip(ids, [*p, *p_rest], strict=True)))


if __name__ == "__main__":
    sys.exit(main())
