#!/usr/bin/env python3
"""Prints tests/data/rating_cases.txt: probabilities around every boundary with the rating that Python's round gives."""

import math


def rating(p: float) -> int:
    # As the notebook rated: 10 * round(p, 1), with 1 as the lowest star.
    return max(1, round(10 * round(p, 1)))


def main() -> None:
    probabilities = {0.0, 5e-324, 1e-300, 1.0, math.nextafter(1.0, 0.0)}
    for step in range(201):
        at = step / 200  # every tenth, every tie between tenths, and points between
        below = above = at
        for _ in range(4):
            probabilities |= {below, above}
            below, above = math.nextafter(below, 0.0), math.nextafter(above, 1.0)
    print("# Made by tests/make_rating_cases.py: the probability's bits as a C hexadecimal float, and its rating.")
    for p in sorted(probabilities):
        print(p.hex(), rating(p))


if __name__ == "__main__":
    main()
