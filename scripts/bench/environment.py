"""The Python environment of the bench, .venv-bench: torch, transformers, and the peers that are asked for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from processes import say

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv-bench"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


def enter_environment(packages: Iterable[str]) -> None:
    """Installs what is not there yet and goes on in it. A peer that cannot be had is told, and its rows say so."""
    python = FOLDER / "bin" / "python"
    if not python.is_file():
        say(f"making {FOLDER}")
        subprocess.run([sys.executable, "-m", "venv", FOLDER], check=True)
    requirements = (ROOT / "scripts" / "requirements.txt").read_text().splitlines()
    [torch] = [line for line in requirements if line.startswith("torch==")]
    pip = [str(python), "-m", "pip", "install", "-q", "--progress-bar", "off"]
    mark = FOLDER / "installed"
    done = mark.read_text().splitlines() if mark.is_file() else []
    for names in (torch, *filter(None, packages)):
        if names in done:
            continue
        say(f"installing {names}")
        commands = [[*pip, *names.split()]]
        if names == torch:
            commands.append([*pip, "--extra-index-url", TORCH_INDEX, torch])
        if any(subprocess.call(command, stdout=sys.stderr) == 0 for command in commands):
            done.append(names)
            mark.write_text("\n".join(done))
    if Path(sys.prefix).resolve() != FOLDER.resolve():
        os.execv(python, [str(python), *sys.argv])
