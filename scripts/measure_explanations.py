#!/usr/bin/env python3
"""Measures the explanations of `reviewrate classify --explain sentences` on reviews of few sentences.

Compared with exact Shapley values (every set of sentences): correlation. Compared with leave-one-out, SHAP's
PartitionExplainer and LIME (where the packages shap and lime are installed) at as many evaluations of the same model:
comprehensiveness and sufficiency (DeYoung et al., ERASER, ACL 2020), here the log odds of the label that are lost by
taking the one, two and three sentences out that speak most for it, and by keeping nothing else, on average.
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from command_line import Parser, bounded, command, require
from imdb import read_reviews

EXACT = 1024  # evaluations: every set of up to ten sentences


class Program:
    """The program as a function from texts to their log odds of the positive label."""

    def __init__(self, path: str) -> None:
        self.path = path
        words = [path, "-q", "-f", "jsonl", "--input-format", "jsonl", "-"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        found: list[float] = []
        assert self.process.stdin and self.process.stdout
        for begin in range(0, len(texts), 32):  # fewer than would fill the pipe both ways
            part = texts[begin : begin + 32]
            for text in part:
                self.process.stdin.write(json.dumps({"text": text}) + "\n")
            self.process.stdin.flush()
            for _ in part:
                p = json.loads(self.process.stdout.readline())["p_positive"]
                found.append(math.log(p / (1 - p)))
        return np.array(found)

    def explanations(self, texts: Sequence[str], budget: int) -> list[list[dict[str, Any]]]:
        """The parts of each text."""
        words = [self.path, "-q", "-f", "jsonl", "--input-format", "jsonl", "-", "--explain", "sentences"]
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        run = subprocess.run(
            [*words, "--explain-budget", str(budget)], input=lines, capture_output=True, text=True, check=True
        )
        return [json.loads(line)["explanation"]["parts"] for line in run.stdout.splitlines()]


Values = Callable[[np.ndarray], np.ndarray]  # of sets of sentences [n, sentences]


def leave_one_out(count: int, values: Values, budget: int) -> np.ndarray:
    return values(np.ones((1, count))) - values(1 - np.eye(count))


def partition(count: int, values: Values, budget: int) -> np.ndarray:
    import shap
    from scipy.cluster.hierarchy import linkage

    neighbours = linkage(np.arange(count)[:, None].astype(float), "average")
    masker = shap.maskers.Partition(np.zeros((1, count)), clustering=neighbours)
    explainer = shap.PartitionExplainer(values, masker)
    return explainer(np.ones((1, count)), max_evals=budget, silent=True).values[0]


def lime(count: int, values: Values, budget: int) -> np.ndarray:
    from lime.lime_base import LimeBase

    random = np.random.default_rng(0)
    sets = np.ones((budget, count))
    for row in sets[1:]:  # as lime_text draws them
        row[random.choice(count, random.integers(1, count + 1), replace=False)] = 0
    distances = 100 * (1 - np.sqrt(sets.mean(axis=1)))  # cosine, as in lime_text
    base = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 25**2)), random_state=0)
    labels = values(sets)[:, None]
    _, weights, _, _ = base.explain_instance_with_data(sets, labels, distances, 0, count, feature_selection="none")
    return np.array([weight for _, weight in sorted(weights)])


def erased(order: np.ndarray, values: Values, sign: float) -> tuple[float, float]:
    """Comprehensiveness and sufficiency of an order of sentences, the first speaking most for the label."""
    sets = [np.ones(len(order))]
    for count in range(1, min(3, len(order) - 1) + 1):
        kept = np.zeros(len(order))
        kept[order[:count]] = 1
        sets += [1 - kept, kept]
    lost = sign * (values(np.array(sets[:1]))[0] - values(np.array(sets[1:])))
    return float(lost[0::2].mean()), float(lost[1::2].mean())


@command("measure_explanations")
def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser("measure_explanations", __doc__)
    parser.add_argument("--data", required=True, help="source of reviews, as finetune.py takes them")
    parser.add_argument("--reviews", type=bounded(int, 1), default=200, help="how many (default: 200)")
    parser.add_argument("--budget", type=bounded(int, 2), default=64, help="evaluations a review (default: 64)")
    default = Path(__file__).resolve().parent.parent / "build" / "reviewrate"
    parser.add_argument("--program", default=os.environ.get("REVIEWRATE_BIN", str(default)), help="the program")
    args = parser.parse_args(argv)

    program = Program(args.program)
    reviews = [review.text for review in read_reviews(args.data, ("train",)) if len(review.text) < 2200]
    np.random.default_rng(1).shuffle(reviews)
    found = program.explanations(reviews[: 4 * args.reviews], 2)
    chosen = [
        (text, parts)
        for text, parts in zip(reviews, found, strict=False)
        if 3 <= len(parts) <= 10 and all(part.get("seen", True) for part in parts)
    ][: args.reviews]
    require(bool(chosen), f"{args.data}: no review of 3 to 10 sentences")
    texts = [text for text, _ in chosen]
    ours = program.explanations(texts, args.budget)
    exact = program.explanations(texts, EXACT)

    methods: dict[str, Callable[[int, Values, int], np.ndarray]] = {"leave-one-out": leave_one_out}
    if importlib.util.find_spec("shap"):
        methods["SHAP PartitionExplainer"] = partition
    if importlib.util.find_spec("lime"):
        methods["LIME"] = lime
    contributions: dict[str, list[np.ndarray]] = {"reviewrate": [], "exact": []}
    scores: dict[str, list[tuple[float, float]]] = {}
    for (text, parts), mine, best in zip(chosen, ours, exact, strict=True):
        sentences = [text[part["start"] : part["end"]] for part in parts]

        def values(sets: np.ndarray, sentences: list[str] = sentences) -> np.ndarray:
            return program([" ".join(s for s, take in zip(sentences, row, strict=True) if take) for row in sets])

        known = {"reviewrate": mine, "exact": best}
        own = {name: np.array([part["contribution"] for part in each]) for name, each in known.items()}
        for name, method in methods.items():
            own[name] = method(len(parts), values, args.budget)
        sign = 1.0 if values(np.ones((1, len(parts))))[0] > 0 else -1.0
        for name, contribution in own.items():
            contributions.setdefault(name, []).append(contribution)
            order = np.argsort(-sign * contribution, kind="stable")
            scores.setdefault(name, []).append(erased(order, values, sign))
    print(f"{len(chosen)} reviews of 3 to 10 sentences, {args.budget} evaluations")
    print("| | correlation with exact | mean of the reviews' | lowest | comprehensiveness | sufficiency |")
    print("|---|--:|--:|--:|--:|--:|")
    for name, values_found in contributions.items():
        pooled = np.corrcoef(np.concatenate(values_found), np.concatenate(contributions["exact"]))[0, 1]
        each = [np.corrcoef(a, b)[0, 1] for a, b in zip(values_found, contributions["exact"], strict=True)]
        taken, kept = np.mean(scores[name], axis=0)
        print(f"| {name} | {pooled:.4f} | {np.mean(each):.4f} | {np.min(each):.4f} | {taken:.3f} | {kept:.3f} |")


if __name__ == "__main__":
    sys.exit(main())
