"""Scripts find the project's .venv by themselves, and say what is missing; scripts/run works through a link."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TOP

SYSTEM_PYTHON = str(Path(sys.executable).resolve())  # a virtual environment's is a link


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one script, which needs a package that is nowhere."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(TOP / "scripts" / "project_venv.py", tmp_path / "scripts")
    (tmp_path / "scripts" / "rate.py").write_text("import project_venv\nimport no_such_package\n")
    return tmp_path


def start(project: Path, python: str = SYSTEM_PYTHON) -> subprocess.CompletedProcess[str]:
    command = [python, "-E", "scripts/rate.py", "a b", "--option"]
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)


def test_a_missing_package_is_one_line(project: Path) -> None:
    result = start(project)
    assert (result.returncode, result.stdout) == (3, "")
    [line] = result.stderr.splitlines()
    assert line.startswith("rate: ") and "no_such_package" in line and "scripts/setup --scripts" in line


def test_a_script_goes_on_in_the_projects_venv(project: Path) -> None:
    python = project / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\nprintf "%s\\n" "$0" "$@"\n')
    python.chmod(0o755)
    result = start(project)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [str(python), "-E", "scripts/rate.py", "a b", "--option"]
    # A virtual environment that somebody chose is left alone.
    chosen = start(project, python=sys.executable)
    assert chosen.returncode == 3 and "no_such_package" in chosen.stderr


def test_every_script_that_needs_packages_finds_them() -> None:
    for path in (TOP / "scripts").glob("*.py"):
        text = path.read_text()
        started = text.startswith("#!") and any(f"\nimport {n}" in text or f"\nfrom {n}" in text for n in PACKAGES)
        assert ("import project_venv" in text) == started, path.name


PACKAGES = ["torch", "numpy", "scipy", "sklearn", "matplotlib", "transformers", "tokenizers", "sentencepiece"]


def test_run_through_a_link(tmp_path: Path) -> None:
    """With a program that is up to date, so that nothing is built."""
    (tmp_path / "project" / "scripts").mkdir(parents=True)
    shutil.copy(TOP / "scripts" / "run", tmp_path / "project" / "scripts" / "run")
    for source in ("CMakeLists.txt", "include", "src", "scripts/requirements.txt", "scripts/setup"):
        (tmp_path / "project" / source).touch()
    build = tmp_path / "project" / "build"
    build.mkdir()
    (build / "reviewrate").write_text("#!/bin/sh\necho ran $*\n")
    (build / "reviewrate").chmod(0o755)
    (build / ".up-to-date").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "first").symlink_to("../project/scripts/run")
    (tmp_path / "bin" / "reviewrate").symlink_to("first")
    result = subprocess.run([tmp_path / "bin" / "reviewrate", "-t", "x"], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (0, "ran -t x\n")
