"""The packages of scripts/release in a bare Debian 12: the archive wherever it is unpacked, the Debian package by dpkg.

A root made by mmdebstrap has Debian's own packages and nothing of this machine; its programs run as nobody, without a
network but their own. It needs root, or sudo without a password, and apt's mirror.
"""

import hashlib
import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import export
import make_sentencepiece_models
from conftest import TOP

PATIENCE = 1200  # seconds after which making packages, or a root, counts as hung
AS_ROOT = [] if os.geteuid() == 0 else ["sudo", "-n"]
# A network namespace's loopback is down at first, and not every system has a program to change that.
LOOPBACK = """python3 -c '
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sH14x", b"lo", 0x49))  # SIOCSIFFLAGS: up, loopback, running
'"""
# A request by bash itself, as a bare system has no curl.
ASK = r"""
{program} serve --port 8080 --log none & server=$!
for try in $(seq 600); do
  exec 3<>/dev/tcp/127.0.0.1/8080 && break
  sleep 0.1
done 2>/dev/null
body='{{"inputs": "A lovely film."}}'
printf '%s\r\n' 'POST / HTTP/1.1' 'Host: x' 'Content-Type: application/json' "Content-Length: ${{#body}}" \
  'Connection: close' '' >&3
printf %s "$body" >&3
cat <&3
kill $server
wait $server
"""


