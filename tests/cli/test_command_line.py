"""The way from the words of a command line to a command and its options."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE, TINY, TOP, Result, Run, error_line, records

COMMANDS = ("classify", "eval", "diff", "tokenize", "verify", "bench", "info", "serve")


def test_help_shows_the_options_of_the_default_command_and_all_commands(run: Run) -> None:
    text = run("--help").stdout.decode()
    for option in ("--text ", "--output", "--long-text", "--threshold", "--text-field"):
        assert option in text
    for command in COMMANDS:
        assert f"\n  {command} " in text
    assert "{false}" not in text
    assert re.search(r"\n  shell-help .*bash, zsh or fish", text)
    assert "reviewrate shell-help fish > " in run("help", "shell-help").stdout.decode()
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
    assert run("--id-field", "eval", "tokenize", "a.txt", cwd=tmp_path).stdout == expected  # a value is no command


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


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["--treshold", "0.4"], "did you mean --threshold?"),
        (["--out=x"], "did you mean --output?"),
        (["--lable", "x"], "did you mean --labels?"),
        (["eval", "--lable", "x"], "did you mean --label-field or --label-map?"),
        (["eval", "--label", "x"], "did you mean --labels or --label-field or --label-map?"),
        (["eval", "-textfield"], "did you mean --text-field?"),
        (["--label-field", "x"], "is an option of eval, not of classify (see reviewrate eval --help)"),
        (["eval", "--pass", "x"], "is an option of classify, not of eval (see reviewrate classify --help)"),
        (["--verbose"], "there is no such option (see reviewrate --help)"),
        (["info", "x"], "x: is more than is expected here (see reviewrate info --help)"),
    ],
)
def test_a_misspelt_option_is_told(words: list[str], meant: str, run: Run) -> None:
    result = run(*words)
    assert (result.returncode, result.stdout) == (2, b"")
    assert meant in error_line(result)


@pytest.mark.parametrize(
    ("name", "notice"),
    [
        ("rated.xlsx", ".xlsx"),
        ("rated.html", ".html"),
        ("rated.parq", ".parq"),
        ("rated.XML.gz", ".xml"),
        ("rated", ""),
        ("rated.jsonl", ""),
        ("rated.json.gz", ""),
        ("rated.txt", ""),
        ("rated.out", ""),
        ("rated.2026", ""),
        ("v1.5-rated", ""),
        ("rated.csv", ""),
    ],
)
def test_an_extension_that_promises_another_format_is_told(name: str, notice: str, run: Run, tmp_path: Path) -> None:
    result = run("-t", "a good film", "-o", name, cwd=tmp_path)
    assert result.returncode == 0
    if notice:
        assert f"{name}: gets JSON Lines: {notice} is none of the formats" in error_line(result)
    else:
        assert result.stderr == b""
    assert run("-t", "a good film", "-o", name, "-q", cwd=tmp_path).stderr == b""
    assert run("-t", "a good film", "-o", name, "-f", "csv", cwd=tmp_path).stderr == b""


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["-o", "file/x"], "file/x: cannot be opened for writing: Not a directory"),
        (["-o", "file/"], "file/: cannot be opened for writing: Not a directory"),
        (["-o", "gone/x"], "gone/x: cannot be opened for writing: No such file or directory"),
        (["-o", "folder"], "folder: cannot be opened for writing: Is a directory"),
        (["-o", "x.parquet", "--summary", "file/x"], "file/x: cannot be opened for writing: Not a directory"),
        (["-o", "a/" + "b" * 300], "No such file or directory"),
        (["-o", "b" * 300], "File name too long"),
        (["-o", "b" * 250 + ".jsonl"], "File name too long"),
        (["--files-from", "folder"], "--files-from folder: cannot be read: Is a directory"),
        (["--files-from", "file/x"], "--files-from file/x: cannot be read: Not a directory"),
    ],
)
def test_the_reason_is_that_of_what_failed(words: list[str], reason: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    result = run("-t", "a good film", *words, cwd=tmp_path)
    assert result.returncode in (2, 3)
    assert reason in error_line(result)


@pytest.mark.parametrize(
    ("word", "command"),
    [("evla", "eval"), ("evaluate", "eval"), ("classfy", "classify"), ("benchmark", "bench"), ("tokenise", "tokenize")],
)
def test_a_misspelt_command_is_told(word: str, command: str, run: Run, tmp_path: Path) -> None:
    for words in ([word, "in.jsonl"], ["-q", word], [word, "--help"]):
        result = run(*words, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (2, b"")
        assert f'{word}: is neither a command nor a file: did you mean "reviewrate {command}"?' in error_line(result)
    (tmp_path / word).write_text("a good film\n")  # a file is one, whatever it is called
    assert [r["id"] for r in records(run(word, cwd=tmp_path))] == [f"{word}:1"]


def test_a_name_that_is_like_no_command_is_a_file(run: Run, tmp_path: Path) -> None:
    for name in ("reviews", "./evla", "evil.txt", "in", "EVLA"):
        result = run(name, "-q", cwd=tmp_path)
        assert (result.returncode, records(result)[0]["error"]["kind"]) == (1, "open")


def test_a_text_in_the_place_of_a_file_is_not_guessed_but_told(run: Run, tmp_path: Path) -> None:
    result = run("It is very nice film", "-q", cwd=tmp_path)
    assert (result.returncode, len(records(result))) == (1, 1)
    error = records(result)[0]["error"]
    assert error["kind"] == "open" and "--text (-t)" in error["message"]
    assert "--text" not in records(run("gone.txt", "-q", cwd=tmp_path))[0]["error"]["message"]
    assert len(records(run("-t", "It is very nice film"))) == 1


def test_jobs_are_workers(run: Run) -> None:
    assert run("--jobs", "1", "-t", "a good film").returncode == 0
    assert "--workers: Value 0" in error_line(run("--jobs", "0", "-t", "a good film"))


def test_tokenize_takes_texts(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a bad film\n")
    result = run("tokenize", "-t", "a good film", "a.txt", cwd=tmp_path)
    assert [r["id"] for r in records(result)] == ["text:1", "a.txt:1"]
    assert records(run("tokenize", "-t", "a good film", stdin="not read\n"))[0]["tokens"][1:-1] == ["a", "good", "film"]


def test_color_where_it_is_asked_for_or_seen(run: Run) -> None:
    plain = run("-f", "text", "-t", "a good film").stdout
    assert b"\x1b" not in plain and b"/10  " in plain
    colored = run("-f", "text", "-t", "a good film", "--color", "always").stdout
    assert re.sub(rb"\x1b\[\d+m", b"", colored) == plain != colored
    assert b"\x1b" not in run("-f", "jsonl", "-t", "a good film", "--color", "always").stdout
    assert run("--color", "sometimes", "-t", "x").returncode == 2


def test_a_package_by_its_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "tiny").symlink_to(TINY)
    path = {**os.environ, "REVIEWRATE_MODEL_PATH": f"/nowhere:{tmp_path / 'models'}"}

    def info(*words: str, **more: str) -> Result:
        command = [BINARY, "info", *words]
        return subprocess.run(command, env=path | more, capture_output=True, timeout=PATIENCE, check=False)

    vocabulary = json.loads(info("-m", "tiny", REVIEWRATE_MODEL="").stdout)["tokenizer"]["vocab"]
    assert vocabulary.startswith(str(tmp_path / "models" / "tiny"))
    assert json.loads(info(REVIEWRATE_MODEL="tiny").stdout)["tokenizer"]["vocab"] == vocabulary
    assert json.loads(info("-m", "imdb-small").stdout)["name"] == "imdb-small"  # beside the program
    result = info("-m", "tyni")
    assert result.returncode == 3 and str(tmp_path / "models") in error_line(result)
    assert "only: imdb-small, tiny" in error_line(result)


def test_a_hugging_face_folder_gets_the_command_that_exports_it(run: Run, tmp_path: Path) -> None:
    (tmp_path / "my-model").mkdir()
    (tmp_path / "my-model" / "config.json").write_text("{}")
    result = run("-m", f"{tmp_path}/my-model/", "-t", "a good film", model=None)
    assert result.returncode == 3
    assert f"scripts/export.py {tmp_path}/my-model/ -o models/my-model" in error_line(result)
    result = run("-m", "somebody/my-model", "-t", "a good film", cwd=tmp_path, model=None)
    assert result.returncode == 3 and "scripts/export.py" in error_line(result)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_is_wrapped_and_in_words(command: str, run: Run) -> None:
    text = run(*command.split(), "--help").stdout.decode()
    assert max(map(len, text.splitlines())) <= 80
    for leftover in ("UINT", "FLOAT", "Needs:", "Excludes:", " in [", "=id", "TEXT ...", "(2x)"):
        assert leftover not in text
    for section in ("Exit codes:", "Environment:", "REVIEWRATE_MODEL_PATH", "Files:", "Example"):
        assert section in text
    assert ("Output fields:" in text) == (command in ("", "classify"))


def test_every_field_of_a_record_is_in_the_help(run: Run) -> None:
    text = run("--help").stdout.decode().split("Output fields:")[1]
    lines = b"a good film\n \n\xff\n" + b"x" * 3_000_000 + b"\n"
    names = {name for record in records(run(stdin=lines)) for name in record}
    assert {"empty", "repaired", "error"} <= names
    assert all(re.search(rf"\b{name}\b", text) for name in names)


def test_the_man_page_has_the_sections(run: Run) -> None:
    page = run("shell-help", "man").stdout.decode()
    for section in ("OUTPUT FIELDS", "EXIT CODES", "ENVIRONMENT", "FILES"):
        assert f"\n.SH {section}\n" in page


def test_the_examples_that_ship(run: Run) -> None:
    result = run(TOP / "models" / "imdb-small" / "examples.csv", "--pass", "stars")
    assert result.returncode == 0
    rated = records(result)
    assert len(rated) == 16 and {record["id"] for record in rated} >= {"soup", "train"}


@pytest.mark.parametrize("command", ["classify", "diff", "serve"])
def test_no_option_takes_an_empty_value(command: str, run: Run) -> None:
    """As of an unset variable in a script: `serve --api-key-file "$KEYS"` would let in everybody. A review and a prefix
    may be empty."""
    text = run(command, "--help").stdout.decode()
    options = re.findall(r"^  (?:-\w,)?(--[a-z-]+)(?:,--[a-z-]+)* [A-Za-z|]", text, re.MULTILINE)
    assert len(options) > 1
    for option in set(options) - {"--text", "--prefix"}:
        result = run(command, option, "")
        assert result.returncode == 2 and option in error_line(result)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tokenize", "-t", "a", "--max-tokens", "-1"], "--max-tokens: Value -1 not in range"),
        (["-t", "a", "--seed", "-1", "--sample", "1"], "--seed: Value -1 not in range"),
        (["serve", "--port", "70000"], "--port: Value 70000 not in range 0 to 65535"),
        (["serve", "--head-seconds", "0"], "--head-seconds: Value 0 not in range 1 to"),
        (["serve", "--cors-origin", "shop.example"], '"shop.example" is no origin'),
        (["serve", "--cors-origin", "https://shop.example/"], "is no origin"),
    ],
)
def test_values_that_are_none(words: list[str], told: str, run: Run) -> None:
    result = run(*words)
    assert result.returncode == 2 and told in error_line(result)


def test_an_empty_variable_does_not_open_the_server(run: Run) -> None:
    result = subprocess.run(
        [BINARY, "serve", "--port", "0"], env=os.environ | {"REVIEWRATE_API_KEY_FILE": ""}, capture_output=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert result.returncode == 2 and b"REVIEWRATE_API_KEY_FILE: is empty" in result.stderr
