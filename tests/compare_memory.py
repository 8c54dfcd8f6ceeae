#!/usr/bin/env python3
"""Checks that memory does not grow with the input: compares the peaks of runs that read more and more from a pipe.

    tests/compare_memory.py build/reviewrate --model tests/data/tiny --megabytes 10 1000

The input is about a million bytes of made-up reviews over and over, so that the longest review is the same in all runs.
Exit codes: 0 every peak is within --tolerance of the first; 1 one is above; 2 usage or a broken run.
"""

import argparse
import os
import random
import subprocess
import sys
import time
from pathlib import Path

MEGABYTE = 1_000_000
WORDS = ["a", "good", "bad", "film", "plot", "and", "the", "of", "was", "not", "really", "ever", "better", "été", "!"]


def block(seed: int = 1) -> bytes:
    """Reviews, a line each: from a few words to more than the model takes, and one of 200 thousand bytes."""
    rng = random.Random(seed)
    lines = [" ".join(rng.choices(WORDS, k=count)) for count in [40_000, *rng.choices([5, 30, 100, 400, 5000], k=160)]]
    rng.shuffle(lines)
    return ("\n".join(lines) + "\n").encode()


def peak(command: list[str], count: int) -> tuple[int, float]:
    """Bytes of memory at most, and seconds, of a run that reads `count` blocks."""
    data = block()
    began = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin
        for _ in range(count):
            process.stdin.write(data)
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with exit status {process.returncode}")
    return usage.ru_maxrss * 1024, time.monotonic() - began


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="package; a tiny one leaves the time to the rest")
    parser.add_argument("--megabytes", type=int, nargs="+", default=[10, 1000], help="sizes of the inputs")
    parser.add_argument("--tolerance", type=float, default=0.1, help="how much a peak may be above the first")
    parser.add_argument("--workers", type=int, default=2, help="the program's --workers: each has packs in memory")
    args = parser.parse_args()

    command = [str(args.binary.resolve()), "-m", str(args.model), "-q", "-j", str(args.workers), "-f", "jsonl", "-"]
    flat = True
    first = 0
    for size in args.megabytes:
        count = max(1, round(size * MEGABYTE / len(block())))
        try:
            found, seconds = peak(command, count)
        except (OSError, RuntimeError) as error:
            print(f"compare_memory.py: {error}", file=sys.stderr)
            return 2
        first = first or found
        flat = flat and found <= first * (1 + args.tolerance)
        print(
            f"{count * len(block()) / MEGABYTE:.1f} MB read in {seconds:.1f} s: at most {found / MEGABYTE:.1f} MB of memory,"
            f" {100 * (found / first - 1):+.1f} % of the first",
            flush=True,
        )
    return 0 if flat else 1


if __name__ == "__main__":
    raise SystemExit(main())
