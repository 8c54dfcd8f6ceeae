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


LABELS = {
    "sentiment": ["negative", "neutral", "positive"],
    "stars": ["1 star", "2 stars", "3 stars", "4 stars", "5 stars"],
    "topics": ["drama", "comedy"],  # neither of which is the positive one
}
VALUES = {"sentiment": [1, 5.5, 10], "stars": [1, 3.25, 5.5, 7.75, 10]}


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The tiny model with other labels, by the names in LABELS."""
    import tiny_models  # which takes seconds, for torch

    folder = tmp_path_factory.mktemp("models")
    return {name: tiny_models.relabel(TINY, folder / name, labels, VALUES.get(name)) for name, labels in LABELS.items()}


def records(result: Result) -> list[dict[str, Any]]:
    """The jsonl records of a run."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def error_line(result: Result) -> str:
    """The one line that a failed run says."""
    lines = result.stderr.decode().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("reviewrate: ")
    return lines[0]
