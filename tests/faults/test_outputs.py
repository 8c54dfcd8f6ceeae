"""What is written costs nobody anything: no input, no file of the model, no other output, no earlier report."""

import contextlib
import gzip
import itertools
import json
import os
import resource
import shutil
import stat
import subprocess
import tarfile
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from conftest import BINARY, PATIENCE, TINY, TOP, Run, error_line

REVIEWS = [
    {"id": "a", "text": "a good film", "label": "pos"},
    {"id": "b", "text": "a bad film and a bad ending", "label": "neg"},
    {"id": "c", "text": "not the best, not the worst", "label": "pos"},
]


@dataclass(frozen=True)
class Reading:
    """Something that a command reads: the words that make it do so, and the file that must stay as it is."""

    words: tuple[str, ...]
    file: str
    stdin: str = "/dev/null"


INPUTS = {
    "a file": Reading(("reviews.jsonl",), "reviews.jsonl"),
    "a compressed file": Reading(("reviews.jsonl.gz",), "reviews.jsonl.gz"),
    "an archive": Reading(("reviews.tar",), "reviews.tar"),
    "a file in a folder": Reading(("folder",), "folder/deep/reviews.jsonl"),
    "an archive in a folder": Reading(("folder",), "folder/reviews.tar"),
    "a text in a folder": Reading(("folder",), "folder/film.txt"),
    "a second file": Reading(("reviews.tar", "reviews.jsonl"), "reviews.jsonl"),
}
STDIN = {
    "stdin": Reading((), "reviews.jsonl", "reviews.jsonl"),
    "stdin by its sign": Reading(("-",), "reviews.jsonl", "reviews.jsonl"),
    "stdin by its path": Reading(("/dev/stdin",), "reviews.jsonl", "reviews.jsonl"),
}
PACKAGE = {
    f"{name} of the package": Reading(("-m", "package"), f"package/{name}")
    for name in ("model.pt", "manifest.json", "vocab.txt", "reference.jsonl", "README.md")
}
BARE = {
    "a bare model": Reading(("-m", "bare.pt", "--vocab", "vocab.txt"), "bare.pt"),
    "--vocab": Reading(("-m", "bare.pt", "--vocab", "vocab.txt"), "vocab.txt"),
}
LISTS = {
    "--files-from": Reading(("--files-from", "list"), "list"),
    "a file that --files-from names": Reading(("--files-from", "list"), "reviews.jsonl"),
    "a list from stdin": Reading(("--files-from", "-"), "list", "list"),
}
EVAL = {
    "--baseline": Reading(("--baseline", "baseline.json"), "baseline.json"),
    "--predictions": Reading(("--predictions", "old.jsonl"), "old.jsonl"),
    "--fit-threshold": Reading(("--fit-threshold", "fit.jsonl"), "fit.jsonl"),
    "--against": Reading(("--against", "package"), "package/model.pt"),
}
PREDICTIONS = {
    "the old predictions": Reading(("old.jsonl", "new.jsonl"), "old.jsonl"),
    "the new predictions": Reading(("old.jsonl", "new.jsonl"), "new.jsonl"),
    "predictions from stdin": Reading(("old.jsonl", "-"), "new.jsonl", "new.jsonl"),
}


def with_reviews(readings: dict[str, Reading]) -> dict[str, Reading]:
    """These, with reviews to read beside them."""
    return {name: Reading((*r.words, "reviews.jsonl"), r.file, r.stdin) for name, r in readings.items()}


