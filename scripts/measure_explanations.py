#!/usr/bin/env python3
"""Measures the explanations of `reviewrate classify --explain sentences` on reviews of few sentences.

The value of every set of a review's sentences is asked for once. From these come exact Shapley values, with which
correlation is measured, and comprehensiveness and sufficiency (DeYoung et al., ERASER, ACL 2020): here the log odds of
the label that are lost by taking the one, two and three sentences out that speak most for it, and by keeping nothing
else, on average. Peers, where their packages are installed: SHAP's PartitionExplainer, LIME, and Captum's integrated
gradients (the model's weights in transformers, a forward and a backward pass a step), each with as many evaluations as
the program's --explain-budget; leave-one-out takes one a sentence.
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

from command_line import Parser, bounded, command, read_text, require
from imdb import read_reviews

FEWEST, MOST = 3, 10  # sentences
RESAMPLES = 10000
OURS, EXACT = "reviewrate", "exact Shapley values"
KEYS = ("correlation", "comprehensiveness", "sufficiency")  # of each review


class Program:
    """The program as a function from texts to their log odds of the positive label."""

    def __init__(self, path: str, model: str) -> None:
        self.words = [path, "-m", model, "-j", "1", "-q", "-f", "jsonl", "--input-format", "jsonl", "-"]
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

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
        lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
        words = [*self.words, "--explain", "sentences", "--explain-budget", str(budget)]
        run = subprocess.run(words, input=lines, capture_output=True, text=True, check=True)
        return [json.loads(line)["explanation"]["parts"] for line in run.stdout.splitlines()]


Values = Callable[[np.ndarray], np.ndarray]  # of sets of sentences [n, sentences]
Method = Callable[[list[str], Values, int], np.ndarray]  # from sentences to their contributions


def exact(sentences: list[str], values: Values, budget: int) -> np.ndarray:
    """The definition: for each sentence the weighted mean of what it adds to each set of others."""
    count = len(sentences)
    sets = all_sets(count)
    known = values(sets)
    weights = np.array([1 / (count * math.comb(count - 1, size)) for size in range(count)])
    result = np.zeros(count)
    for i in range(count):
        others = np.flatnonzero(sets[:, i] == 0)
        result[i] = weights[sets[others].sum(axis=1)] @ (known[others + (1 << i)] - known[others])
    return result


def all_sets(count: int) -> np.ndarray:
    """Every set of sentences; that of number m has sentence i if bit i of m is set."""
    return (np.arange(1 << count)[:, None] >> np.arange(count)) & 1


def leave_one_out(sentences: list[str], values: Values, budget: int) -> np.ndarray:
    count = len(sentences)
    return values(np.ones((1, count))) - values(1 - np.eye(count))


def partition(sentences: list[str], values: Values, budget: int) -> np.ndarray:
    import shap
    from scipy.cluster.hierarchy import linkage

    count = len(sentences)
    neighbours = linkage(np.arange(count)[:, None].astype(float), "average")
    masker = shap.maskers.Partition(np.zeros((1, count)), clustering=neighbours)
    explainer = shap.PartitionExplainer(values, masker)
    return explainer(np.ones((1, count)), max_evals=budget, silent=True).values[0]


def lime(sentences: list[str], values: Values, budget: int) -> np.ndarray:
    from lime.lime_base import LimeBase

    count = len(sentences)
    random = np.random.default_rng(0)
    sets = np.ones((budget, count))
    for row in sets[1:]:  # as lime_text draws them
        row[random.choice(count, random.integers(1, count + 1), replace=False)] = 0
    distances = 100 * (1 - np.sqrt(sets.mean(axis=1)))  # cosine, as in lime_text
    base = LimeBase(lambda d: np.sqrt(np.exp(-(d**2) / 25**2)), random_state=0)
    labels = values(sets)[:, None]
    _, weights, _, _ = base.explain_instance_with_data(sets, labels, distances, 0, count, feature_selection="none")
    return np.array([weight for _, weight in sorted(weights)])


class IntegratedGradients:
    """Captum's, of the word embeddings, from those of [PAD] between [CLS] and [SEP] as its tutorial for BERT has it."""

    def __init__(self, package: Path) -> None:
        import torch
        from captum.attr import LayerIntegratedGradients
        from transformers import BertTokenizerFast

        from native_distilbert import to_transformers

        torch.set_num_threads(1)
        manifest = json.loads(read_text(package / "manifest.json"))
        labels = manifest["labels"]
        self.positive = labels.index(manifest["positive"])
        self.model = to_transformers(torch.jit.load(str(package / manifest["model"]["file"])), labels)
        self.tokenizer = BertTokenizerFast(
            vocab_file=str(package / manifest["tokenizer"]["files"]["vocab"]["file"]),
            do_lower_case=manifest["tokenizer"]["lowercase"],
        )
        self.gradients = LayerIntegratedGradients(self.log_odds, self.model.distilbert.embeddings.word_embeddings)

    def log_odds(self, ids: Any) -> Any:
        logits = self.model(input_ids=ids).logits
        return logits[:, self.positive] - logits[:, 1 - self.positive]

    def __call__(self, sentences: list[str], values: Values, budget: int) -> np.ndarray:
        import torch

        tokens = [self.tokenizer.encode(sentence, add_special_tokens=False) for sentence in sentences]
        inside = [token for part in tokens for token in part]
        begin, end, pad = self.tokenizer.cls_token_id, self.tokenizer.sep_token_id, self.tokenizer.pad_token_id
        ids = torch.tensor([[begin, *inside, end]])
        assert abs(self.log_odds(ids).item() - values(np.ones((1, len(sentences))))[0]) < 1e-3  # the same model
        found = self.gradients.attribute(
            ids,
            baselines=torch.tensor([[begin, *[pad] * len(inside), end]]),
            n_steps=budget,
            internal_batch_size=8,
        )
        by_token = found.sum(dim=-1)[0].detach().double().numpy()[1:-1]
        ends = np.cumsum([len(part) for part in tokens])
        return np.array([by_token[e - len(part) : e].sum() for part, e in zip(tokens, ends, strict=True)])


