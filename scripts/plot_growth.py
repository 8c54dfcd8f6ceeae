#!/usr/bin/env python3
"""Measures how time and memory grow with reviews, their length and the number of workers, and draws it.

Example: python scripts/plot_growth.py IMDB.jsonl.xz --precision int8 --json growth.json --picture growth.svg

With reviews: one run over the whole file; seconds and peak memory when each thousandth record comes out. With length:
128 reviews of the same number of tokens. With workers: 300 reviews of the file. Nothing else should run meanwhile.
A --json file that is already there is drawn and not measured again.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from command_line import Parser, blaming, command, read_text, require
from labelled_files import lines_of

ROOT = Path(__file__).resolve().parent.parent
LENGTHS = [32, 64, 128, 192, 256, 384, 512]
WORKERS = [1, 2, 4, 8]
STEP = 1000  # reviews between two points


def peak_mb(pid: int) -> float:
    found = re.search(r"VmHWM:\s*(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else math.nan


def by_reviews(binary: Path, reviews: Path, precision: str) -> list[dict[str, float]]:
    """Seconds since the start and peak memory, every STEP records."""
    points = []
    begin = time.perf_counter()
    words = [str(binary), "classify", "-q", "--precision", precision, str(reviews)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        assert process.stdout
        for number, _ in enumerate(process.stdout, 1):
            if number % STEP == 0:
                point = {"reviews": number, "seconds": time.perf_counter() - begin, "mb": peak_mb(process.pid)}
                points.append(point)
                print(point, file=sys.stderr, flush=True)
    require(process.returncode == 0, f"{binary}: ended with exit status {process.returncode}")
    return points


def bench(binary: Path, precision: str, reviews: Path, *options: Any) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile() as out:
        words = [binary, "bench", reviews, "--precision", precision, "--rounds", 2, "--json", out.name, *options]
        done = subprocess.run([str(word) for word in words], stdout=subprocess.DEVNULL)
        require(done.returncode == 0, f"{binary}: bench ended with exit status {done.returncode}")
        return json.loads(Path(out.name).read_text())


def measure(binary: Path, reviews: Path, precision: str) -> dict[str, Any]:
    found: dict[str, Any] = {"precision": precision, "cpus": len(os.sched_getaffinity(0))}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "reviews.jsonl"
        found["lengths"] = []
        for length in LENGTHS:
            file.write_text((json.dumps({"text": "good " * (length - 2)}) + "\n") * 128)
            result = bench(binary, precision, file)
            require(result["tokens"] == 128 * length, f'{binary}: "good" is not one token of its model')
            found["lengths"].append({"tokens": length, "seconds": result["seconds"]["median"] / 128})
        every = list(lines_of(reviews))
        require(len(every) >= STEP, f"{reviews}: has {len(every)} reviews, and needs {STEP} at least")
        file.write_text("".join(every[:: max(1, len(every) // 300)][:300]))
        found["workers"] = []
        for workers in WORKERS:
            result = bench(binary, precision, file, "-j", workers)
            found["workers"].append({"workers": workers, "reviews_per_second": result["reviews_per_second"]})
    found["reviews"] = by_reviews(binary, reviews, precision)
    return found


def draw(found: dict[str, Any], picture: Path) -> None:
    from matplotlib.figure import Figure  # only those who draw need it

    figure = Figure(figsize=(12, 3.6), layout="constrained")
    seconds, memory, lengths = figure.subplots(1, 3)
    reviews = [point["reviews"] for point in found["reviews"]]
    seconds.plot(reviews, [point["seconds"] for point in found["reviews"]])
    seconds.set(title="time", xlabel="reviews", ylabel="seconds", xlim=0, ylim=0)
    peaks = [point["mb"] for point in found["reviews"]]
    memory.plot(reviews, peaks)
    memory.set(title="peak memory", xlabel="reviews", ylabel="MB", xlim=0, ylim=(0, 1.2 * max(peaks)))
    tokens = [point["tokens"] for point in found["lengths"]]
    lengths.plot(tokens, [1000 * point["seconds"] for point in found["lengths"]], marker="o")
    lengths.set(title="time of a review", xlabel="tokens", ylabel="ms", xlim=0, ylim=0)
    figure.suptitle(f"imdb-small, {found['precision']}, {found['cpus']} CPUs")
    figure.savefig(picture, dpi=120)


@command("plot_growth")
def main(argv: Sequence[str] | None = None) -> None:
    parser = Parser("plot_growth", __doc__)
    parser.add_argument("reviews", type=Path, help="jsonl with the field text, compressed or not; IMDB has 50,000")
    parser.add_argument("--binary", type=Path, default=ROOT / "build" / "reviewrate", help="default: build/reviewrate")
    parser.add_argument("--precision", default="fp32", help="default: %(default)s")
    parser.add_argument("--json", type=Path, required=True, help="what was measured")
    parser.add_argument("--picture", type=Path, help="where to draw; the ending (.png, .svg) is the format")
    arguments = parser.parse_args(argv)
    if not arguments.json.exists():
        require(
            shutil.which(arguments.binary) is not None, f"{arguments.binary}: no such program; scripts/setup builds it"
        )
        found = measure(arguments.binary.resolve(), arguments.reviews, arguments.precision)
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    text = read_text(arguments.json)
    with blaming(f"{arguments.json}: is not what this script writes"):
        found = json.loads(text)
        points = [*found["reviews"][::10], found["reviews"][-1], *found["lengths"], *found["workers"]]
    for point in points:
        print(", ".join(f"{value:g} {name.replace('_', ' ')}" for name, value in point.items()))
    if arguments.picture:
        with blaming(f"{arguments.picture}: cannot be drawn"):
            draw(found, arguments.picture)


if __name__ == "__main__":
    sys.exit(main())