# What each command reads.
READS: dict[str, dict[str, Reading]] = {
    "classify": INPUTS | STDIN | LISTS | with_reviews(PACKAGE | BARE),
    "eval": INPUTS | STDIN | LISTS | with_reviews(PACKAGE | BARE | EVAL),
    "tokenize": INPUTS | STDIN | LISTS | with_reviews(PACKAGE | BARE),
    "bench": INPUTS | LISTS | with_reviews(PACKAGE | BARE),
    "verify": PACKAGE,
    "info": PACKAGE,
    "diff": PREDICTIONS,
}
# The options that name a file to write.
OPTIONS = {
    "classify": ["--output", "--explain-html", "--summary"],
    "eval": ["--json", "--report", "--junit", "--markdown", "--mistakes"],
    "diff": ["--json"],
    "bench": ["--json"],
}
# What some of them cannot do without.
NEEDS = {"--explain-html": ["--explain", "sentences"]}
# The words that make a command write to stdout, which is open to append to a file.
STDOUT: dict[str, list[str]] = {
    "classify": [],
    "eval": [],
    "tokenize": [],
    "bench": [],
    "verify": [],
    "info": [],
    "diff": [],
}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that can be read."""
    top = tmp_path_factory.mktemp("template")
    (top / "folder" / "deep").mkdir(parents=True)
    lines = "".join(json.dumps(review) + "\n" for review in REVIEWS)
    for path in (top / "reviews.jsonl", top / "folder" / "deep" / "reviews.jsonl"):
        path.write_text(lines)
    (top / "folder" / "film.txt").write_text("It is a good film.\n")
    (top / "reviews.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    for path in (top / "reviews.tar", top / "folder" / "reviews.tar"):
        with tarfile.open(path, "w") as archive:
            archive.add(top / "reviews.jsonl", "reviews.jsonl")
    shutil.copytree(TINY, top / "package")
    shutil.copy(TOP / "tests/data/tiny_plain.pt", top / "bare.pt")
    shutil.copy(TINY / "vocab.txt", top / "vocab.txt")
    made = {"old.jsonl": ["reviews.jsonl"], "baseline.json": ["eval", "-q", "reviews.jsonl", "--json", "-"]}
    for name, words in made.items():
        with (top / name).open("wb") as file:
            subprocess.run([BINARY, "-m", TINY, *words], cwd=top, stdout=file, check=True, stderr=subprocess.DEVNULL)
    shutil.copy(top / "old.jsonl", top / "new.jsonl")
    shutil.copy(top / "reviews.jsonl", top / "fit.jsonl")
    (top / "list").write_text("reviews.jsonl\n")
    return top


@pytest.fixture
def world(template: Path, tmp_path: Path) -> Path:
    """A copy of it, to be worked in."""
    return Path(shutil.copytree(template, tmp_path / "world"))


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """What is below a folder: kinds, modes and contents."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (mode, content)
    return found


def start(words: list[str], folder: Path, stdin: str = "/dev/null", append_to: str | None = None) -> tuple[int, bytes]:
    """Runs the program in the folder. Gives its status and what it says on stderr."""
    with contextlib.ExitStack() as files:
        stdout = files.enter_context((folder / (append_to or "/dev/null")).open("ab"))
        result = subprocess.run(
            [BINARY, *words],
            cwd=folder,
            stdin=files.enter_context((folder / stdin).open("rb")),
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=os.environ | {"REVIEWRATE_MODEL": str(TINY)},
            timeout=PATIENCE,
            check=False,
        )
    return result.returncode, result.stderr


def all_at_once(check: Callable[[Any], str], cases: list[Any]) -> list[str]:
    """What the checks complain of; two run side by side."""
    with ThreadPoolExecutor(2) as pool:
        return [complaint for complaint in pool.map(check, cases) if complaint]


def refusal(words: list[str], folder: Path, before: dict[str, tuple[int, bytes]], **options: Any) -> str:
    """Empty if the program refuses to run with exit 2 and one line, and changes nothing; else what it did."""
    status, said = start(words, folder, **options)
    if status != 2 or len(said.splitlines()) != 1 or not said.startswith(b"reviewrate: "):
        return f"{words}, {options}: exit {status}, {said!r}"
    changed = [name for name, found in state(folder).items() if before.get(name) != found]
    return f"{words}, {options}: changed {changed}" if changed or len(before) != len(state(folder)) else ""


def test_the_table_knows_every_option_that_writes(run: Run) -> None:
    for command in READS:
        options = []
        for line in run(command, "--help").stdout.decode().splitlines():
            if "Write" in line:
                options.append(line.split()[0].split(",")[-1])
        assert options == OPTIONS.get(command, [])
    listed = run("--help").stdout.decode().partition("\nCommands")[2].splitlines()[1:]
    assert [line.split()[0] for line in listed if line.startswith("  ")] == [
        "classify", "eval", "diff", "tokenize", "verify", "serve", "bench", "info", "shell-help",
    ]  # fmt: skip


