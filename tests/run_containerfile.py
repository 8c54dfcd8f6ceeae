#!/usr/bin/env python3
"""Does what scripts/service/Containerfile says in roots made from Debian packages, where no image can be pulled, and
asks the server that it ends with.

    sudo .venv/bin/python tests/run_containerfile.py [--work FOLDER] [--lend PATH ...]

Needs root, mmdebstrap and pyarrow. The build's root is lent this machine's settings of apt, pip and the resolver, and
what --lend names besides, such as a folder of wheels or /usr/local/share/ca-certificates; what is built is the
checkout's HEAD. The server runs as the Containerfile's user, in a root that is read-only, without capabilities or new
privileges, and in a network that has nothing but its own loopback. It must answer a review, read Parquet, and write
nowhere.
Exit codes: 0 all of that held; 1 something did not; 2 usage or a tool that is missing.
"""

import argparse
import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILE = ROOT / "scripts" / "service" / "Containerfile"
SETTINGS = ["/etc/apt/sources.list", "/etc/apt/sources.list.d", "/etc/resolv.conf", "/etc/pip.conf"]
OWN_MOUNTS = "REVIEWRATE_OWN_MOUNTS"
TOOLS = ["mmdebstrap", "unshare", "setpriv", "mount", "chroot", "git"]


def instructions(path: Path) -> list[tuple[str, str]]:
    """The words and what follows them, lines that go on joined."""
    text = path.read_text().replace("\\\n", " ")
    lines = [line.strip() for line in text.split("\n")]
    return [(word, rest.strip()) for word, _, rest in (x.partition(" ") for x in lines if x and not x.startswith("#"))]


def run(*words: str | Path, **options: object) -> None:
    print("+", shlex.join(map(str, words)), flush=True)
    subprocess.run([str(word) for word in words], check=True, **options)  # type: ignore[call-overload]


class Stage:
    """A root, and what the instructions have set so far."""

    def __init__(self, root: Path, lent: list[str]) -> None:
        self.root = root
        self.lent = [path for path in (*SETTINGS, *lent) if os.path.exists(path)]
        self.folder = "/"
        self.env = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}
        self.user = "0:0"
        self.command: list[str] = []
        run("mmdebstrap", "--variant=apt", "--quiet", "bookworm", root)

    def run(self, line: str, stages: dict[str, "Stage"]) -> None:
        """A RUN, with this machine's package settings and pip's folders, which an image would not have."""
        mounts = {path: path for path in ("/proc", "/dev", *self.lent)}
        while line.startswith("--mount="):
            word, _, line = line.partition(" ")
            option = dict(pair.split("=") for pair in word.removeprefix("--mount=").split(","))
            mounts[f"{stages[option['from']].root}{option['source']}"] = option["target"]
        names = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
        try:
            for path, at in mounts.items():
                target = self.root / at.lstrip("/")
                if Path(path).is_dir():
                    target.mkdir(parents=True, exist_ok=True)
                elif not target.exists():
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.touch()
                subprocess.run(["mount", "--bind", path, target], check=True)
                if path not in ("/proc", "/dev"):
                    subprocess.run(["mount", "-o", "remount,ro,bind", target], check=True)
            script = f"cd {shlex.quote(self.folder)} && {line}"
            run("chroot", self.root, "/bin/sh", "-c", script, env={**self.env, **names})
        finally:
            for at in reversed(mounts.values()):
                words = ["umount", "-l", str(self.root / at.lstrip("/"))]
                subprocess.run(words, check=False, stderr=subprocess.DEVNULL)

    def copy(self, source: str, target: str) -> None:
        """A COPY of the checkout, of which only what is committed matters."""
        assert source == "."
        place = self.root / target.lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        archive = subprocess.run(["git", "-C", ROOT, "archive", "HEAD"], check=True, stdout=subprocess.PIPE)
        subprocess.run(["tar", "-x", "-C", place], input=archive.stdout, check=True)