def erased(order: np.ndarray, values: Values, sign: float) -> tuple[float, float]:
    """Comprehensiveness and sufficiency of an order of sentences, the first speaking most for the label."""
    sets = [np.ones(len(order))]
    for count in range(1, min(3, len(order) - 1) + 1):
        kept = np.zeros(len(order))
        kept[order[:count]] = 1
        sets += [1 - kept, kept]
    lost = sign * (values(np.array(sets[:1]))[0] - values(np.array(sets[1:])))
    return float(lost[0::2].mean()), float(lost[1::2].mean())


def measure(text: str, parts: list[dict[str, Any]], program: Program, methods: dict[str, Method], budget: int) -> Any:
    """What each method says of a review, and how well it does."""
    sentences = [text[part["start"] : part["end"]] for part in parts]
    texts = [" ".join(s for s, take in zip(sentences, row, strict=True) if take) for row in all_sets(len(parts))]
    known = program(texts)

    def values(sets: np.ndarray) -> np.ndarray:
        return known[np.asarray(sets, dtype=int) @ (1 << np.arange(len(parts)))]

    sign = 1.0 if known[-1] > 0 else -1.0
    contributions = {OURS: np.array([part["contribution"] for part in parts])}
    contributions |= {name: method(sentences, values, budget) for name, method in methods.items()}
    found = {}
    for name, each in contributions.items():
        taken, kept = erased(np.argsort(-sign * each, kind="stable"), values, sign)
        found[name] = {
            "contributions": list(each),
            "correlation": float(np.corrcoef(each, contributions[EXACT])[0, 1]),
            "comprehensiveness": taken,
            "sufficiency": kept,
        }
    return found


def difference(a: np.ndarray, b: np.ndarray) -> str:
    """The mean of a - b with its 95 % interval: a bootstrap over the reviews."""
    random = np.random.default_rng(0)
    draws = (a - b)[random.integers(0, len(a), (RESAMPLES, len(a)))].mean(axis=1)
    low, high = np.percentile(draws, (2.5, 97.5))
    return f"{(a - b).mean():+.4f} ({low:+.4f} to {high:+.4f})"


