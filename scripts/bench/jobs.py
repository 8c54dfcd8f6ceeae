"""Jobs that run in a process of their own: jobs.py FILE runs what the JSON file describes and puts its result there.

The working folder is the shape's, with the model's forms (`hf`, `onnx` and so on) in it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))

from gemm import run_gemm
from inputs import make_inputs, read_texts
from peers import MAKERS, PEERS
from peers.base import Answer, Job, batched

BUDGETS = [0, 512, 1024, 4096]  # tokens of a batch, padding included; 0: one text at a time


def classify(answer: Answer, job: Job, step: int = 1) -> float:
    """Classifies each `step`th text of the load into a file of records; returns the seconds."""
    start = time.perf_counter()
    rows = answer(read_texts(job["load"])[::step])
    with open("out.jsonl", "w") as out:
        for i, row in enumerate(rows):
            record = {"id": str(i), "label": row.index(max(row)), "p_positive": row[job["positive"]]}
            out.write(json.dumps(record) + "\n")
    return time.perf_counter() - start


def pick_setting(job: Job) -> list[dict[str, Any]]:
    """Seconds for every tenth text in each setting, after one pass to warm up."""
    load = PEERS[job["peer"]].load
    assert load
    tried = []
    for streams in sorted({1, job["threads"]}):
        forward = load(job, streams)
        for budget in BUDGETS:
            answer = batched(forward, streams, budget)
            classify(answer, job, 10)
            tried.append({"streams": streams, "budget": budget, "seconds": classify(answer, job, 10)})
    return tried


def run_peer(job: Job) -> float:
    peer = PEERS[job["peer"]]
    if peer.load:
        answer = batched(peer.load(job, job["streams"]), job["streams"], job["budget"])
    else:
        assert peer.answer
        answer = peer.answer(job)
    classify(answer, job, 10)
    return classify(answer, job)


JOBS: dict[str, Callable[[Job], Any]] = {
    **MAKERS,
    **{job.__name__: job for job in (make_inputs, pick_setting, run_peer, run_gemm)},
}


if __name__ == "__main__":
    file = Path(sys.argv[1])
    described = json.loads(file.read_text())
    file.write_text(json.dumps(JOBS[described["do"]](described)))
    # Some libraries crash in their destructors at exit, when all is done.
    os._exit(0)