@pytest.mark.parametrize("word", ["--help", "-q", "--no-such-option"])
@pytest.mark.parametrize(("command", "option"), [(c, o) for c, options in OPTIONS.items() for o in options])
def test_an_option_is_no_file_to_write(run: Run, command: str, option: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"id": 1, "text": "a film", "label": "POSITIVE", "p_positive": 1}\n')
    files = ["in.jsonl"] * (2 if command == "diff" else 1)
    result = run(command, *files, *NEEDS.get(option, []), option, word, cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, b"")
    assert f"{option} {word}: is an option in the place of a FILE" in error_line(result)
    assert [path.name for path in tmp_path.iterdir()] == ["in.jsonl"]


@pytest.mark.slow
@pytest.mark.parametrize(("command", "option"), [(c, o) for c, options in OPTIONS.items() for o in options])
def test_no_option_writes_to_what_is_read(command: str, option: str, world: Path) -> None:
    before = state(world)

    def check(reading: Reading) -> str:
        words = [command, *reading.words, *NEEDS.get(option, []), option, reading.file]
        return refusal(words, world, before, stdin=reading.stdin)

    assert all_at_once(check, list(READS[command].values())) == []


@pytest.mark.slow
@pytest.mark.parametrize("command", STDOUT)
def test_stdout_is_not_appended_to_what_is_read(command: str, world: Path) -> None:
    before = state(world)

    def check(reading: Reading) -> str:
        words = [command, *STDOUT[command], *reading.words]
        return refusal(words, world, before, stdin=reading.stdin, append_to=reading.file)

    assert all_at_once(check, list(READS[command].values())) == []


def test_one_file_by_all_its_names(world: Path) -> None:
    (world / "link").symlink_to("reviews.jsonl")
    (world / "link to link").symlink_to("link")
    os.link(world / "reviews.jsonl", world / "hard")
    (world / "other").symlink_to("folder")
    os.link(world / "folder" / "film.txt", world / "hard film")
    (world / "folder" / "deep" / "up").symlink_to("..")
    before = state(world)
    names = ["./reviews.jsonl", "folder/../reviews.jsonl", str(world / "reviews.jsonl"), "/proc/self/cwd/reviews.jsonl"]
    names += ["folder//..///reviews.jsonl", "link", "link to link", "hard"]
    cases = [["reviews.jsonl", "-o", name] for name in names]
    cases += [[name, "-o", "reviews.jsonl"] for name in names]
    cases += [["folder", "-o", name] for name in ("other/film.txt", "hard film", "folder/deep/up/film.txt")]
    cases += [["other", "-o", "folder/film.txt"], ["folder", "folder/film.txt", "--summary", "hard film"]]

    def check(words: list[str]) -> str:
        return refusal(words, world, before)

    assert all_at_once(check, cases) == []


