#!/usr/bin/env python3
"""Plans a large job: hours, core-hours, cost, block size and bytes, from the reviews and the machines.

Example: scripts/plan_cluster.py --reviews 1e9 --tokens 250 --cores 1000 --price 0.04 --cpu zen4 --precision int8

The core-seconds of a token are those that scripts/bench/README.md measured on short and on long reviews, and between
and beyond the two a straight line over the reviews' mean length, as attention asks for time in step with it.
--core-seconds takes the place of the table: 1e6 * cores / (tokens a second), by `reviewrate bench` on your own machine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from command_line import Parser, bounded, command, require

CORES = 2  # of the machines of the bench
TOKENS_SHORT, TOKENS_LONG = 25.4, 267.5  # mean tokens of the bench's sentences and reviews, none above 512
# Reviews a second on CORES cores, model of 6 x 384: sentences, reviews (scripts/bench/README.md).
RATES = {
    ("zen3", "fp32"): (335, 29.0),
    ("zen3", "int8"): (689, 53.8),
    ("zen4", "fp32"): (402, 33.9),
    ("zen4", "bf16"): (780, 64.0),
    ("zen4", "int8"): (1281, 96.6),
}
START_SECONDS = 0.41  # a call with one text; nearly all of it is one core's
START_SHARE = 0.01  # what a block's start-up should cost of its time
BYTES_PER_TOKEN = 4.8  # of English reviews in UTF-8, with JSON's marks
RECORD_BYTES = 190  # of a JSON record


@dataclass
class Plan:
    core_seconds_per_million_tokens: float
    core_seconds_per_million_reviews: float
    core_hours: float  # with start-up
    hours: float
    cost: float
    block: int  # reviews in a block whose start-up is START_SHARE of its time
    read: float  # bytes
    written: float


def core_seconds_per_token(cpu: str, precision: str, tokens: float) -> float:
    """On the line through both loads of the bench."""
    short, long = (
        CORES / rate / mean for rate, mean in zip(RATES[cpu, precision], (TOKENS_SHORT, TOKENS_LONG), strict=True)
    )
    return short + (long - short) * (tokens - TOKENS_SHORT) / (TOKENS_LONG - TOKENS_SHORT)


def plan(per_token: float, reviews: float, tokens: float, cores: int, price: float, block: int | None) -> Plan:
    """For `cores` that are busy all the time, each with a block of reviews for one start-up (`block`: as advised)."""
    of_review = per_token * tokens
    advised = max(1, round(START_SECONDS / (START_SHARE * of_review)))
    core_seconds = reviews * of_review + reviews / (block or advised) * START_SECONDS
    return Plan(
        core_seconds_per_million_tokens=per_token * 1e6,
        core_seconds_per_million_reviews=of_review * 1e6,
        core_hours=core_seconds / 3600,
        hours=core_seconds / 3600 / cores,
        cost=core_seconds / 3600 * price,
        block=advised,
        read=reviews * tokens * BYTES_PER_TOKEN,
        written=reviews * RECORD_BYTES,
    )


@command("plan_cluster")
def main(argv: Sequence[str] | None = None) -> int | None:
    parser = Parser("plan_cluster", __doc__)
    parser.add_argument("--reviews", type=bounded(float, 1), required=True, help="how many")
    parser.add_argument(
        "--tokens", type=bounded(float, 3, 512), required=True, help="of a review, on average, at most 512"
    )
    parser.add_argument("--cores", type=bounded(int, 1), required=True, help="of the cluster")
    parser.add_argument("--price", type=bounded(float, 0), default=0.0, help="of a core for an hour")
    parser.add_argument("--block", type=bounded(int, 1), help="reviews for one start-up (default: as advised)")
    parser.add_argument("--cpu", default="zen3", choices=sorted({cpu for cpu, _ in RATES}), help="(%(default)s)")
    parser.add_argument("--precision", default="int8", choices=["fp32", "bf16", "int8"], help="(%(default)s)")
    parser.add_argument(
        "--core-seconds", type=bounded(float, 1e-6), help="for a million tokens, in the place of --cpu and --precision"
    )
    arguments = parser.parse_args(argv)
    if arguments.core_seconds:
        per_token = arguments.core_seconds / 1e6
    else:
        known = (arguments.cpu, arguments.precision) in RATES
        require(known, f"--precision {arguments.precision}: was not measured on {arguments.cpu}")
        per_token = core_seconds_per_token(arguments.cpu, arguments.precision, arguments.tokens)
    found = plan(per_token, arguments.reviews, arguments.tokens, arguments.cores, arguments.price, arguments.block)
    print(f"core-seconds for a million tokens   {found.core_seconds_per_million_tokens:,.0f}")
    print(f"core-seconds for a million reviews  {found.core_seconds_per_million_reviews:,.0f}")
    print(f"reviews in a block, for 1 % start-up {found.block:,}")
    print(f"core-hours                          {found.core_hours:,.1f}")
    print(f"hours on {arguments.cores:,} cores: {found.hours:,.2f}")
    print(f"cost                                {found.cost:,.2f}")
    print(f"gigabytes read, written             {found.read / 1e9:,.1f}, {found.written / 1e9:,.1f}")
    return None


if __name__ == "__main__":
    sys.exit(main())
