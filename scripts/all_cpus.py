#!/usr/bin/env python3
"""Tests the kernels of every instruction set, and what reads text, on CPUs that this machine need not have.

scripts/test --all-cpus calls it. It compiles cpu_tests (CMakeLists.txt) for x86-64 and aarch64 and runs it on CPUs that
qemu emulates, one for each set that qemu knows. There it also has to find the sets that the CPU has, and no other. What
qemu does not know (AVX-512, AVX-VNNI) is tested on this machine's own CPU if that has it, and under --emulator:

    scripts/all_cpus.py --emulator 'sde64 -{cpu} --'    # Intel's Software Development Emulator, which Intel gives away

Another emulator does as well, if it takes a statically linked program for Linux and runs it on the CPUs skx, clx, adl
and spr, by Intel's names: {cpu} stands for these. Nothing that runs in an emulator says anything about speed. It wants
Catch2 2 (Debian 12's), which is headers alone.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from command_line import OK, BadInput, Parser, command, require

TOP = Path(__file__).resolve().parent.parent
FAILED_TESTS = 1
PACKAGES = "catch2 cmake g++ g++-aarch64-linux-gnu ninja-build qemu-user-static"

# What /proc/cpuinfo says of a CPU that has a set; the widest first, as src/model/kernels.cpp prefers them.
AVX2 = {"avx2", "fma", "f16c"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
SETS: dict[str, dict[str, set[str]]] = {
    "x86_64": {
        "avx512bf16": AVX512 | {"avx512_vnni", "avx512_bf16"},
        "avx512vnni": AVX512 | {"avx512_vnni"},
        "avx512": AVX512,
        "avxvnni": AVX2 | {"avx_vnni"},
        "avx2": AVX2,
        "portable": set(),
    },
    "aarch64": {"neoni8mm": {"asimddp", "i8mm"}, "neondotprod": {"asimddp"}, "neon": set()},
}


@dataclass(frozen=True)
class Cpu:
    machine: str  # what the program is compiled for
    name: str
    kernels: tuple[str, ...]  # the sets that it has, the widest first


QEMU_CPUS = (
    Cpu("x86_64", "Nehalem", ("portable",)),
    Cpu("x86_64", "Haswell", ("avx2", "portable")),
    Cpu("aarch64", "cortex-a72", ("neon",)),
    Cpu("aarch64", "cortex-a76", ("neondotprod", "neon")),
    Cpu("aarch64", "max", ("neoni8mm", "neondotprod", "neon")),
)
OTHER_CPUS = (  # Skylake-X, Cascade Lake, Alder Lake, Sapphire Rapids
    Cpu("x86_64", "skx", ("avx512", "avx2", "portable")),
    Cpu("x86_64", "clx", ("avx512vnni", "avx512", "avx2", "portable")),
    Cpu("x86_64", "adl", ("avxvnni", "avx2", "portable")),
    Cpu("x86_64", "spr", ("avx512bf16", "avx512vnni", "avx512", "avxvnni", "avx2", "portable")),
)


def own_cpu() -> Cpu:
    """This machine's."""
    machine = platform.machine()
    require(machine in SETS, f"{machine}: has no kernels of its own")
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    found = {word for line in lines if line.startswith(("flags", "Features")) for word in line.split()}
    return Cpu(machine, "this CPU", tuple(name for name, needed in SETS[machine].items() if needed <= found))


def program(*names: str) -> str:
    """The first of these that is installed."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise BadInput(f"{names[0]}: is not installed (Debian: apt-get install {PACKAGES})")


def compiled(machine: str) -> Path:
    """cpu_tests for this kind of machine, linked statically: an emulator needs no libraries of another one."""
    compiler = program("g++" if machine == platform.machine() else f"{machine}-linux-gnu-g++")
    folder = TOP / "build-cpus" / machine
    options = {
        "REVIEWRATE_CPU_TESTS_ONLY": "ON",
        "REVIEWRATE_WERROR": "ON",
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": machine,
        "CMAKE_CXX_COMPILER": compiler,
        "CMAKE_EXE_LINKER_FLAGS": "-static",
    }
    definitions = [f"-D{name}={value}" for name, value in options.items()]
    steps: tuple[list[str | Path], ...] = (
        [program("cmake"), "-S", TOP, "-B", folder, "-G", "Ninja", "--log-level=WARNING", "-Wno-dev", *definitions],
        [program("ninja"), "-C", folder, "--quiet"],
    )
    for step in steps:
        require(subprocess.run(step, check=False).returncode == OK, f"cpu_tests for {machine}: cannot be built")
    return folder / "cpu_tests"


def passes(cpu: Cpu, emulator: Sequence[str], tests: Path) -> bool:
    """Whether the tests pass there; says so."""
    environment = {**os.environ, "REVIEWRATE_EXPECTED_SETS": " ".join(cpu.kernels)}
    print(f"{cpu.machine} {cpu.name}: {' '.join(cpu.kernels)}", flush=True)
    for which in ([], ["[sets]"]):  # without a word all but the hidden ones
        run = subprocess.run(
            [*emulator, tests, *which], env=environment, capture_output=True, text=True, errors="replace", check=False
        )
        if run.returncode != OK:
            print(f"{run.stdout}{run.stderr}  failed, with exit status {run.returncode}", flush=True)
            return False
        print(f"  {run.stdout.strip().splitlines()[-1]}", flush=True)
    return True


@command("all_cpus")
def main(argv: Sequence[str] | None = None) -> int:
    parser = Parser("all_cpus", __doc__)
    parser.add_argument("--emulator", metavar="COMMAND", help="runs a program on the x86 CPU {cpu}, as said above")
    args = parser.parse_args(argv)
    runs: list[tuple[Cpu, list[str]]] = [(own_cpu(), [])]
    for cpu in QEMU_CPUS:
        qemu = program(f"qemu-{cpu.machine}-static", f"qemu-{cpu.machine}")
        runs.append((cpu, [qemu, "-cpu", cpu.name]))
    if args.emulator:
        runs += [(cpu, shlex.split(args.emulator.replace("{cpu}", cpu.name))) for cpu in OTHER_CPUS]
    tests = {machine: compiled(machine) for machine in SETS}
    failed = [cpu for cpu, emulator in runs if not passes(cpu, emulator, tests[cpu.machine])]
    for machine, sets in SETS.items():
        for name in sets:
            places = [cpu.name for cpu, _ in runs if cpu.machine == machine and name in cpu.kernels]
            how = "not tested: neither this CPU nor qemu has it; with --emulator it is (--help)"
            print(f"{machine} {name}: {', '.join(places) or how}")
    print(f"{len(runs) - len(failed)} CPUs passed, {len(failed)} failed")
    return FAILED_TESTS if failed else OK


if __name__ == "__main__":
    sys.exit(main())
