"""What the labels of reviews mean: decided for all values of a field together, as `reviewrate eval` decides it.

The rules are those of src/cli/labels.cpp, for a model whose labels are NEGATIVE (0) and POSITIVE (1).
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterable
from typing import Any

NEGATIVE, POSITIVE, UNLABELLED = 0, 1, -1
NAMES = {NEGATIVE: "NEGATIVE", POSITIVE: "POSITIVE", UNLABELLED: "no label"}
WORDS = {
    **dict.fromkeys(("negative", "neg", "false"), NEGATIVE),
    **dict.fromkeys(("positive", "pos", "true"), POSITIVE),
    **dict.fromkeys(("", "unsup", "unlabelled", "unlabeled"), UNLABELLED),
}
LETTERS = ({"n": NEGATIVE, "p": POSITIVE}, {"f": NEGATIVE, "t": POSITIVE})  # say something only where both are there
INDEX = {"-1": UNLABELLED, "0": NEGATIVE, "1": POSITIVE}
SIGN = {"-1": NEGATIVE, "1": POSITIVE}
POLARITY = {"1": NEGATIVE, "2": POSITIVE}  # as in the Yelp and Amazon data
ADVICE = "say what each label means, as in --label-map A=NEGATIVE,B=POSITIVE"


def number_of(text: str) -> float:
    """NaN if it is no finite decimal number."""
    try:
        number = float(text) if "_" not in text else math.nan
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def key_of(value: Any) -> str:
    """What tells one label from another: in lower case, without blanks around it, one spelling for equal numbers."""
    text = "" if value is None else value if isinstance(value, str) else json.dumps(value)
    number = number_of(text.strip())
    return text.strip().lower() if math.isnan(number) else f"{number + 0.0:.17g}"


def range_of(key: str) -> tuple[float, float] | None:
    """The bounds of LOW:HIGH; None if it is none."""
    low, colon, high = key.partition(":")
    bounds = number_of(low), number_of(high)
    return None if not colon or any(map(math.isnan, bounds)) else bounds


def said_of(keys: set[str], given: dict[str, int]) -> dict[str, int]:
    """What `given`, which may have ranges of numbers, says of each of `keys`."""
    out = {key: meaning for key, meaning in given.items() if range_of(key) is None}
    for spec, meaning in given.items():
        if bounds := range_of(spec):
            for key in keys:
                if bounds[0] <= number_of(key) <= bounds[1]:
                    out.setdefault(key, meaning)
    return out


def meanings(keys: Iterable[str], given: dict[str, int]) -> dict[str, int] | None:
    """What each label means; `given` is what the user says of some. None: they can be read in no way or in two."""
    found = set(keys)
    mapped = said_of(found, given)
    rest = found - mapped.keys()
    numbers = {key for key in rest if not math.isnan(number_of(key))}
    words = rest - numbers
    said = {WORDS[word] for word in words if word in WORDS}
    known = dict(WORDS)
    for letters in LETTERS:
        there = letters.keys() & words
        if len(there) == 1:
            return None
        if there:
            known |= letters
            said = {NEGATIVE, POSITIVE}
    lone = all(WORDS.get(word) == UNLABELLED for word in words)
    scheme = SIGN if lone and numbers == SIGN.keys() else POLARITY if lone and numbers == POLARITY.keys() else INDEX
    if scheme is INDEX and "-1" in numbers:
        # Without a 0, and without words for both labels, -1 may well be the negative one.
        minus_is_none = "0" in numbers or ("1" not in numbers and {NEGATIVE, POSITIVE} <= said)
        if not minus_is_none and not given:
            return None
    known = {**known, **({} if given else scheme), **mapped}
    return {key: known[key] for key in found} if found <= known.keys() else None


def shown(value: Any) -> str:
    """A label for people."""
    return json.dumps(value, ensure_ascii=False)[:80]


def taken(found: dict[str, int]) -> str:
    """What the labels were taken for, where that is a guess that a person should see; else nothing."""
    if not {"-1", "2"} & found.keys():
        return ""
    return ", ".join(f"{key} is {NAMES[meaning]}" for key, meaning in sorted(found.items()) if key)


def parse_map(text: str) -> dict[str, int]:
    """The type of --label-map: VALUE=LABEL, several with commas between them; VALUE may be LOW:HIGH."""
    found: dict[str, int] = {}
    for item in text.split(","):
        value, equals, label = item.rpartition("=")
        meaning = WORDS.get(label.strip().lower())
        if not equals or not value.strip() or meaning is None:
            raise argparse.ArgumentTypeError(f"{item!r} is not VALUE=NEGATIVE, VALUE=POSITIVE or VALUE= (no label)")
        bounds = range_of(key_of(value))
        if bounds and bounds[0] > bounds[1]:
            raise argparse.ArgumentTypeError(f"{value!r}: a range begins with its lowest number")
        others = [range_of(key) for key, other in found.items() if other != meaning]
        overlaps = [other for other in others if bounds and other and other[0] <= bounds[1] and bounds[0] <= other[1]]
        if overlaps or found.setdefault(key_of(value), meaning) != meaning:
            raise argparse.ArgumentTypeError(f"{value!r} is given two meanings")
    return found
