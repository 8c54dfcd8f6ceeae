"""Completions, the man page, and an installed tree."""

import json
import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE, Run

# A reviewrate that writes down the words it was given and ends the shell.
RECORD = """reviewrate() {{ printf '%s\\0' "$@" > '{words}'; exit; }}\nPS1='ready> '\n"""
START = {
    "bash": ".bashrc",
    "zsh": ".zshrc",
    "fish": ".config/fish/config.fish",
}


def shell_start(shell: str, home: Path, script: str) -> str:
    """What `shell` has to read before it completes words for `script`."""
    record = RECORD.format(words=home / "words")
    if shell == "bash":
        return f"{script}\n{record}"
    if shell == "zsh":
        (home / "functions").mkdir()
        (home / "functions" / "_reviewrate").write_text(script)
        return f"fpath=('{home / 'functions'}' $fpath)\nautoload -Uz compinit && compinit -u -D\n{record}"
    return (
        f"{script}\nset fish_greeting\nfunction fish_prompt; printf 'ready> '; end\n"
        f"function reviewrate; printf '%s\\0' $argv > '{home / 'words'}'; exit; end\n"
    )


def words_of(shell: str, run: Run, home: Path, folder: Path, typed: str) -> list[str]:
    """The words that reviewrate gets where a person in `folder` types `typed`, with tabs, into `shell`'s own prompt."""
    script = run("shell-help", shell).stdout.decode()
    start = home / START[shell]
    start.parent.mkdir(parents=True, exist_ok=True)
    start.write_text(shell_start(shell, home, script))
    # Without it fish goes through all manual pages when it first starts, and holds the terminal meanwhile.
    (home / ".local" / "share" / "fish" / "generated_completions").mkdir(parents=True, exist_ok=True)
    (home / "bin").mkdir()
    (home / "bin" / "reviewrate").symlink_to(BINARY)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        path = f"{home / 'bin'}:{os.environ['PATH']}"
        environment = {"HOME": str(home), "PATH": path, "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        os.execvpe(shell, [shell, "-i"], environment)
    try:
        shown = b""
        deadline = time.monotonic() + PATIENCE
        while b"ready> " not in shown:
            assert select.select([terminal], [], [], deadline - time.monotonic())[0], shown
            shown += os.read(terminal, 4096)
        os.write(terminal, f"{typed}\n".encode())
        while select.select([terminal], [], [], deadline - time.monotonic())[0]:
            try:
                shown += os.read(terminal, 4096)
            except OSError:  # the shell has ended
                break
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    assert (home / "words").exists(), shown
    return (home / "words").read_bytes().decode().split("\0")[:-1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("reviewrate my\t", ["my own reviews.txt"]),
        ("reviewrate my\\ ow\t", ["my own reviews.txt"]),
        ("reviewrate -o o\t my\t", ["-o", "old; (1).csv", "my own reviews.txt"]),
        ("reviewrate eval a\t", ["eval", "a 'quoted' $name"]),
        ("reviewrate ver\t", ["verify"]),
        ("reviewrate --long\t head-\t my\t", ["--long-text", "head-tail", "my own reviews.txt"]),
        ("reviewrate tokenize --max-t\t 5", ["tokenize", "--max-tokens", "5"]),
        ("reviewrate -j 2 tokenize --max-t\t 5", ["-j", "2", "tokenize", "--max-tokens", "5"]),
    ],
)
def test_completion_at_a_prompt(shell: str, typed: str, words: list[str], run: Run, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    for name in ("my own reviews.txt", "old; (1).csv", "a 'quoted' $name"):
        (folder / name).write_text("A lovely film.\n")
    assert words_of(shell, run, home, folder, typed) == words


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("reviewrate eval --min prec\t0.9", ["eval", "--min", "precision=0.9"]),
        ("reviewrate eval --max-drop rating_mae\t1", ["eval", "--max-drop", "rating_mae=1"]),
        ("reviewrate in.csv --pass sta\t", ["in.csv", "--pass", "stars"]),
        ("reviewrate in.csv --text-field my\t", ["in.csv", "--text-field", "my review"]),
        ("reviewrate in.csv --annotate --columns rat\t", ["in.csv", "--annotate", "--columns", "rating"]),
    ],
)
def test_measures_and_fields_are_offered(shell: str, typed: str, words: list[str], run: Run, tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "folder"
    home.mkdir()
    folder.mkdir()
    (folder / "in.csv").write_text("stars,my review,$(touch ran)\n5,a good film,x\n")
    assert words_of(shell, run, home, folder, typed) == words
    assert not (folder / "ran").exists()


def test_the_fields_of_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"b": 1, "text": "so", "a": null}\n')
    (tmp_path / "a.txt").write_text("so\n")
    (tmp_path / "a.tsv").write_text("stars\tno text\n")
    for words, names in (
        (["--pass", "a.jsonl"], "b\ntext\na\n"), (["a.txt", "gone", "a.tsv"], "stars\nno text\n"), (["a.txt"], "")
    ):  # fmt: skip
        result = run("shell-help", "fields", "--", *words, cwd=tmp_path)
        assert (result.returncode, result.stdout.decode()) == (0, names)


@pytest.mark.parametrize("kind", ["zsh", "fish", "man"])
def test_every_option_of_the_help_is_told(kind: str, run: Run) -> None:
    text = re.sub(r"\\f[BIR]|\\(?=-)", "", run("shell-help", kind).stdout.decode())
    for command in ("classify", "eval", "diff", "tokenize", "verify", "bench", "info"):
        for line in run(command, "--help").stdout.decode().splitlines():
            for word in line.split()[0].split(",") if line.startswith("  -") else []:
                if kind == "fish":
                    word = f"-l {word[2:]}" if word.startswith("--") else f"-s {word[1:]}"
                assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text), word


def test_the_installed_tree_works_elsewhere(tmp_path: Path) -> None:
    build = Path(BINARY).parent
    subprocess.run(
        ["cmake", "--install", build, "--prefix", tmp_path / "a"], check=True, capture_output=True, timeout=PATIENCE
    )
    shutil.move(tmp_path / "a", tmp_path / "b")
    environment = {
        name: value for name, value in os.environ.items() if name not in ("REVIEWRATE_MODEL", "LD_LIBRARY_PATH")
    }
    result = subprocess.run(
        [tmp_path / "b" / "bin" / "reviewrate", "-t", "It is very nice film"],
        capture_output=True, check=True, env=environment, cwd="/", timeout=PATIENCE,
    )  # fmt: skip
    assert json.loads(result.stdout)["label"] == "POSITIVE"
    for file in ("man/man1/reviewrate.1", "bash-completion/completions/reviewrate", "zsh/site-functions/_reviewrate"):
        assert (tmp_path / "b" / "share" / file).stat().st_size > 500
    assert (tmp_path / "b" / "share" / "fish" / "vendor_completions.d" / "reviewrate.fish").stat().st_size > 500
