"""How every script here ends on bad input: one line "NAME: what: why" on stderr, and exit status 2 (usage) or 3.

A script is a `main(argv=None)` under `@command("NAME")`, reads its arguments with `Parser("NAME", __doc__)` and raises
BadInput where something that it was given cannot be used.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

OK, USAGE, FAILED, INTERRUPTED = 0, 2, 3, 130
OUTPUT_CLOSED = 141  # as a shell tells of who died by SIGPIPE
Main = Callable[[Sequence[str] | None], int | None]


class BadInput(Exception):
    """Something that was given cannot be used; says "what: why", in words for the one who gave it."""


class Stopped(Exception):
    """The script stops before its end, as it was told to, and says how to go on."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


def require(held: bool, message: str) -> None:
    """Raises BadInput unless a condition holds."""
    if not held:
        raise BadInput(message)


def reason(error: BaseException) -> str:
    """The first line of what an error says, with the file's name first if it has one."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


@contextmanager
def blaming(what: str) -> Iterator[None]:
    """Turns whatever is raised, and libraries raise anything on what they are given, into BadInput "what: why"."""
    try:
        yield
    except Exception as error:
        raise BadInput(f"{what}: {reason(error)}") from error


def read_text(path: str | Path) -> str:
    """A file in UTF-8."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is not UTF-8: {error.reason} at byte {error.start}") from error


def empty_folder(folder: Path) -> None:
    """Makes the folder where it is not there yet, and refuses one that holds anything, which might be lost."""
    folder.mkdir(parents=True, exist_ok=True)
    require(not any(folder.iterdir()), f"{folder}: is not empty: remove it, or name another folder")


class Parser(argparse.ArgumentParser):
    """Arguments with the script's documentation as its help, whose errors are one line."""

    def __init__(
        self,
        name: str,
        documentation: str | None,
        formatter_class: type[argparse.HelpFormatter] = argparse.RawDescriptionHelpFormatter,
    ) -> None:
        super().__init__(prog=name, description=documentation, formatter_class=formatter_class, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {' '.join(message.split())} (--help tells the options)\n")


def bounded(kind: type[int] | type[float], low: float, high: float = math.inf) -> Callable[[str], Any]:
    """The type of an argument that must be within bounds, and finite."""

    def convert(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (low <= value <= high and math.isfinite(value)):
            bounds = f"of at least {low:g}" if high == math.inf else f"from {low:g} to {high:g}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a {'whole ' if kind is int else ''}number {bounds}")
        return value

    return convert


def command(name: str) -> Callable[[Main], Callable[..., int]]:
    """Makes a script's main return its exit status, whatever happens."""

    def decorate(main: Main) -> Callable[..., int]:
        @functools.wraps(main)
        def run(argv: Sequence[str] | None = None) -> int:
            def say(message: str) -> None:
                print(f"{name}: {message}", file=sys.stderr, flush=True)

            try:
                status = main(argv) or OK
                sys.stdout.flush()  # what cannot be written is to be told here, not at the interpreter's end
                return status
            except BrokenPipeError:
                # Who read the output has left, as `| head` does; the interpreter's own flush goes nowhere.
                os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                return OUTPUT_CLOSED
            except Stopped as stopped:
                say(str(stopped))
                return stopped.status
            except KeyboardInterrupt:
                say("interrupted")
                return INTERRUPTED
            except (BadInput, OSError) as error:
                say(reason(error))
            except Exception as error:
                if sys.flags.dev_mode:  # python -X dev shows where an error comes from
                    raise
                place = traceback.extract_tb(error.__traceback__)[-1]
                say(f"{type(error).__name__}: {reason(error)} (unexpected; {Path(place.filename).name}:{place.lineno})")
            return FAILED

        return run

    return decorate
