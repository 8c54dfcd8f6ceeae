"""What a package says of its labels: which is the positive one, and which rating each of them stands for.

Part of export.py.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Sequence

from command_line import require

LOWEST, HIGHEST = 1, 10  # ratings
STARS = re.compile(r"(?:(?:stars?|rating|score)[ _-]?)?(-?\d+)(?:[ _-]?(?:stars?|points?))?")
WORDS = {
    **dict.fromkeys(("very negative", "very neg"), -2),
    **dict.fromkeys(("negative", "neg"), -1),
    **dict.fromkeys(("neutral", "neu"), 0),
    **dict.fromkeys(("positive", "pos"), 1),
    **dict.fromkeys(("very positive", "very pos"), 2),
}


def positive_label(labels: list[str], asked: str | None) -> str | None:
    if asked is not None:
        require(asked in labels, f"no label {asked}: there are {', '.join(labels)}")
        return asked
    return next((label for label in labels if label.upper() in ("POSITIVE", "POS")), None)


def places_by_name(labels: list[str]) -> list[int] | None:
    """The place of each label in their order, where the names tell one: negative to positive, or stars."""
    names = [re.sub(r"[ _-]+", " ", label.strip().lower()) for label in labels]
    words = [WORDS[name] for name in names if name in WORDS]
    if len(words) == len(labels) and min(words) < 0 < max(words):
        return words
    found = [match for label in labels if (match := STARS.fullmatch(label.strip().lower()))]
    if len(found) < len(labels):
        return None
    numbers = [int(match[1]) for match in found]
    # Bare numbers may as well be those of classes without any order; 1 to 5 and 1 to 10 are how people rate.
    said = all(match[0] != match[1] for match in found) or sorted(numbers) in ([*range(1, 6)], [*range(1, 11)])
    return numbers if said and sorted(numbers) == [*range(min(numbers), max(numbers) + 1)] else None


def label_values(labels: list[str], asked: list[float] | None) -> list[float] | None:
    """The rating that each label stands for; None where nothing tells it, and of two labels, which need none.

    The lowest value is rating 1 and the highest 10; those between keep their distances.
    """
    if asked is not None:
        require(len(labels) > 2, "--label-values: the rating of two labels goes by the probability of the positive one")
        require(
            len(asked) == len(labels), f"--label-values: {len(asked)} for {len(labels)} labels: {', '.join(labels)}"
        )
    values: Sequence[float] | None = asked
    if values is None and len(labels) > 2:
        values = places_by_name(labels)
    if values is None:
        return None
    low, high = min(values), max(values)
    scaled = [LOWEST + (HIGHEST - LOWEST) * (value - low) / (high - low) for value in values]
    return [int(value) if value == int(value) else value for value in scaled]


def parse_values(text: str) -> list[float]:
    """The type of --label-values: numbers with commas between them."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not all(map(math.isfinite, values)) or len(set(values)) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is not numbers with commas between them, two of which differ")
    return values


def missing(labels: list[str], positive: str | None, values: list[float] | None) -> list[str]:
    """What records will lack because of the labels, and the options that help; for people."""
    names = ", ".join(labels)
    lines = []
    if positive is None:
        what = "p_positive" if len(labels) > 2 else "p_positive and no rating"
        lines.append(f"no label is called POSITIVE, so records get no {what}: --positive names one of {names}")
    if len(labels) > 2 and values is None:
        lines.append(
            f"the names of the labels {names} tell no order, so records get no rating: --label-values tells it"
        )
    return lines
