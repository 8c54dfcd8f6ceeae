"""Identifiers and phrases that were given up for clearer ones do not come back."""

import subprocess

from conftest import TOP

LIST = TOP / "tests" / "retired_words.txt"
ELSEWHERE = [
    ":!tests/retired_words.txt",
    ":!LICENSE",
    ":!*.jsonl",  # reviews say what they like
    ":!models/*/vocab.txt",
    ":!tests/fuzz/corpus",
    ":!tests/cli/test_command_line.py",  # looks for the second last of them in the help
]


def found(*where: str) -> list[str]:
    """The lines of the repository's files that hold a retired word, as git grep prints them."""
    grep = [
        "git",
        "grep",
        "-n",
        "-I",
        "--ignore-case",
        "--word-regexp",
        "--fixed-strings",
        "-f",
        str(LIST),
        "--",
        *where,
    ]
    result = subprocess.run(grep, cwd=TOP, capture_output=True, check=False)
    assert result.returncode in (0, 1), result.stderr
    return result.stdout.decode().splitlines()


def test_the_list_finds_its_own_words() -> None:
    words = LIST.read_text().splitlines()
    assert words == sorted(set(words)) and len(words) > 40
    assert len(found("tests/retired_words.txt")) == len(words)


def test_no_retired_word_is_in_the_tree() -> None:
    assert found(".", *ELSEWHERE) == []