def call(*command: str | Path) -> str:
    """What a command writes; that it fails, with all it said."""
    result = subprocess.run(
        [*AS_ROOT, *map(str, command)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert result.returncode == 0, (command, result.stdout[-4000:], result.stderr[-4000:])
    return result.stdout


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    subprocess.run([TOP / "scripts" / "release", folder], check=True, timeout=PATIENCE, stdin=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The root of a bare Debian 12."""
    root = tmp_path_factory.mktemp("bare") / "debian"
    call("mmdebstrap", "--variant=essential", "--format=directory", "bookworm", root)
    yield root
    # All mounts in it were in namespaces that are gone; one that is not would be emptied, too.
    assert str(root) not in Path("/proc/mounts").read_text()
    call("rm", "-rf", "--one-file-system", root)


def inside(root: Path, command: str, user: str = "65534:65534") -> str:
    """What a shell writes in the root, without this machine's network, libraries and environment."""
    script = f"""
        mount --bind {root} {root} && mount -t proc proc {root}/proc && mount --bind /dev {root}/dev
        exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot --userspec={user} {root} bash -ec {shlex.quote(command)}
    """
    return call(
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--net",
        "--pid",
        "--fork",
        "bash",
        "-ec",
        f"{LOOPBACK}\n{script}",
    )


@pytest.fixture(scope="module")
def albert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package whose tokenizer is SentencePiece's."""
    source = tmp_path_factory.mktemp("albert")
    make_sentencepiece_models.make_albert(source, make_sentencepiece_models.training_texts())
    package = tmp_path_factory.mktemp("exported") / "albert"
    assert export.main([str(source), "-o", str(package), "--license", "MIT"]) == 0
    return package


def use(root: Path, program: str, albert: Path) -> None:
    """All that a package is for, from another folder, as a user with nothing of its own."""
    work = root / "work"
    call("rm", "-rf", "--one-file-system", work)
    data = root.parent / "data"
    data.mkdir(exist_ok=True)
    (data / "reviews.csv").write_text('id,review\n1,"A lovely film, really."\n2,A dull waste of time.\n')
    pq.write_table(pa.table({"text": ["A lovely film.", "A dull waste of time."]}), data / "reviews.parquet")
    call("cp", "-r", data, work)
    call("cp", "-rL", albert, work / "albert")
    call("chmod", "-R", "a+rX", work)
    labels = ["POSITIVE", "NEGATIVE"]

    assert json.loads(inside(root, f"cd /; {program} -t 'It is very nice film'"))["label"] == "POSITIVE"
    inside(root, f"cd /work; {program} verify")
    inside(root, f"cd /work; {program} verify -m albert")
    for name in ("reviews.csv", "reviews.parquet"):
        lines = inside(root, f"cd /work; {program} -q {name}").splitlines()
        assert [json.loads(line)["label"] for line in lines] == labels
    again = f"{program} -q -f parquet reviews.csv --pass review | {program} -q -f csv --text-field review"
    assert [line.split(",")[1] for line in inside(root, f"cd /work; {again}").splitlines()[1:]] == labels
    answer = inside(root, ASK.format(program=program))
    assert json.loads(answer.partition("\n\n")[2])[0][0]["label"] == "POSITIVE", answer


def files_of(root: Path) -> set[str]:
    """Every path in the root, but for what dpkg and its friends write of their own doings."""
    own = ("/proc", "/dev", "/sys", "/work", "/var/log", "/var/cache", "/var/lib/dpkg", "/var/lib/apt", "/tmp")
    paths = call("find", root, "-mindepth", "1", "-printf", "/%P\\n").splitlines()
    return {path for path in paths if not path.startswith(own)}


def test_sums_and_contents(packages: Path) -> None:
    lines = (packages / "SHA256SUMS").read_text().splitlines()
    told = {line.split()[1]: line.split()[0] for line in lines}
    assert told == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in packages.iterdir()
        if path.name != "SHA256SUMS"
    }
    (bill,) = packages.glob("*.spdx.json")
    document = json.loads(bill.read_text())
    assert document["spdxVersion"] == "SPDX-2.3"
    names = {package["name"] for package in document["packages"]}
    assert names >= {"reviewrate", "torch", "pyarrow", "onemkl", "libarchive13", "libsentencepiece0", "libtbb12"}
    (archive,) = packages.glob("*.tar.gz")
    inner = subprocess.run(["tar", "-tzf", archive], check=True, capture_output=True, text=True).stdout.splitlines()
    top = archive.name.removesuffix(".tar.gz")
    held = {path.removeprefix(top + "/") for path in inner if not path.endswith("/")}
    listed = {entry["fileName"].removeprefix("./") for entry in document["files"]}
    assert listed <= held
    assert not [path for path in held if "python" in path]


def test_the_archive(packages: Path, bare: Path, albert: Path) -> None:
    (archive,) = packages.glob("*.tar.gz")
    call("mkdir", "-p", bare / "any where")
    call("tar", "-xzf", archive, "-C", bare / "any where")
    use(bare, f"'/any where/{archive.name.removesuffix('.tar.gz')}/bin/reviewrate'", albert)
    call("rm", "-rf", "--one-file-system", bare / "any where")


def test_the_debian_package(packages: Path, bare: Path, albert: Path) -> None:
    (package,) = packages.glob("*.deb")
    before = files_of(bare)
    call("cp", package, bare / "work.deb")
    inside(bare, "dpkg -i /work.deb", "0:0")
    call("rm", bare / "work.deb")
    use(bare, "reviewrate", albert)
    assert "/usr/share/man/man1/reviewrate.1.gz" in files_of(bare)
    # By this machine's systemd, which for as long as this runs finds the root's program in a folder of this machine.
    verify = f"""
        mount --bind {bare}/usr/bin /usr/local/bin
        systemd-analyze verify --man=no {bare}/usr/lib/systemd/system/reviewrate.service
    """
    call("unshare", "--mount", "--propagation", "private", "bash", "-ec", verify)
    inside(bare, "dpkg --remove reviewrate", "0:0")
    assert files_of(bare) == before
    inside(bare, "dpkg --purge reviewrate", "0:0")
    assert files_of(bare) == before
    assert "reviewrate" not in inside(bare, "dpkg-query -W -f '${Package}\\n'")


def test_lintian_finds_no_error(packages: Path) -> None:
    (package,) = packages.glob("*.deb")
    result = subprocess.run(
        ["lintian", "--allow-root", "--fail-on", "error", package],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert result.returncode == 0, result.stdout