def test_a_descriptor_is_the_file_it_leads_to(world: Path) -> None:
    before = state(world)
    for shell_words in (
        "-o /dev/fd/3 reviews.jsonl 3>>reviews.jsonl",
        "-o /proc/self/fd/3 folder 3>>folder/film.txt",
        "--summary /dev/fd/3 -o /dev/null reviews.jsonl 3>>reviews.jsonl",
        "-o /dev/stdout reviews.jsonl >>reviews.jsonl",
        "-o /dev/fd/3 --summary /dev/fd/3 reviews.jsonl 3>>new",
        "-o /dev/fd/3 --summary new reviews.jsonl 3>>new",
        "--summary new reviews.jsonl >>new",
    ):
        (world / "new").unlink(missing_ok=True)
        result = subprocess.run(
            ["bash", "-c", f"'{BINARY}' -m '{TINY}' {shell_words}"],
            cwd=world, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert result.returncode == 2, (shell_words, result.stderr)
        assert len(result.stderr.splitlines()) == 1
        after = state(world)
        assert after.pop("new", (0, b""))[1] == b""
        assert after == before


@pytest.mark.slow
def test_no_two_outputs_go_to_one_place(world: Path) -> None:
    (world / "there").write_text("an earlier one\n")
    os.link(world / "there", world / "hard")
    (world / "link").symlink_to("there")
    (world / "to nothing").symlink_to("new")
    (world / "here").symlink_to(".")
    before = state(world)
    same = [("new", "new"), ("new", "./new"), ("new", "here/new"), ("new", "to nothing"), ("there", "there")]
    same += [("there", "hard"), ("there", "link")]
    cases = [
        ["classify", "reviews.jsonl", "-o", one, "--summary", other]
        for pair in same
        for one, other in (pair, pair[::-1])
    ]
    for one, other in itertools.combinations(OPTIONS["eval"], 2):
        cases += [["eval", "reviews.jsonl", one, "new", other, name] for name in ("new", "here/new")]
    cases += [
        ["reviews.jsonl", "--summary", "-"],
        ["reviews.jsonl", "-o", "-", "--summary", "/dev/stdout"],
        ["reviews.jsonl", "-o", "/dev/stdout", "--summary", "-"],
        ["eval", "reviews.jsonl", "--json", "-", "--report", "-"],
        ["reviews.jsonl", "-o", "new", "--resume", "--summary", "new.resume"],
        ["reviews.jsonl", *NEEDS["--explain-html"], "-o", "new", "--explain-html", "new"],
        ["reviews.jsonl", *NEEDS["--explain-html"], "--explain-html", "-"],
        ["reviews.jsonl", "new.resume", "-o", "new", "--resume"],
    ]

    def check(words: list[str]) -> str:
        return refusal(words, world, before)

    assert all_at_once(check, cases) == []
    assert refusal(["bench", "reviews.jsonl", "--json", "there"], world, before, append_to="there") == ""


WRITERS = {
    "--output": ["reviews.jsonl", "--output"],
    "--explain-html": ["-q", "reviews.jsonl", *NEEDS["--explain-html"], "--explain-html"],
    "--summary": ["reviews.jsonl", "--summary"],
    "--json": ["eval", "-q", "reviews.jsonl", "--json"],
    "--report": ["eval", "-q", "reviews.jsonl", "--report"],
    "--junit": ["eval", "-q", "reviews.jsonl", "--junit"],
    "--markdown": ["eval", "-q", "reviews.jsonl", "--markdown"],
    "--mistakes": ["eval", "-q", "reviews.jsonl", "--mistakes"],
    "diff --json": ["diff", "old.jsonl", "new.jsonl", "--json"],
    "bench --json": ["bench", "--rounds", "1", "reviews.jsonl", "--json"],
}
REPORTS = {name: words for name, words in WRITERS.items() if name != "--output"}  # written at the end, as a whole


def in_shell(words: list[str], rest: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    command = " ".join(f"'{word}'" for word in [BINARY, *words])
    return subprocess.run(
        ["bash", "-c", command + " " + rest],
        cwd=folder, env=os.environ | {"REVIEWRATE_MODEL": str(TINY)}, stdin=subprocess.DEVNULL, capture_output=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)
def test_a_link_is_followed_and_the_mode_stays(words: list[str], world: Path) -> None:
    (world / "there").write_text("an earlier one, longer than what comes\n" * 1000)
    (world / "there").chmod(0o640)
    (world / "link").symlink_to("folder/../there")
    os.link(world / "there", world / "hard")
    for name in ("link", "hard", "there"):
        assert start([*words, name], world)[0] == 0
        content = (world / "there").read_bytes()
        assert b"an earlier one" not in content and content.endswith(b"\n")
        assert stat.S_IMODE((world / "there").stat().st_mode) == 0o640
        assert (world / "there").samefile(world / "hard")
        assert os.readlink(world / "link") == "folder/../there"
    (world / "to nothing").symlink_to("folder/new")
    assert start([*words, "to nothing"], world)[0] == 0
    assert (world / "folder" / "new").read_bytes() and (world / "to nothing").is_symlink()


@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)
def test_descriptors_and_pipes_are_written_to(words: list[str], world: Path) -> None:
    quiet = [*words, "/dev/fd/3"]
    (world / "log").write_text("before\n")
    assert in_shell(quiet, "3>>log 2>&1", world).returncode == 0
    assert (world / "log").read_bytes().startswith(b"before\n") and len((world / "log").read_bytes()) > 20
    fifo = world / "fifo"
    os.mkfifo(fifo)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(fifo.read_bytes()))
    reader.start()
    assert start([*words, "fifo"], world)[0] == 0
    reader.join(PATIENCE)
    assert received[0].endswith(b"\n")
    assert stat.S_ISFIFO(fifo.stat().st_mode)


