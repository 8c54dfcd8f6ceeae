"""How every script here ends on bad input: one line "NAME: what: why" on stderr, and exit status 2 (usage) or 3.

A script is a `main(argv=None)` under `@command("NAME")`, reads its arguments with `Parser("NAME", __doc__)` and raises
BadInput where something that it was given cannot be used.
"""

from __future__ import annotations

import argparse
import functools
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

OK, USAGE, FAILED, INTERRUPTED = 0, 2, 3, 130
Main = Callable[[Sequence[str] | None], int | None]


class BadInput(Exception):
    """Something that was given cannot be used; says "what: why", in words for the one who gave it."""


class Stopped(Exception):
    """The script was told to stop by a signal, and says what is left to do."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.signal_number = signal_number


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


class Parser(argparse.ArgumentParser):
    """Arguments with the script's documentation as its help, whose errors are one line."""

    def __init__(self, name: str, documentation: str | None) -> None:
        super().__init__(
            prog=name, description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
        )

    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"{self.prog}: {' '.join(message.split())} (--help tells the options)\n")


def number(kind: Callable[[str], float], low: float, high: float = float("inf")) -> Callable[[str], float]:
    """The type of an argument that must be within bounds."""

    def convert(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            bounds = f"at least {low:g}" if high == float("inf") else f"from {low:g} to {high:g}"
            raise argparse.ArgumentTypeError(f"{text!r} is not {'a whole number' if kind is int else 'a number'} {bounds}")
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
                return main(argv) or OK
            except Stopped as stopped:
                say(str(stopped))
                return 128 + stopped.signal_number
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
