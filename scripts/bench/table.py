"""What comes out: the Markdown table of one shape and load, and the remarks below it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from gemm import needed_flops

AGREE = 1e-4  # the most that two fp32 ways' probabilities of POSITIVE may differ by


@dataclass
class Way:
    """One way to classify, and what is known of it on one load: seconds a round, peaks in MB, probabilities.

    Of its variants, each an artifact to load and options, the fastest is measured.
    """

    peer: str
    precision: str
    variants: list[dict[str, Any]]
    tried: list[dict[str, Any]] = field(default_factory=list)
    setting: dict[str, Any] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)  # of reviewrate, with its start
    peaks: list[float] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)  # of POSITIVE
    problem: str = ""


def table(ways: dict[str, Way], rates: dict[str, float]) -> Iterator[str]:
    """The rows; `rates` are texts a second."""
    exact = next((key for key in ("pipeline-fp32-1", *ways) if key in rates and ways[key].precision == "fp32"), None)
    yield "| way | setting | reviews/s | whole process | reviewrate / it | peak MB | largest diff. |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for key, way in ways.items():
        if key not in rates:
            yield f"| {key} | does not run: {way.problem.replace('|', '/')} | | | | | |"
            continue
        setting = ", ".join(f"{name} {value}" for name, value in way.setting.items())
        whole = f"{len(way.answers) / statistics.median(way.whole):.1f}" if way.whole else ""
        own = rates.get(f"reviewrate-{way.precision}")
        ratio = f"{own / rates[key]:.2f}" if own and way.peer != "reviewrate" else ""
        against = ways[exact or key].answers
        difference = max(abs(a - b) for a, b in zip(way.answers, against, strict=True))
        # Written so that not a number is marked, too.
        exactly = way.precision == "fp32" and "effort" not in way.setting
        mark = "" if difference <= (AGREE if exactly else 1) else " **differs**"
        cells = [key, setting, f"{rates[key]:.1f}", whole, ratio, f"{max(way.peaks):.0f}"]
        yield f"| {' | '.join(cells)} | {difference:.1e}{mark} |"


def remarks(
    sizes: dict[str, int], threads: int, rates: dict[str, float], lengths: list[int], gemm: dict[str, float]
) -> Iterator[str]:
    """The gain of int8 and of more workers, and the share of the machine's matrix products."""
    peak = gemm[f"fp32 x {threads}"]
    yield "GEMM, GFLOP/s: " + ", ".join(f"{name} thread(s) {rate:.0f}" for name, rate in gemm.items()) + "."
    fp32 = rates.get("reviewrate-fp32")
    if fp32:
        flops = needed_flops(lengths, sizes["d"], sizes["ffn"], sizes["layers"])
        reached = flops * fp32 / len(lengths) / 1e9
        yield f"reviewrate fp32: {flops / 1e12:.2f} TFLOP at {reached:.0f} GFLOP/s, {reached / peak:.0%} of GEMM's."
        if int8 := rates.get("reviewrate-int8"):
            yield f"reviewrate int8: {int8 / fp32:.2f} times reviewrate fp32."
    for key, rate in rates.items():
        name, _, kind = key.partition("-")
        precision, _, effort = kind.partition("-")
        if name == "reviewrate" and effort.startswith("fast") and (full := rates.get(f"reviewrate-{precision}")):
            yield f"reviewrate {precision}, --effort {effort}: {rate / full:.2f} times full."
    if fp32 and (one := rates.get("reviewrate-fp32-one")):
        yield f"{threads} workers: {fp32 / one:.2f} times one; GEMM: {peak / gemm['fp32 x 1']:.2f} times one thread."


def preface(everything: dict[str, Any], rounds: int) -> str:
    """What was measured where, and what the columns mean."""
    return (
        f"{everything['cpu']} ({' '.join(everything['flags'])}), {everything['threads']} threads, "
        f"{everything['date']}, load average {everything['load_average']:.2f} before. "
        f"{', '.join(map(' '.join, everything['versions'].items()))}.\n\n"
        f"Median of {rounds} rounds. reviewrate's reviews/s are those after its start, as the peers' are;"
        " `whole process` includes it. `streams` run at a time and share the threads; `budget`: tokens of a batch,"
        " padding included, 0: one text at a time. int8 is dynamic in ONNX Runtime, NNCF's in OpenVINO; `pipeline` is"
        " transformers', its `batch` in texts. `reviewrate / it`: reviewrate of the same precision over this way."
        " `largest diff.`: of the probability of POSITIVE, from the pipeline's (without it, the first fp32 way's);"
        f" an fp32 way beyond {AGREE:g} is marked, but for efforts that leave tokens out.\n"
    )