def test_stdout_by_its_names(run: Run, world: Path) -> None:
    expected = run("-q", "reviews.jsonl", cwd=world).stdout
    assert len(expected.splitlines()) == len(REVIEWS)
    for name in ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"):
        assert run("-q", "reviews.jsonl", "-o", name, cwd=world).stdout == expected
        (world / "log").write_bytes(b"before\n")
        assert start(["-q", "reviews.jsonl", "-o", name], world, append_to="log")[0] == 0
        assert (world / "log").read_bytes() == b"before\n" + expected
    (world / "link").symlink_to("/dev/stdout")
    assert run("-q", "reviews.jsonl", "-o", "link", cwd=world).stdout == expected
    assert (world / "link").is_symlink()
    # A terminal, a device or a socket may be stdin and stdout both.
    assert start(["-q", "-o", "/dev/null", "/dev/null"], world)[0] == 0


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder into which other users may look, too: pytest's own are closed to them."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@pytest.mark.parametrize("words", WRITERS.values(), ids=WRITERS)
def test_one_writable_file_in_a_folder_that_is_not(words: list[str], template: Path, public_folder: Path) -> None:
    nobody: dict[str, Any] = {"user": 65534, "group": 65534, "extra_groups": []} if os.geteuid() == 0 else {}
    for name in ("reviews.jsonl", "old.jsonl", "new.jsonl"):
        (public_folder / name).write_bytes((template / name).read_bytes())
    out = public_folder / "out"
    out.write_text("an earlier one, longer than what comes\n" * 1000)
    out.chmod(0o666)
    (public_folder / "closed").write_text("an earlier one\n")
    (public_folder / "closed").chmod(0o444)
    package = shutil.copytree(TINY, public_folder / "package")
    program = shutil.copy(BINARY, public_folder / "reviewrate") if nobody else BINARY
    public_folder.chmod(0o555)
    try:

        def start_as_nobody(*more: str) -> subprocess.CompletedProcess[bytes]:
            return subprocess.run(
                [program, *words, *more],
                cwd=public_folder, env=os.environ | {"REVIEWRATE_MODEL": str(package)}, capture_output=True,
                timeout=PATIENCE, check=False, **nobody,
            )  # fmt: skip

        result = start_as_nobody("out")
        assert result.returncode == 0, result.stderr
        assert b"an earlier one" not in out.read_bytes() and out.read_bytes().endswith(b"\n")
        for name in ("closed", "new"):
            result = start_as_nobody(name)
            assert result.returncode == 3 and b"Permission denied" in result.stderr
            assert len(result.stderr.splitlines()) == 1 and result.stdout == b""
        assert (public_folder / "closed").read_text() == "an earlier one\n"
        assert not (public_folder / "new").exists()
        if words[-1] == "--output":
            assert start_as_nobody("out", "--resume").returncode == 3  # there is no place for its note
    finally:
        public_folder.chmod(0o755)