def report(reviews: list[dict[str, Any]], budget: int) -> None:
    names = list(reviews[0])
    print(f"{len(reviews)} reviews of {FEWEST} to {MOST} sentences, {budget} evaluations\n")
    print("| | correlation | mean within a review | lowest | comprehensiveness | sufficiency |")
    print("|---|--:|--:|--:|--:|--:|")
    of = {(name, key): np.array([review[name][key] for review in reviews]) for name in names for key in KEYS}
    pooled = {name: np.concatenate([review[name]["contributions"] for review in reviews]) for name in names}
    for name in names:
        together = np.corrcoef(pooled[name], pooled[EXACT])[0, 1]
        each = of[name, "correlation"]
        taken, kept = of[name, "comprehensiveness"].mean(), of[name, "sufficiency"].mean()
        print(f"| {name} | {together:.4f} | {each.mean():.4f} | {each.min():.4f} | {taken:.3f} | {kept:.3f} |")
    print("\n| reviewrate less | mean within a review | comprehensiveness | sufficiency |\n|---|--:|--:|--:|")
    for name in names:
        if name == OURS:
            continue
        cells = [difference(of[OURS, key], of[name, key]) for key in KEYS]
        print(f"| {name} | {' | '.join(cells)} |")


@command("measure_explanations")
def main(argv: Sequence[str] | None = None) -> None:
    root = Path(__file__).resolve().parent.parent
    parser = Parser("measure_explanations", __doc__)
    parser.add_argument("--data", required=True, help="source of reviews, as finetune.py takes them")
    parser.add_argument("--reviews", type=bounded(int, 1), default=200, help="how many (default: 200)")
    parser.add_argument("--budget", type=bounded(int, 2), default=64, help="evaluations a review (default: 64)")
    parser.add_argument("--exclude", help="file of ids, one a line, of reviews that settings were chosen on")
    parser.add_argument("--state", help="file that keeps what was measured, to go on after an interruption")
    program_path = os.environ.get("REVIEWRATE_BIN", str(root / "build" / "reviewrate"))
    parser.add_argument("--program", default=program_path, help="the program")
    parser.add_argument("--model", default=str(root / "models" / "imdb-small"), help="the package")
    args = parser.parse_args(argv)

    excluded = set(read_text(args.exclude).split()) if args.exclude else set()
    program = Program(args.program, args.model)
    reviews = [r for r in read_reviews(args.data, ("train",)) if len(r.text) < 2200 and r.id not in excluded]
    np.random.default_rng(1).shuffle(reviews)  # type: ignore[arg-type]
    candidates = reviews[: 4 * args.reviews]
    found = program.explanations([review.text for review in candidates], 2)
    chosen = [
        review
        for review, parts in zip(candidates, found, strict=True)
        if FEWEST <= len(parts) <= MOST and all(part.get("seen", True) for part in parts)
    ][: args.reviews]
    require(bool(chosen), f"{args.data}: no review of {FEWEST} to {MOST} sentences")

    methods: dict[str, Method] = {EXACT: exact, "leave-one-out": leave_one_out}
    if importlib.util.find_spec("shap"):
        methods["SHAP PartitionExplainer"] = partition
    if importlib.util.find_spec("lime"):
        methods["LIME"] = lime
    if importlib.util.find_spec("captum"):
        methods["integrated gradients"] = IntegratedGradients(Path(args.model))

    measured: dict[str, Any] = {}
    if args.state and Path(args.state).exists():
        for line in read_text(args.state).splitlines():
            kept = json.loads(line)
            measured[kept["id"]] = kept["measured"]
    for review in chosen:
        if review.id in measured:
            continue
        parts = program.explanations([review.text], args.budget)[0]
        measured[review.id] = measure(review.text, parts, program, methods, args.budget)
        if args.state:
            with open(args.state, "a") as state:
                state.write(json.dumps({"id": review.id, "measured": measured[review.id]}) + "\n")
    report([measured[review.id] for review in chosen], args.budget)


if __name__ == "__main__":
    sys.exit(main())
