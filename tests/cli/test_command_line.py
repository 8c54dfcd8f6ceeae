"""The way from the words of a command line to a command and its options."""

from pathlib import Path

import pytest

from conftest import TINY, Run, error_line, records

COMMANDS = ("classify", "eval", "diff", "tokenize", "verify", "bench", "info")


def test_help_shows_the_options_of_the_default_command_and_all_commands(run: Run) -> None:
    text = run("--help").stdout.decode()
    for option in ("--text ", "--output", "--long-text", "--threshold", "--text-field"):
        assert option in text
    for command in COMMANDS:
        assert f"\n  {command} " in text
    assert "{false}" not in text and "shell-help" not in text
    assert run("help").stdout.decode() == text


@pytest.mark.parametrize("command", COMMANDS[1:])
def test_help_of_a_command_in_every_place(command: str, run: Run) -> None:
    text = run(command, "--help").stdout
    assert text.startswith(b"") and f"Usage: reviewrate {command}".encode() in text
    assert run("--help", command).stdout == text
    assert run("help", command).stdout == text


@pytest.mark.parametrize("words", [["--version"], ["-V"], ["-q", "--version"], ["eval", "-V"], ["-j", "2", "-V"]])
def test_version_behind_other_options(words: list[str], run: Run) -> None:
    result = run(*words)
    assert result.returncode == 0 and result.stdout.startswith(b"reviewrate 0.")


def test_options_stand_before_the_command(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("fine film\n")
    expected = run("tokenize", "-m", TINY, "a.txt", cwd=tmp_path, model=None).stdout
    assert expected
    assert run("-m", TINY, "tokenize", "a.txt", cwd=tmp_path, model=None).stdout == expected
    assert run(f"--model={TINY}", "tokenize", "a.txt", cwd=tmp_path, model=None).stdout == expected
    assert run("--text-field", "eval", "tokenize", "a.txt", cwd=tmp_path).stdout == expected  # a value is no command


def test_a_value_or_a_file_called_as_a_command_is_none(run: Run, tmp_path: Path) -> None:
    (tmp_path / "eval").write_text("fine film\n")
    assert [r["id"] for r in records(run("-t", "bench", "./eval", cwd=tmp_path))] == ["text:1", "./eval:1"]
    assert [r["id"] for r in records(run("--", "eval", cwd=tmp_path))] == ["eval:1"]
    assert [r["id"] for r in records(run("classify", "eval", cwd=tmp_path))] == ["eval:1"]


def test_brackets_are_part_of_a_name_and_an_empty_value_is_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "[2019]").write_text("one\n")
    (tmp_path / "[imdb, part 1]").mkdir()
    (tmp_path / "[imdb, part 1]" / "a.txt").write_text("two")
    result = run("--text=", "-t", "[a, b]", "[2019]", "--text=", "[imdb, part 1]", "-q", cwd=tmp_path)
    assert [(r["id"], r["tokens"]) for r in records(result)][:3] == [("text:1", 2), ("text:2", 7), ("text:3", 2)]
    assert [r["id"] for r in records(result)][3:] == ["[2019]:1", "a.txt"]
    assert [r["tokens"] for r in records(run("-f", "jsonl", "--text="))] == [2]


def test_what_is_no_option_is_told(run: Run) -> None:
    result = run("--no-such-option", "x")
    assert result.returncode == 2 and "--no-such-option" in error_line(result)
    result = run("-t")
    assert result.returncode == 2 and "--text" in error_line(result)