def build(work: Path, lent: list[str]) -> Stage:
    stages: dict[str, Stage] = {}
    stage = None
    for word, rest in instructions(FILE):
        if word == "FROM":
            name = rest.rpartition(" AS ")[2] if " AS " in rest else "final"
            stage = stages[name] = Stage(work / name, lent)
            continue
        assert stage, "FROM comes first"
        if word == "RUN":
            stage.run(rest, stages)
        elif word == "COPY":
            stage.copy(*rest.split())
        elif word == "WORKDIR":
            stage.folder = rest
        elif word == "ENV":
            stage.env |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif word == "USER":
            stage.user = rest
        elif word in ("ENTRYPOINT", "CMD"):
            stage.command += json.loads(rest)
        elif word != "EXPOSE":
            raise SystemExit(f"{FILE}: {word} is not known here")
    assert stage
    return stage


CHECK = """
set -e
ip link set lo up
mount --bind {root} {root}
mount -o remount,ro,bind {root}
mount --bind /proc {root}/proc
rights="--reuid {uid} --regid {gid} --clear-groups --no-new-privs --bounding-set -all"
run() {{ exec chroot {root} /usr/bin/setpriv $rights "$@"; }}  # always in a shell of its own
run {command} > {log} 2>&1 &
server=$!
for i in $(seq 100); do curl -sf localhost:8080/health > /dev/null && break; sleep 0.2; done
echo "review: $(curl -sS -d 'text=A lovely film.' localhost:8080/classify)"
echo "user: $(stat -c %u /proc/$server)"
echo "writes: $(run /bin/sh -c 'touch /x /tmp/x /var/tmp/x 2>&1 || true' | grep -c 'Read-only')"
echo "network out: $(curl -sS -m 2 http://192.0.2.1/ 2>&1 | grep -c .)"
echo "parquet: $(run {program} -q /reviews.parquet 2>&1)"
kill -TERM $server
wait $server || echo "exit $?"
"""


def check(stage: Stage, work: Path) -> bool:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table({"text": ["a fine film"]}), stage.root / "reviews.parquet")
    uid, _, gid = stage.user.partition(":")
    words = [f"{name}={value}" for name, value in stage.env.items()]
    command = shlex.join(["/usr/bin/env", *words, *stage.command])
    program = shlex.join(["/usr/bin/env", *words, stage.command[0]])
    script = CHECK.format(root=stage.root, uid=uid, gid=gid, command=command, program=program, log=work / "server.log")
    done = subprocess.run(
        ["unshare", "--net", "--mount", "/bin/bash", "-c", script], capture_output=True, text=True, timeout=120
    )
    print(done.stdout, done.stderr, (work / "server.log").read_text(), sep="")
    found = dict(line.split(": ", 1) for line in done.stdout.splitlines() if ": " in line)
    held = {
        "a review is answered": '"label": "POSITIVE"' in found.get("review", ""),
        "Parquet is read": '"label": "POSITIVE"' in found.get("parquet", ""),
        "the server has the user's rights": found.get("user") == uid,
        "nothing can be written": found.get("writes") == "3",
        "SIGTERM ends it well": done.returncode == 0 and "exit" not in done.stdout,
    }
    for what, holds in held.items():
        print(f"{what}: {'yes' if holds else 'NO'}")
    return all(held.values())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="for the roots, kept (default: a temporary folder, removed)")
    parser.add_argument("--lend", nargs="*", default=[], help="files and folders that the build may read, too")
    args = parser.parse_args()
    missing = [tool for tool in (*TOOLS, "curl", "ip") if not shutil.which(tool)]
    missing += [] if importlib.util.find_spec("pyarrow") else ["a Python with pyarrow (.venv/bin/python)"]
    if missing or os.geteuid() != 0:
        print(f"run_containerfile: needs root and {', '.join(missing) or 'nothing else'}", file=sys.stderr)
        return 2
    if OWN_MOUNTS not in os.environ:
        # What is mounted here is seen by nobody else, and gone with the last process: a root can always be removed.
        os.environ[OWN_MOUNTS] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    with tempfile.TemporaryDirectory() as name:
        work = (args.work or Path(name)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        stage = build(work, args.lend)
        size = subprocess.run(["du", "-sm", stage.root], check=True, capture_output=True, text=True).stdout.split()[0]
        print(f"built in {time.monotonic() - start:.0f} s; the last root has {size} MB")
        return 0 if check(stage, work) else 1


if __name__ == "__main__":
    sys.exit(main())
