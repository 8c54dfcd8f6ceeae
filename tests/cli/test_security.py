"""The commands of SECURITY.md: a signed package is accepted, and one that was changed in any way is not."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE, TINY, TOP, Result

[BLOCK] = re.findall(r"```sh\n(.*?)```", (TOP / ".github" / "SECURITY.md").read_text(), re.DOTALL)
MAKE_KEY, SIGN, CHECK = BLOCK.replace("NAME", "tiny").splitlines()


def paste(command: str, folder: Path) -> Result:
    """Runs a command as a person would, who types a password where one is asked for, twice where it is new."""
    environment = {**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "HOME": str(folder)}
    return subprocess.run(
        ["bash", "-c", command],
        input=b"a password\na password\n",
        cwd=folder,
        env=environment,
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a package that its maker has signed."""
    folder = tmp_path_factory.mktemp("signed")
    shutil.copytree(TINY, folder / "models" / "tiny")
    (folder / "bin").mkdir()
    (folder / "bin" / "reviewrate").symlink_to(BINARY)
    for command in (MAKE_KEY, SIGN):
        result = paste(command, folder)
        assert result.returncode == 0, result.stderr
    return folder


@pytest.fixture
def folder(signed: Path, tmp_path: Path) -> Path:
    return shutil.copytree(signed, tmp_path / "folder", symlinks=True)


def test_a_signed_package(folder: Path) -> None:
    result = paste(CHECK, folder)
    assert result.returncode == 0, result.stderr
    assert b"Signature and comment signature verified" in result.stdout


def test_a_file_that_was_changed(folder: Path) -> None:
    model = folder / "models" / "tiny" / "model.pt"
    model.write_bytes(model.read_bytes()[:-1] + b"?")
    result = paste(CHECK, folder)
    assert result.returncode == 3 and b"model.pt" in result.stderr


def test_a_manifest_that_was_changed(folder: Path) -> None:
    manifest = folder / "models" / "tiny" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"max_tokens"', ' "max_tokens"'))
    result = paste(CHECK, folder)
    assert result.returncode == 1 and b"Signature verification failed" in result.stderr
    assert result.stdout == b""