def limit_file_size(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("names", ["one name", "two names", "none yet"])
@pytest.mark.parametrize("words", REPORTS.values(), ids=REPORTS)
def test_a_full_disk_leaves_the_earlier_report(words: list[str], names: str, run: Run, world: Path) -> None:
    """What is written to a file that may not grow fails as on a full disk, and with a signal besides."""
    if names != "none yet":
        (world / "report").write_bytes(b"an earlier one\n")
    if names == "two names":  # which are kept, and so it is written in place
        os.link(world / "report", world / "hard")
    before = state(world)
    result = run(*words, "report", cwd=world, preexec_fn=limit_file_size(64))
    assert result.returncode == 3
    assert b"report: cannot be written: File too large" in result.stderr
    assert state(world) == before


def test_a_full_disk_ends_records_with_one_line(run: Run, world: Path) -> None:
    result = run("-q", "reviews.jsonl", "-o", "out", cwd=world, preexec_fn=limit_file_size(64))
    assert result.returncode == 3
    assert "out: cannot be written: File too large" in error_line(result)
    for words in WRITERS.values():
        result = run(*words, "/dev/full", cwd=world)
        assert result.returncode == 3
        assert b"/dev/full: cannot be written: No space left on device" in result.stderr


@pytest.mark.parametrize("name", [name for name in REPORTS if not name.startswith("diff ")])
def test_what_fails_leaves_the_earlier_report(name: str, run: Run, world: Path) -> None:
    words = REPORTS[name]
    (world / "report").write_text("an earlier one\n")
    os.truncate(world / "package" / "model.pt", 1000)
    before = state(world)
    assert run(*words, "report", "-m", "package", cwd=world).returncode == 3
    assert run(*words, "report", "--precision", "fp64", cwd=world).returncode == 2
    assert state(world) == before


def test_side_files_belong_to_others(run: Run, world: Path) -> None:
    """What has the name of a side file, but is none, is neither removed nor written to, nor what it leads to."""
    (world / "john").write_text("an earlier one\n")
    (world / "john.resume").write_text("John's CV\n")
    (world / "links").mkdir()
    (world / "precious").write_text("precious\n")
    for name in ("out.resume", "out.resume.new", "out.tmp", "out.new", "out~", ".out.swp"):
        (world / "links" / name).symlink_to("../precious")
    first = state(world)
    for out in ("john", "links/out"):
        before = state(world)
        result = run("-q", "reviews.jsonl", "-o", out, "--resume", cwd=world)
        assert result.returncode == 3 and "no note of this program" in error_line(result)
        assert state(world) == before
        assert run("-q", "reviews.jsonl", "-o", out, cwd=world).returncode == 0
        assert len((world / out).read_bytes().splitlines()) == len(REVIEWS)
    after = state(world)
    for name in first:
        assert name == "john" or after[name] == first[name]
    assert set(after) - set(first) == {"links/out"}


def test_a_walk_passes_over_what_is_written(run: Run, world: Path) -> None:
    """There already or not; what an earlier run has left is replaced."""
    folder = world / "folder"
    commands = [
        ["folder", "-o", "folder/out.jsonl", "--summary", "folder/deep/summary.json"],
        ["folder", "-o", "folder/out.jsonl", "--summary", "folder/deep/summary.json", "--resume"],
        ["folder", "-o", "folder/out.csv", "-f", "csv"],
        ["folder", "-o", "folder/out.tsv", "-f", "tsv"],
        ["folder", "-o", "folder/out.jsonl.gz"],
        ["folder", "-o", "folder/out.csv.zst"],
        ["eval", "folder", "--markdown", "folder/e.md"],
        ["eval", "folder", "--json", "folder/e.json", "--report", "folder/e.html", "--junit", "folder/e.xml"],
        ["bench", "--rounds", "1", "folder", "--json", "folder/deep/bench.json"],
    ]
    (folder / "bad.jsonl").write_text('{"text": 5}\n')  # so that the first record is one of an error
    before = state(folder)
    for words in commands:
        for name in set(state(folder)) - set(before):
            (folder / name).unlink()
        first = run(*words, cwd=world)
        assert first.returncode == 1, first.stderr
        written = {name: found for name, found in state(folder).items() if name not in before}
        again = run(*words, cwd=world)
        assert again.returncode == 1, again.stderr
        assert set(state(folder)) - set(before) == set(written)
        for name in written:
            if name.startswith("out.") and not name.endswith(".resume"):
                assert state(folder)[name] == written[name]
            if name in ("out.jsonl", "out.csv"):
                assert len(written[name][1].splitlines()) in (8, 9)  # a line each, and a table's header
    # Other paths, and an empty file, which nobody misses.
    (folder / "empty.jsonl").touch()
    for name in ("./folder//out.tsv", "folder/deep/../empty.jsonl", str(folder / "empty.jsonl")):
        assert run("folder", "-o", name, cwd=world).returncode == 1


def test_nobodys_file_in_a_walked_folder_is_replaced(run: Run, world: Path) -> None:
    folder = world / "folder"
    contents = {
        "tweet.json": '{"id": 1, "text": "good", "truncated": false, "label": "pos", "score": 1}\n',
        "table.csv": "id,label,score,text\n1,pos,1,good\n",
        "other.jsonl": '{"id": 1, "review": "a field that was not named"}\n',
        "bad.jsonl": "{not JSON}\n",
        "header.csv": "id,text\n",
        "page.html": "<!DOCTYPE html>\n<html><title>Evaluation</title></html>\n",
        "data.xml": "<?xml version='1.0'?>\n<reviews/>\n",
        "blank.txt": "\n" * 5000 + "a review behind many empty lines\n",
        "stars.txt": " 7/10  POSITIVE  a fine film\n",
        "john.resume": "{}\n",
        ".hidden": "not read\n",
    }
    for name, content in contents.items():
        (folder / name).write_text(content)
    for number in range(20):
        (folder / f"loop{number}").symlink_to(f"loop{number}")
        (folder / f"lost{number}").symlink_to("nowhere")
    before = state(world)

    def check(words: list[str]) -> str:
        return refusal(words, world, before)

    assert all_at_once(check, [["folder", "-o", f"folder/{name}"] for name in contents]) == []
    assert check(["eval", "folder", "--report", "folder/page.html"]) == ""
