"""Completions, the man page, and an installed tree."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE, Run


def complete(script: str, *words: str) -> list[str]:
    """What bash would offer for the last of `words`."""
    ask = f'{script}\nCOMP_WORDS=({" ".join(words)} ""); COMP_CWORD={len(words) - 1}; _reviewrate; printf "%s\\n" "${{COMPREPLY[@]}}"'
    result = subprocess.run(["bash", "-c", ask], capture_output=True, check=True, timeout=PATIENCE)
    return result.stdout.decode().split()


def test_bash_completion(run: Run, tmp_path: Path) -> None:
    script = run("shell-help", "bash").stdout.decode()
    assert complete(script, "reviewrate", "--long") == ["--long-text"]
    assert complete(script, "reviewrate", "--long-text", "head") == ["head", "head-tail"]
    assert complete(script, "reviewrate", "tokenize", "--max-t") == ["--max-tokens"]
    assert complete(script, "reviewrate", "classify", "--max-t") == []
    assert "verify" in complete(script, "reviewrate", "ver")


@pytest.mark.parametrize("kind", ["zsh", "fish", "man"])
def test_every_option_of_the_help_is_told(kind: str, run: Run) -> None:
    text = re.sub(r"\\f[BIR]|\\(?=-)", "", run("shell-help", kind).stdout.decode())
    for command in ("classify", "eval", "diff", "tokenize", "verify", "bench", "info"):
        for line in run(command, "--help").stdout.decode().splitlines():
            for word in line.split()[0].replace("{false}", "").split(",") if line.startswith("  -") else []:
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
