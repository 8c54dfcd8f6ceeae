"""The recipe of GNU parallel, taken from its document, on more records than one part has: beside one process, with
failures, and over ssh to hosts that are this machine by two names."""

import getpass
import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import BINARY, PATIENCE, TINY, TOP, Run, records
from waiting import wait_until_listening

RECIPE = (TOP / "scripts" / "recipes" / "README.md").read_text().partition("## GNU parallel\n")[2]
JSONL, CSV = re.findall(r"```sh\n(.*?)```", RECIPE, re.DOTALL)
(OVER_SSH,) = re.findall(r"```bash\n(.*?)```", RECIPE, re.DOTALL)


def shell(block: str, folder: Path) -> int:
    """Runs a block of the recipe with parts of 10 KB; its exit code."""
    assert block.count("--block 10M") == 1
    return subprocess.run(
        ["bash", "-c", block.replace("--block 10M", "--block 10k")],
        cwd=folder,
        env=os.environ | {"REVIEWRATE_MODEL": str(TINY), "PATH": f"{folder}:{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        timeout=PATIENCE,
        check=False,
    ).returncode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "run").symlink_to(BINARY)
    rows = [{"id": f"r{n}", "review": f'film {n}, "the {n % 7}th", é, of its kind'} for n in range(1500)]
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    quoted = ['{},"{}"\n'.format(row["id"], row["review"].replace('"', '""')) for row in rows]
    (tmp_path / "reviews.csv").write_text("id,review\n" + "".join(quoted))
    return tmp_path


def parts(folder: Path) -> list[list[str]]:
    return [line.split("\t") for line in (folder / "parts.tsv").read_text().splitlines()[1:]]


@pytest.mark.parametrize("block, name", [(JSONL, "reviews.jsonl"), (CSV, "reviews.csv")])
def test_parts_are_as_one(run: Run, folder: Path, block: str, name: str) -> None:
    assert shell(block, folder) == 0
    assert len(parts(folder)) > 3
    alone = run(folder / name, "--text-field", "review", "-q")
    assert len(records(alone)) == 1500
    assert (folder / "rated.jsonl").read_bytes() == alone.stdout


def test_the_worst_exit_code(run: Run, folder: Path) -> None:
    """Records that fail in one part make it 1; a program that dies in another makes it 3."""
    path = folder / "reviews.jsonl"
    lines = path.read_text().splitlines()
    lines[700] = "{broken"
    path.write_text("\n".join(lines) + "\n")
    assert shell(JSONL, folder) == 1
    found = [json.loads(line) for line in (folder / "rated.jsonl").read_text().splitlines()]
    assert len(found) == 1500 and [number for number, record in enumerate(found) if "error" in record] == [700]
    dying = folder / "scripts" / "run"
    dying.unlink()
    dying.write_text(f'#!/bin/bash\n[ $PARALLEL_SEQ != 2 ] || exit 3\nexec {BINARY} "$@"\n')
    dying.chmod(0o755)
    assert shell(JSONL, folder) == 3


def test_parallel_that_is_ended_is_no_success(folder: Path) -> None:
    """Though no part failed; it may end before it has logged any."""
    ending = folder / "scripts" / "run"
    ending.unlink()
    ending.write_text(f'#!/bin/bash\n[ $PARALLEL_SEQ != 3 ] || kill -TERM $PARALLEL_PID\nexec {BINARY} "$@"\n')
    ending.chmod(0o755)
    assert shell(JSONL, folder) == 3
    assert {part[6] for part in parts(folder)} <= {"0"}


def test_parallel_without_its_input_is_no_success(folder: Path) -> None:
    assert shell(JSONL, folder) == 0
    (folder / "reviews.jsonl").unlink()
    assert shell(JSONL, folder) == 3


@contextmanager
def ssh_server(folder: Path) -> Iterator[tuple[int, Path]]:
    """A server of our own on the loopback, which lets in who holds the key: its port and that key."""
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "sshd_config").write_text(f"""
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/key.pub
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication no
MaxStartups 100
SetEnv REVIEWRATE_MODEL={TINY} PATH={folder}:/usr/bin:/bin
""")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program
    server = subprocess.Popen([program, "-D", "-e", "-f", folder / "sshd_config"], stderr=subprocess.DEVNULL)
    try:
        wait_until_listening(server, port)
        yield port, folder / "key"
    finally:
        server.terminate()
        server.wait()


def test_over_ssh(run: Run, folder: Path) -> None:
    """Two hosts take their parts, and the records are those of one process."""
    wrapper = folder / "reviewrate"
    wrapper.write_text(f'#!/bin/bash\necho "$SSH_CONNECTION" >> {folder}/connections\nexec {BINARY} "$@"\n')
    wrapper.chmod(0o755)
    with ssh_server(folder) as (port, key):
        options = (
            f"-i {key} -p {port} -o StrictHostKeyChecking=no -o UserKnownHostsFile={folder}/known -o LogLevel=ERROR"
        )
        hosts = [f"ssh {options} {getpass.getuser()}@{host}" for host in ("127.0.0.1", "localhost")]
        (folder / "hosts").write_text("".join(host + "\n" for host in hosts))
        assert shell(OVER_SSH, folder) == 0
    assert {part[1].split("@")[-1] for part in parts(folder)} == {"127.0.0.1", "localhost"}
    assert len((folder / "connections").read_text().splitlines()) == len(parts(folder)) > 3
    alone = run(folder / "reviews.jsonl", "--text-field", "review", "-q")
    assert (folder / "rated.jsonl").read_bytes() == alone.stdout
