"""Runs with --resume over a folder and a file, killed at any moment."""

import json
import random
import subprocess
import time
from pathlib import Path

from conftest import BINARY, PATIENCE, TINY

ARGUMENTS = ["-q", "reviews", "more.jsonl", "-o", "out", "--resume"]


def write_inputs(folder: Path, count: int = 200) -> None:
    """A folder of reviews and a file of them, larger than the first and last block that are looked at each time."""
    reviews = folder / "reviews"
    (reviews / "deep").mkdir(parents=True)
    for i in range(count):
        (reviews / f"{i:04}.txt").write_text("a good film " * (i % 7) + str(i))
        (reviews / "deep" / f"{i:04}.txt").write_text("a bad film " * (i % 5) + str(i))
    with (folder / "more.jsonl").open("w") as file:
        for i in range(count):
            file.write(json.dumps({"id": i, "text": "the plot " * (i % 3), "rest": "x" * 1000}) + "\n")


def outputs(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("out*")}


def kill_and_resume(folder: Path, times: int, seed: int) -> None:
    """Kills as many runs at any moment; each is gone on with, killed again, and finished."""
    command = [BINARY, "-m", str(TINY), *ARGUMENTS]
    began = time.monotonic()
    subprocess.run(command, cwd=folder, timeout=PATIENCE, check=True)
    seconds = time.monotonic() - began
    expected = (folder / "out").read_bytes()
    rng = random.Random(seed)
    killed = attempts = 0
    while killed < times:
        attempts += 1
        assert attempts < 20 * times, "it is hardly ever caught at work"
        for path in folder.glob("out*"):
            path.unlink()
        for _ in range(2):
            process = subprocess.Popen(command, cwd=folder)
            time.sleep(rng.uniform(0, 1) * seconds)
            process.kill()
            if process.wait() != 0:
                killed += 1
        subprocess.run(command, cwd=folder, timeout=PATIENCE, check=True)
        assert (folder / "out").read_bytes() == expected
        assert sorted(outputs(folder)) == ["out", "out.resume"]
