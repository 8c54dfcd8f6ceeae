"""Memory that does not grow with the input, and that the measure of it finds growth."""

import subprocess
import sys
from pathlib import Path

from conftest import BINARY, PATIENCE, TINY, TOP, Result


def compare(binary: str | Path) -> Result:
    """By a program of its own, so that nothing of pytest's own memory is counted."""
    command: list[str | Path] = [
        sys.executable,
        TOP / "tests/compare_memory.py",
        binary,
        "--model",
        TINY,
        "--megabytes",
        "4",
        "40",
    ]
    return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False)


def test_memory_does_not_grow_with_the_input() -> None:
    result = compare(BINARY)
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_tenth_of_the_input_kept_is_found(tmp_path: Path) -> None:
    leak = tmp_path / "leak"
    leak.write_text(
        f"#!{sys.executable}\nimport sys\nkept = []\n"
        "while block := sys.stdin.buffer.read(100_000):\n    kept.append(block[:10_000])\n"
    )
    leak.chmod(0o755)
    result = compare(leak)
    assert result.returncode == 1, result.stdout + result.stderr
