"""reviewrate itself, with its model package. It is timed as a whole process, in run.py."""

from __future__ import annotations

import sys

from machine import FLOATS
from peers.base import Job, Peer, Variant

# The efforts beside full, with what the package with random weights keeps; the default model has its own.
EFFORTS = {"fast": "0.9,0.65,0.45,0.3,0.2", "fastest": "0.75,0.45,0.3,0.2,0.1"}


def ways(threads: int) -> dict[str, list[Variant]]:
    found: dict[str, list[Variant]] = {p: [{"artifact": "package", "j": threads}] for p in (*FLOATS, "int8")}
    for effort in EFFORTS:
        for precision in ("fp32", "int8"):
            found[f"{precision}-{effort}"] = [{"artifact": "package", "j": threads, "effort": effort}]
    if threads > 1:
        found["fp32-one"] = [{"artifact": "package", "j": 1}]
    return found


def make_package(job: Job) -> None:
    import export

    schedules = [word for name, keep in EFFORTS.items() for word in ("--schedule", f"{name}={keep}")]
    if code := export.main(["hf", "-o", "package", "--force", "--reviewrate", job["binary"], *schedules]):
        sys.exit(code)


PEER = Peer(ways, makers={"package": make_package})
