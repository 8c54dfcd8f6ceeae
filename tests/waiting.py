"""Whether a process waits or computes, so that tests act on it then, however fast or busy the machine is."""

import os
import socket
import subprocess
import time
from pathlib import Path

from conftest import BINARY, PATIENCE


def _threads(pid: int) -> list[list[str]]:
    """The fields of each thread's stat, from its state on."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/stat"):
        found.append(path.read_text().rpartition(")")[2].split())
    return found


def cpu_seconds(process: subprocess.Popen[bytes]) -> float:
    """What it has computed so far."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_until_idle(process: subprocess.Popen[bytes], at_least: float = 0.1) -> None:
    """Returns once no thread has run for a while, and it is not just about to begin."""
    deadline = time.monotonic() + PATIENCE
    quiet = 0
    before = -1.0
    while quiet < 5:
        assert process.poll() is None, "it ended instead of waiting"
        assert time.monotonic() < deadline, "it never waits"
        now = cpu_seconds(process)
        asleep = all(fields[0] == "S" for fields in _threads(process.pid))
        quiet = quiet + 1 if asleep and now == before and now >= at_least else 0
        before = now
        time.sleep(0.04)


def wait_until_computed(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Returns once it has computed for so long."""
    while cpu_seconds(process) < seconds:
        assert process.poll() is None, "it ended before it had computed as much"
        time.sleep(0.01)


def wait_until_listening(process: subprocess.Popen[bytes], port: int) -> None:
    """Returns once something takes connections on this machine's `port`."""
    deadline = time.monotonic() + PATIENCE
    while True:
        assert process.poll() is None, "it ended instead of listening"
        assert time.monotonic() < deadline, "it never listens"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.1)


def tolerated_seconds() -> float:
    """How long "within a second" may take on a busy machine: longer by several short runs of the program."""
    begin = time.monotonic()
    subprocess.run([BINARY, "--version"], stdout=subprocess.DEVNULL, timeout=PATIENCE, check=True)
    return 1 + 5 * (time.monotonic() - begin)
