"""reviewrate itself, with its model package. It is timed as a whole process, in run.py."""

from __future__ import annotations

import sys

from machine import FLOATS
from peers.base import Job, Peer, Variant


def ways(threads: int) -> dict[str, list[Variant]]:
    found: dict[str, list[Variant]] = {p: [{"artifact": "package", "j": threads}] for p in (*FLOATS, "int8")}
    if threads > 1:
        found["fp32-one"] = [{"artifact": "package", "j": 1}]
    return found


def make_package(job: Job) -> None:
    import export

    if code := export.main(["hf", "-o", "package", "--force", "--reviewrate", job["binary"]]):
        sys.exit(code)


PEER = Peer(ways, makers={"package": make_package})
