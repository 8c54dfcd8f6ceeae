"""Starting processes and measuring them; saying what happens."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from subprocess import SubprocessError
from typing import Any


def say(*words: object) -> None:
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


def timed(command: list[Any], **options: Any) -> tuple[float, float]:
    """Seconds and peak memory in MB of a process; SubprocessError with the last line of its stderr if it fails."""
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    start = time.perf_counter()
    with subprocess.Popen([str(word) for word in command], text=True, errors="replace", **quiet, **options) as process:
        assert process.stderr
        lines = process.stderr.read().strip().splitlines() or [""]
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SubprocessError(f"exit {process.returncode}: {lines[-1][:200]}")
    return seconds, usage.ru_maxrss / 1024
