"""What the black-box tests share: the program, and the model packages they run it with."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP / "scripts"))  # for tests of the scripts
BINARY = os.environ.get("REVIEWRATE_BIN", str(TOP / "build" / "reviewrate"))
TINY = TOP / "tests" / "data" / "tiny"
PATIENCE = 600  # seconds after which a program counts as hung; no slow or busy machine needs as many

Result = subprocess.CompletedProcess[bytes]
Run = Callable[..., Result]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "slow: takes so long that scripts/test leaves it to --full")


@pytest.fixture
def run() -> Run:
    """Runs the program with the tiny model, unless the arguments name another."""

    def run_program(
        *arguments: str | Path, stdin: bytes | str = b"", model: Path | None = TINY, **options: Any
    ) -> Result:
        data = stdin.encode() if isinstance(stdin, str) else stdin
        environment = dict(os.environ)
        environment.pop("REVIEWRATE_MODEL", None)
        if model is not None:
            environment["REVIEWRATE_MODEL"] = str(model)
        command = [BINARY, *map(str, arguments)]
        return subprocess.run(
            command, input=data, capture_output=True, env=environment, timeout=PATIENCE, check=False, **options
        )

    return run_program


def records(result: Result) -> list[dict[str, Any]]:
    """The jsonl records of a run."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def error_line(result: Result) -> str:
    """The one line that a failed run says."""
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("reviewrate: ")
    return lines[0]
