#!/usr/bin/env python3
"""Checks that memory does not grow with the input: how much the program's peak rises while it reads from a pipe.

    tests/compare_memory.py build/reviewrate --model tests/data/tiny --megabytes 10 1000

The input is about a million bytes of made-up reviews over and over, so that all sorts of reviews, the longest too, were
read when the first of the two sizes is reached. From there to the second size the peak may rise by --kilobytes for each
megabyte read, and by 1 MB for what the allocator does as it likes.
Exit codes: 0 it stays within that; 1 it does not; 2 usage or a broken run.
"""

import argparse
import random
import re
import subprocess
import sys
import time
from pathlib import Path

KILOBYTE = 1_000
MEGABYTE = 1_000_000
ALLOCATOR = 1 * MEGABYTE
WORDS = ["a", "good", "bad", "film", "plot", "and", "the", "of", "was", "not", "really", "ever", "better", "été", "!"]


def block(seed: int = 1) -> bytes:
    """Reviews, a line each: from a few words to more than the model takes, and one of 200 thousand bytes."""
    rng = random.Random(seed)
    lines = [" ".join(rng.choices(WORDS, k=count)) for count in [40_000, *rng.choices([5, 30, 100, 400, 5000], k=160)]]
    rng.shuffle(lines)
    return ("\n".join(lines) + "\n").encode()


def peak(pid: int) -> int:
    """The most bytes of memory that a process has had so far."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    if not found:
        raise RuntimeError("the process has ended before all was read")
    return int(found[1]) * 1024


def peaks(command: list[str], sizes: list[int]) -> list[tuple[int, int]]:
    """Of one run: bytes written to it, and its peak then, for each of the rising sizes (bytes)."""
    repeated = block()
    blocks = 0
    written = 0
    out = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin
        for size in sizes:
            while written < size or written == 0:
                # Every other block has texts that were not there before.
                blocks += 1
                data = repeated if blocks % 2 == 0 else repeated.replace(b"\n", b" %d\n" % blocks)
                written += process.stdin.write(data)
            out.append((written, peak(process.pid)))
        process.stdin.close()
    if process.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with exit status {process.returncode}")
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="package; a tiny one leaves the time to the rest")
    parser.add_argument("--megabytes", type=int, nargs=2, default=[10, 1000], help="from where to where", metavar="MB")
    parser.add_argument("--kilobytes", type=float, default=30, help="growth allowed for each megabyte read")
    parser.add_argument("--workers", type=int, default=2, help="the program's --workers: each has batches in memory")
    args = parser.parse_args()
    if args.megabytes[1] < args.megabytes[0] + 2:
        parser.error("--megabytes: the second size must be the larger one, by 2 at least")

    command = [str(args.binary.resolve()), "-m", str(args.model), "-q", "-j", str(args.workers), "-f", "jsonl", "-"]
    began = time.monotonic()
    try:
        (first_read, first), (last_read, last) = peaks(command, [size * MEGABYTE for size in args.megabytes])
    except (OSError, RuntimeError) as error:
        print(f"compare_memory.py: {error}", file=sys.stderr)
        return 2
    read = (last_read - first_read) / MEGABYTE
    grown = last - first
    allowed = args.kilobytes * KILOBYTE * read + ALLOCATOR
    print(
        f"{first / MEGABYTE:.1f} MB of memory after {first_read / MEGABYTE:.1f} MB read, {last / MEGABYTE:.1f} MB after"
        f" {last_read / MEGABYTE:.1f} MB: {grown / KILOBYTE / read:.1f} kB for each MB (allowed"
        f" {allowed / KILOBYTE / read:.1f}), {time.monotonic() - began:.1f} s"
    )
    return 0 if grown <= allowed else 1


if __name__ == "__main__":
    raise SystemExit(main())
