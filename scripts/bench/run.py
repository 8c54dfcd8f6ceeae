#!/usr/bin/env python3
"""Measures reviewrate beside the other ways to run the same classifier on this machine's CPU: a bench to repeat.

    scripts/bench/run.py --reviews REVIEWS.jsonl --json bench.json > bench.md

The peers (bench/peers) are transformers' pipeline, ONNX Runtime, OpenVINO and CTranslate2; they are installed by name
into an environment of their own, .venv-bench. All run the same weights (rounded to fp16, computed in the way's
precision) on the same texts with the same number of threads, end to end: reviews read, tokenized, classified, a record
of each written to a file. Every way runs in a process of its own, in rounds, so that a machine's drift hits all alike;
the median of the rounds counts. A peer's time starts when its model is loaded and warmed up. reviewrate is timed as a
whole process and, from that, with the time of a one-review call subtracted, which is what compares with the peers.
Each peer first picks its best setting (batches, threads, graph) on every tenth text. Nothing else should run on the
machine meanwhile.

Two shapes: `small`, the given model, and `base`, a DistilBERT of the usual size (6 x 768) with random weights. Two
loads: `reviews`, spread evenly over the file, and `sentences`, cut from them.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from command_line import Parser, bounded, command, require
from environment import enter_environment
from machine import CPU, FLAGS, FLOATS
from peers import MAKERS, PEERS
from processes import say, timed
from table import Way, preface, remarks, table

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parents[1]
TEXT = "It is very nice film"


def make_ways(wanted: str, threads: int) -> dict[str, Way]:
    """The ways that are asked for, by peer and precision; nothing known of them yet."""
    ways = {
        f"{name}-{kind}": Way(name, kind.partition("-")[0], variants)
        for name, peer in PEERS.items()
        for kind, variants in peer.ways(threads).items()
    }
    return {key: way for key, way in ways.items() if key.startswith(tuple(wanted.split(",")))}


class Shape:
    """A shape's model in the forms that the ways need."""

    def __init__(self, args: argparse.Namespace, name: str) -> None:
        self.args = args
        self.sizes: dict[str, int] = {}
        self.folder = Path(args.work, name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.package = args.model if name == "small" else self.folder / "package"
        self.made = {"package"} if name == "small" else set()
        say(f"{name}: making the model")
        options = {"reviews": args.reviews, "where": args.where, "count": args.count, "sentences": args.sentences}
        made, _ = self.job("make_inputs", shape=name, given=args.model, **options)
        self.sizes, self.lengths = made["sizes"], made["lengths"]
        self.title = f"{name} ({self.sizes['layers']} x {self.sizes['d']})"

    def make(self, artifact: str) -> None:
        """Makes an artifact, and what it is made from, unless they are there."""
        for name in MAKERS:
            if artifact.startswith(name) and name not in self.made:
                say(f"{self.title}: making {name}")
                self.job(name, binary=self.args.binary)
                self.made.add(name)

    def job(self, do: str, **job: Any) -> tuple[Any, float]:
        """Runs a job in a process of its own; its result and its peak in MB."""
        file = self.folder / "job.json"
        file.write_text(json.dumps({"do": do, "threads": self.args.threads, **self.sizes, **job}))
        threads = str(1 if job.get("streams", 1) > 1 or do == "run_gemm" else self.args.threads)
        env = {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "RAYON_NUM_THREADS": str(self.args.threads)}
        env |= {"TOKENIZERS_PARALLELISM": "true", "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
        # numpy's own threads would only get in the way of the libraries'.
        env |= {"OPENBLAS_NUM_THREADS": "1", **{name: value for name, value in job.items() if name.isupper()}}
        _, peak = timed([sys.executable, BENCH / "jobs.py", file], env={**os.environ, **env}, cwd=self.folder)
        return json.loads(file.read_text()), peak

    def reviewrate(self, precision: str, setting: dict[str, Any], *words: Any) -> tuple[float, float]:
        command = [self.args.binary, "classify", "-q", "-m", self.package, "--precision", precision]
        command += ["-j", setting["j"], "--effort", setting.get("effort", "full")]
        return timed([*command, "--long-text", "head", "-f", "jsonl", *words])

    def tune(self, way: Way, load: str) -> None:
        """Chooses the way's setting: the fastest of its variants, streams and budgets on every tenth text."""
        for variant in way.variants:
            try:
                self.make(variant["artifact"])
                tried: list[dict[str, Any]] = [{"seconds": 0}]
                if PEERS[way.peer].load:
                    job = {"peer": way.peer, "precision": way.precision, "load": load, **variant}
                    tried, _ = self.job("pick_setting", **job)
                way.tried += [{**variant, **entry} for entry in tried]
            except SubprocessError as failed:
                way.problem = str(failed)
                say(f"{self.title}, {load}: {variant}: {failed}")
        if way.tried:
            way.problem = ""
            best = min(way.tried, key=lambda entry: entry["seconds"])
            way.setting = {key: value for key, value in best.items() if key != "seconds"}

    def measure(self, way: Way, load: str) -> None:
        """One round of one way."""
        out = self.folder / "out.jsonl"
        out.unlink(missing_ok=True)
        if way.peer == "reviewrate":
            run = partial(self.reviewrate, way.precision, way.setting)
            start = statistics.median(run("-t", TEXT)[0] for _ in range(3))
            whole, peak = run(self.folder.parent / f"{load}.jsonl", "-o", out)
            way.whole.append(whole)
            seconds = whole - start
        else:
            job = {"peer": way.peer, "precision": way.precision, "load": load, **way.setting}
            seconds, peak = self.job("run_peer", **job)
        way.seconds.append(seconds)
        way.peaks.append(peak)
        with out.open() as lines:
            way.answers = [json.loads(line)["p_positive"] for line in lines]

    def print_starts(self) -> dict[str, list[float]]:
        """Seconds of processes that classify one review, each started anew."""
        say(f"{self.title}: start-up")
        code = (
            "import sys; from transformers import pipeline; "
            "print(pipeline('text-classification', model=sys.argv[1], device='cpu')(sys.argv[2], truncation=True))"
        )
        calls = {"transformers pipeline": partial(timed, [sys.executable, "-c", code, self.folder / "hf", TEXT])}
        calls["reviewrate --version, which only loads libtorch"] = partial(timed, [self.args.binary, "--version"])
        for precision in (*FLOATS, "int8"):
            calls[f"reviewrate {precision}"] = partial(self.reviewrate, precision, {"j": self.args.threads}, "-t", TEXT)
        print(f"### {self.title}, one review, a new process each (files in memory)\n")
        print(f"| way | median s of {self.args.starts} | peak MB |\n|---|--:|--:|")
        seconds = {}
        for name, call in calls.items():
            call()  # brings the files into memory
            runs = [call() for _ in range(self.args.starts)]
            seconds[name] = [run[0] for run in runs]
            print(f"| {name} | {statistics.median(seconds[name]):.3f} | {max(run[1] for run in runs):.0f} |")
        print(flush=True)
        return seconds


def run_load(shape: Shape, load: str) -> dict[str, Any]:
    """Measures all ways on a load and prints their table."""
    ways = make_ways(shape.args.ways, shape.args.threads)
    for key, way in ways.items():
        say(f"{shape.title}, {load}: choosing the setting of {key}")
        shape.tune(way, load)
    gemms = []
    for number in range(1, shape.args.rounds + 1):
        for key, way in ways.items():
            if way.problem:
                continue
            try:
                shape.measure(way, load)
                say(f"{shape.title}, {load}, round {number}: {key} {way.seconds[-1]:.2f} s")
            except SubprocessError as failed:
                way.problem = str(failed)
                say(f"{shape.title}, {load}, round {number}: {key}: {failed}")
        gemms.append(shape.job("run_gemm")[0])
    gemm = {name: statistics.median(entry[name] for entry in gemms) for name in gemms[0]}
    lengths = shape.lengths[load]
    n = len(lengths)
    rates = {key: n / statistics.median(way.seconds) for key, way in ways.items() if not way.problem}
    print(f"### {shape.title}, {n} {load}, {sum(lengths) / n:.0f} tokens each on average\n")
    below = remarks(shape.sizes, shape.args.threads, rates, lengths, gemm)
    print(*table(ways, rates), "", *below, "", sep="\n", flush=True)
    found = {"load": load, "lengths": lengths, "sizes": shape.sizes, "gemm": gemms}
    return {**found, "ways": {key: vars(way) for key, way in ways.items()}}


def parse_arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = Parser("bench", __doc__)
    add = parser.add_argument
    paths = partial(add, type=os.path.abspath)  # as jobs run in another folder
    package, binary, work = ROOT / "models" / "imdb-small", ROOT / "build" / "reviewrate", ROOT / ".work" / "bench"
    paths("--model", default=str(package), help="package or Hugging Face folder (default: %(default)s)")
    paths("--reviews", required=True, help="jsonl or jsonl.xz with the field text")
    add("--where", metavar="FIELD=VALUE", default="", help="only these reviews of the file")
    paths("--binary", default=str(binary), help="default: %(default)s")
    add(
        "--threads",
        type=bounded(int, 1),
        default=len(os.sched_getaffinity(0)),
        help="of every way (default: all, %(default)s)",
    )
    add("--count", type=bounded(int, 1), default=500, help="reviews (default: %(default)s)")
    add("--sentences", type=bounded(int, 1), default=3000, help="sentences (default: %(default)s)")
    add("--rounds", type=bounded(int, 1), default=3, help="default: %(default)s")
    add(
        "--starts",
        type=bounded(int, 1),
        default=20,
        help="new processes for the time of a one-off call (default: %(default)s)",
    )
    add("--ways", default="", help="only those that begin so, such as reviewrate,openvino-fp32")
    add("--shapes", default="small,base", help="default: %(default)s")
    add("--loads", default="reviews,sentences", help="default: %(default)s")
    paths("--json", help="everything that was measured")
    paths("--work", default=str(work), help="for models and texts (default: %(default)s)")
    args = parser.parse_args(argv)
    if not make_ways(args.ways, args.threads):
        parser.error(f"--ways {args.ways}: no way begins so")
    for words, known in ((args.shapes, {"small", "base"}), (args.loads, {"reviews", "sentences"})):
        if unknown := set(words.split(",")) - known:
            parser.error(f"{', '.join(sorted(unknown))}: there are {' and '.join(sorted(known))}")
    if not Path(args.reviews).is_file():
        parser.error(f"{args.reviews}: no such file")
    return args


@command("bench")
def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    require(shutil.which(args.binary) is not None, f"{args.binary}: no such program; scripts/setup builds it")
    asked = {way.peer for way in make_ways(args.ways, args.threads).values()}
    # The pipeline's transformers make the model for all.
    enter_environment(PEERS[name].packages for name in PEERS if name in asked | {"pipeline"})
    peers = {"torch", "transformers", "tokenizers", "onnxruntime", "openvino", "nncf", "ctranslate2"}
    versions = {each.name: each.version for each in importlib.metadata.distributions() if each.name in peers}
    versions["python"] = sys.version.split()[0]
    versions["program"] = subprocess.check_output([args.binary, "--version"], text=True).strip()
    everything: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "cpu": CPU.get("model name", "unknown"),
        "flags": FLAGS,
        "threads": args.threads,
        "load_average": os.getloadavg()[0],
        "versions": versions,
        "results": [],
    }
    say(f"load average {everything['load_average']:.2f}; nothing else should run")
    print(preface(everything, args.rounds))
    if not Path(args.model, "manifest.json").exists():
        say("making the package")
        package = str(Path(args.work, "package"))
        export = ROOT / "scripts" / "export.py"
        timed([sys.executable, export, args.model, "-o", package, "--force", "--reviewrate", args.binary])
        args.model = package
    for name in args.shapes.split(","):
        shape = Shape(args, name)
        for part in (*args.loads.split(","), "starts"):
            found: dict[str, Any]
            found = {"starts": shape.print_starts()} if part == "starts" else run_load(shape, part)
            everything["results"].append({"shape": name, **found})
            if args.json:
                Path(args.json).write_text(json.dumps(everything, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
