"""What takes minutes: as much as the shorter tests of the same, over more."""

import subprocess
import sys
from pathlib import Path

from conftest import BINARY, TINY, TOP

HOUR = 3600


def test_memory_stays_over_hundreds_of_megabytes() -> None:
    command: list[str | Path] = [sys.executable, TOP / "tests/compare_memory.py", BINARY, "--model", TINY]
    command += ["--megabytes", "10", "300", "--kilobytes", "10"]
    result = subprocess.run(command, capture_output=True, timeout=HOUR, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_every_unicode_scalar_value_is_tokenized_as_by_hugging_face() -> None:
    command: list[str | Path] = [
        sys.executable,
        TOP / "tests/compare_tokenizer.py",
        BINARY,
        "--vocab-dir",
        TOP / "models/imdb-small",
    ]
    command += ["--all-scalars", "--random", "100000"]
    result = subprocess.run(command, capture_output=True, timeout=HOUR, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
