"""scripts/all_cpus.py knows every set of kernels that there is, and a CPU on which it is the one that is taken."""

import os
import re
import subprocess
from pathlib import Path

import pytest

import all_cpus
from conftest import BINARY, PATIENCE, TOP


def test_no_set_is_forgotten() -> None:
    known = {name for sets in all_cpus.SETS.values() for name in sets}
    assert set(re.findall(r"set\(vector_flags_(\w+)", (TOP / "CMakeLists.txt").read_text())) == known
    dispatch = (TOP / "src" / "model" / "kernels.cpp").read_text()
    assert set(re.findall(r"namespace (\w+) \{\nextern const Kernels kernels;", dispatch)) == known
    cpus = all_cpus.QEMU_CPUS + all_cpus.OTHER_CPUS
    assert sorted(cpu.kernels[0] for cpu in cpus) == sorted(known)  # the first is what kernels() gives
    for cpu in cpus:
        assert [name for name in all_cpus.SETS[cpu.machine] if name in cpu.kernels] == list(cpu.kernels)


def test_this_cpu_runs_the_sets_that_it_has() -> None:
    """What the program finds by itself is what /proc/cpuinfo says."""
    expected = " ".join(all_cpus.own_cpu().kernels)
    result = subprocess.run(
        [Path(BINARY).parent / "unit_tests", "[sets]"], env=os.environ | {"REVIEWRATE_EXPECTED_SETS": expected},
        capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert result.returncode == 0 and "1 test case" in result.stdout, result.stdout


def test_what_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("PATH", "")
    assert all_cpus.main([]) == 3
    assert capsys.readouterr().err == (
        f"all_cpus: qemu-x86_64-static: is not installed (Debian: apt-get install {all_cpus.PACKAGES})\n"
    )
