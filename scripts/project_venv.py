"""Finds the Python that has what the scripts need: one started by the system's Python goes on in the project's .venv.

A script imports this before anything that is not in the standard library. In a virtual environment of one's own it
stays there. Where a package is missing, one line says the command that installs it.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import TracebackType

SCRIPTS = Path(__file__).resolve().parent
PYTHON = SCRIPTS.parent / ".venv" / "bin" / "python"
FAILED = 3


def tell_what_is_missing(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """An excepthook: a package that is not there is told in one line."""
    if not isinstance(error, ModuleNotFoundError):
        return sys.__excepthook__(kind, error, trace)
    print(
        f"{Path(sys.argv[0]).stem}: {sys.executable} has no {error.name}: run scripts/setup --scripts, which makes a "
        ".venv that has it; scripts go on there by themselves unless a virtual environment is active",
        file=sys.stderr,
    )
    sys.stderr.flush()
    os._exit(FAILED)  # an excepthook cannot choose the exit status


def find_python() -> None:
    if Path(sys.argv[0]).resolve().parent != SCRIPTS:
        return  # a module of a test, or of somebody's own
    if PYTHON.exists() and sys.prefix == sys.base_prefix:
        os.execv(PYTHON, [str(PYTHON), *sys.orig_argv[1:]])
    sys.excepthook = tell_what_is_missing


find_python()
