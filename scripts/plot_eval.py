#!/usr/bin/env python3
"""Draws the curves of `reviewrate eval --json FILE`: ROC, precision-recall, reliability, rating against stars.

Of more than two labels, or none that is the positive one: the confusion matrix and accuracy by coverage first.

Example: reviewrate eval labelled.jsonl --json eval.json && scripts/plot_eval.py eval.json curves.png curves.svg
"""

from __future__ import annotations

import project_venv  # noqa: F401

# isort: split
import itertools
import json
import math
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from command_line import Parser, blaming, command, read_text, require

Values = Sequence[float | None]


def measure(report: dict[str, Any], name: str) -> str:
    """A measure over all reviews, for people."""
    value = report["parts"]["all"]["measures"][name]
    return "not defined" if value is None else f"{value:.4f}"


def draw_curve(axes: Axes, title: str, x: tuple[str, Values], y: tuple[str, Values], base: list[float]) -> None:
    """A curve over the unit square; `base` is the height of the dashed line of a guess, at its left and right."""
    points = [(a, b) for a, b in zip(x[1], y[1], strict=True) if a is not None and b is not None]
    axes.plot([0, 1], base, linestyle="--", color="0.6", linewidth=1)
    axes.plot([a for a, _ in points], [b for _, b in points])
    axes.set(title=title, xlabel=x[0], ylabel=y[0], xlim=(0, 1), ylim=(0, 1.02), aspect="equal")


def tick(label: str) -> str:
    """A label beside an axis: a long one on two lines, of a longer one without its middle, so that the ends that tell
    labels apart stay."""
    width = 24
    lines = textwrap.wrap(label, width)
    if len(lines) <= 2:
        return "\n".join(lines)
    text = " ".join(label.split())
    return f"{text[: width - 1]}…\n…{text[1 - width :]}"


def draw_confusion(axes: Axes, report: dict[str, Any]) -> None:
    """How often each label was given, among the reviews of a label."""
    counts, labels = report["parts"]["all"]["confusion"], report["labels"]
    shares = [[count / max(sum(row), 1) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in itertools.product(range(len(labels)), repeat=2):
        color = "white" if shares[row][column] > 0.5 else "black"
        axes.text(column, row, str(counts[row][column]), ha="center", va="center", color=color, fontsize="small")
    names = [tick(label) for label in labels]
    axes.set_xticks(range(len(labels)), names, rotation=45, ha="right")
    axes.set_yticks(range(len(labels)), names)
    axes.set(title=f"Confusion matrix, accuracy {measure(report, 'accuracy')}", xlabel="called", ylabel="label")


def draw_coverage(axes: Axes, report: dict[str, Any]) -> None:
    """How right the surest reviews are."""
    axes.plot(report["coverage"]["coverage"], report["coverage"]["accuracy"])
    axes.set(title=f"Accuracy by coverage, AURC {measure(report, 'aurc')}", xlim=(0, 1), ylim=(0, 1.02))
    axes.set(xlabel="share of the reviews, surest first", ylabel="accuracy")


def draw_reliability(axes: Axes, report: dict[str, Any]) -> None:
    """The share of right labels against the confidence; a dot's area is its bin's share of the reviews."""
    lowest, name = (0.5, "confidence max(p, 1 - p)") if "curve" in report else (0, "probability of the likeliest label")
    bins = report["calibration"]
    count = sum(b["reviews"] for b in bins)
    confidence, accuracy = [b["confidence"] for b in bins], [b["accuracy"] for b in bins]
    axes.plot([lowest, 1], [lowest, 1], linestyle="--", color="0.6", linewidth=1)
    axes.plot(confidence, accuracy)
    axes.scatter(confidence, accuracy, s=[10 + 300 * b["reviews"] / count for b in bins])
    axes.set(
        title=f"Reliability, calibration error {measure(report, 'ece')}", xlim=(lowest - 0.01, 1.01), ylim=(0, 1.05)
    )
    axes.set(xlabel=name, ylabel="share of right labels")


def draw_ratings(axes: Axes, report: dict[str, Any]) -> None:
    """How often each rating was given, among the reviews of as many stars."""
    rows = report["ratings_by_stars"]
    if not rows:
        axes.text(0.5, 0.5, "no review has both rating and stars", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
        return
    shares = [[count / sum(row["ratings_1_to_10"]) for count in row["ratings_1_to_10"]] for row in rows]
    axes.imshow(list(zip(*shares, strict=True)), origin="lower", cmap="Blues", vmin=0, vmax=1, aspect="auto")
    step = math.ceil(len(rows) / 12)
    axes.set_xticks(range(0, len(rows), step), [f"{row['stars']:g}" for row in rows[::step]])
    axes.set_yticks(range(10), [str(rating) for rating in range(1, 11)])
    title = f"Rating against stars, mean distance {measure(report, 'rating_mae')}"
    axes.set(title=title, xlabel="stars", ylabel="rating")


def draw_positive(left: Axes, right: Axes, report: dict[str, Any]) -> None:
    """The curves of the positive label."""
    curve, confusion = report["curve"], report["parts"]["all"]["confusion"]
    positive = (confusion["true_positive"] + confusion["false_negative"]) / sum(confusion.values())
    false, found = ("false positive rate", curve["false_positive_rate"]), curve["true_positive_rate"]
    title = f"ROC curve, area {measure(report, 'roc_auc')}"
    draw_curve(left, title, false, ("true positive rate", found), [0, 1])
    title = f"Precision-recall curve, average {measure(report, 'average_precision')}"
    draw_curve(right, title, ("recall", found), ("precision", curve["precision"]), [positive, positive])


def draw(report: dict[str, Any]) -> Figure:
    figure = Figure(figsize=(10, 9), layout="constrained")  # without pyplot, no display is asked for
    axes = figure.subplots(2, 2)
    if "curve" in report:
        draw_positive(axes[0, 0], axes[0, 1], report)
    else:
        draw_confusion(axes[0, 0], report)
        draw_coverage(axes[0, 1], report)
    draw_reliability(axes[1, 0], report)
    draw_ratings(axes[1, 1], report)
    figure.suptitle(f"{report['model']['name']}, {report['precision']}, {report['parts']['all']['reviews']} reviews")
    return figure


@command("plot_eval")
def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser("plot_eval", __doc__)
    parser.add_argument("report", type=Path, help="what reviewrate eval --json wrote")
    parser.add_argument("picture", type=Path, nargs="+", help="where to draw; the ending (.png, .svg, .pdf) tells how")
    arguments = parser.parse_args(argv)
    text = read_text(arguments.report)
    with blaming(f"{arguments.report}: is not what `reviewrate eval --json` writes"):
        report = json.loads(text)
        classified = report["input"]["labelled"] - report["input"]["failed"]
    require(classified > 0, f"{arguments.report}: holds no classified reviews")
    with blaming(f"{arguments.report}: is not what `reviewrate eval --json` writes"):
        figure = draw(report)
    for picture in arguments.picture:
        with blaming(f"{picture}: cannot be drawn"):
            figure.savefig(picture, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
