"""scripts/spark_classify.py on a real cluster of two workers (local-cluster): the rows of one machine to the last
digit, whatever fails in between. The archive that workers get has the folders of that of scripts/release."""

import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import spark_classify
from conftest import BINARY, PATIENCE, TINY, TOP, Run, records

OWN = ["label", "score", "p_positive", "rating", "tokens", "truncated", "windows", "error", "repaired", "empty"]
WORDS = "a film that is lovely dull long short good bad not very really and but the plot ends never é 🎬"


def submit_command(
    *arguments: str | Path, master: str = "local-cluster[2,1,1024]", conf: tuple[str, ...] = ()
) -> list[str]:
    settings = [
        "spark.ui.enabled=false", "spark.sql.adaptive.enabled=false", "spark.sql.files.maxPartitionBytes=100k",
        "spark.sql.files.openCostInBytes=100k", "spark.sql.execution.arrow.maxRecordsPerBatch=300", *conf,
    ]  # fmt: skip
    return [
        str(Path(sys.executable).parent / "spark-submit"), "--master", master,
        *[word for setting in settings for word in ("--conf", setting)],
        *map(str, arguments),
    ]  # fmt: skip


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("REVIEWRATE_", "SPARK_"))}
    return kept | {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}


def submit(folder: Path, *arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Runs the script in `folder`. What it says on stderr comes on spark-submit's stdout."""
    return subprocess.run(
        submit_command(*arguments, **options), cwd=folder, env=environment(), stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


SCRIPT = TOP / "scripts" / "spark_classify.py"


def texts(count: int) -> list[str]:
    chance = random.Random(5)
    return [" ".join(chance.choices(WORDS.split(), k=chance.randint(1, 30))) for _ in range(count)]


def write_parquet(path: Path, rows: list[dict[str, Any]], parts: int) -> None:
    path.mkdir()
    size = -(-len(rows) // parts)
    for part in range(parts):
        table = pa.Table.from_pylist(
            rows[part * size : (part + 1) * size], pa.schema([("review", pa.string()), ("key", pa.string())])
        )
        pq.write_table(table, path / f"part-{part:03}.parquet", compression="none")


def read_parquet(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program as scripts/release lays it out, with this build's libraries where they are."""
    path = tmp_path_factory.mktemp("archive") / "reviewrate-linux-x86_64.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as file:
        file.add(BINARY, "reviewrate-linux-x86_64/bin/reviewrate")
    return path


def one_machine(run: Run, folder: Path, rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same rows by the program alone, by key."""
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps({"id": row["key"], "text": row["review"]}) + "\n" for row in rows))
    result = run(path, "-q", "-o", folder / "alone.parquet")
    assert result.returncode in (0, 1)
    return {row["id"]: row for row in read_parquet(folder / "alone.parquet")}


def check_same(found: list[dict[str, Any]], alone: dict[str, dict[str, Any]]) -> None:
    assert sorted(row["key"] for row in found) == sorted(alone)
    for row in found:
        wanted = alone[row["key"]]
        for name in OWN:
            if name == "error" and wanted["error"] is not None:  # the message names the line of the input
                assert row["error"]["kind"] == wanted["error"]["kind"]
            else:
                assert row[name] == wanted[name], (row, wanted)


@pytest.fixture(scope="module")
def many() -> list[dict[str, Any]]:
    return [{"review": text, "key": f"k{number}"} for number, text in enumerate(texts(20000))]


def test_twenty_thousand_with_an_executor_killed(
    run: Run, archive: Path, many: list[dict[str, Any]], tmp_path: Path
) -> None:
    """The archive ships the program, one of two executors is killed (-9) as its program rates, and nothing is lost."""
    write_parquet(tmp_path / "in", many, 20)
    process = subprocess.Popen(
        submit_command(
            "--archives", f"{archive}#reviewrate", SCRIPT, "in", "out", "--text-field", "review", "--id-field", "key",
            "--", "-m", TINY,
        ),
        cwd=tmp_path, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
    killed = None
    end = time.monotonic() + PATIENCE
    while killed is None and process.poll() is None and time.monotonic() < end:
        if len(list((tmp_path / "out").glob("_temporary/0/task_*"))) >= 3:  # some partitions are done, others not
            killed = executor_that_rates(process.pid)
        time.sleep(0.02)
    assert killed, process.communicate()[0]
    os.kill(killed, signal.SIGKILL)
    told = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0, told
    assert "spark_classify: 20000 rows, 0 of them errors" in told
    assert "Lost executor" in told
    found = []
    for part in sorted((tmp_path / "out").glob("part-*")):  # Spark reads large files first, each in its order
        rows = read_parquet(part)
        first = int(rows[0]["key"][1:])
        assert first % 1000 == 0 and [row["key"] for row in rows] == [f"k{first + n}" for n in range(1000)]
        found += rows
    check_same(found, one_machine(run, tmp_path, many))


def processes() -> dict[int, tuple[int, str]]:
    """The parent and the command of every process."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            found[int(path.name)] = (parent, (path / "cmdline").read_text().replace("\0", " "))
        except (OSError, IndexError):
            continue
    return found


def executor_that_rates(driver: int) -> int | None:
    """The executor of the driver's cluster that has a program running."""
    known = processes()
    for number, (_, command) in known.items():
        if "bin/reviewrate - -q" not in command:
            continue
        above, executor = number, None
        while above in known and above != driver:
            if "CoarseGrainedExecutorBackend" in known[above][1]:
                executor = above
            above = known[above][0]
        if above == driver and executor:
            return executor
    return None


def test_bad_records_and_empty_partitions(run: Run, tmp_path: Path) -> None:
    """A partition full of what cannot be rated beside partitions without a row: errors in their places."""
    poison: list[dict[str, Any]] = [
        {"review": "x " * 1_000_000, "key": "huge"},
        {"review": None, "key": "none"},
        {"review": "", "key": "empty"},
        {"review": 'a\nb\t"c" \\ \u2028 \0 end', "key": "odd"},
        {"review": "a lovely film", "key": "good"},
    ]
    write_parquet(tmp_path / "in", poison, 1)
    for part in ("part-001", "part-002"):
        pq.write_table(pq.read_table(tmp_path / "in" / "part-000.parquet").slice(0, 0), tmp_path / f"in/{part}.parquet")
    arguments = ("in", "out", "--text-field", "review", "--program", BINARY, "--", "-m", TINY)
    result = submit(tmp_path, SCRIPT, *arguments, conf=("spark.task.maxFailures=1",))
    assert result.returncode == 0, result.stdout
    assert "5 rows, 2 of them errors" in result.stdout
    found = read_parquet(tmp_path / "out")
    assert [row["key"] for row in found] == [row["key"] for row in poison]
    assert len({row["id"] for row in found}) == 5  # which were made, as none was named
    assert [row["key"] for row in found if row["error"]] == ["huge", "none"]
    assert all(row["label"] is None and row["score"] is None for row in found if row["error"])
    check_same(found, one_machine(run, tmp_path, poison))


def test_bytes_that_are_not_utf_8_and_csv(run: Run, tmp_path: Path) -> None:
    """Several text columns, from csv to csv, in a Latin-1 that Spark takes for UTF-8."""
    (tmp_path / "in.csv").write_bytes(
        b'key,title,body\n1,"A ""lovely"" film","two\nlines"\n2,caf\xe9,dull\n3,,only a body\n'
    )
    result = submit(
        tmp_path, SCRIPT, "in.csv", "out", "--read-format", "csv", "--write-format", "csv",
        "--text-field", "title,body", "--prefix", "our_", "--program", BINARY, "--", "-m", TINY,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    (part,) = (tmp_path / "out").glob("part-*.csv")
    back = records(run(part, "--text-field", "title", "--pass", "*", "--input-format", "csv"))
    assert [record["key"] for record in back] == ["1", "2", "3"]
    alone = records(run(tmp_path / "in.csv", "--text-field", "title,body"))
    assert [record["our_p_positive"] for record in back] == [str(record["p_positive"]) for record in alone]


@pytest.mark.parametrize("deaths, status", [(1, 0), (9, 3)])
def test_a_program_that_dies(tmp_path: Path, deaths: int, status: int) -> None:
    """It fails its task with its last line, and Spark tries again, up to its limit of four."""
    program = tmp_path / "dying"
    program.write_text(f"""#!/bin/bash
if [ $(ls "{tmp_path}"/died.* 2>/dev/null | wc -l) -lt {deaths} ]; then
  mktemp "{tmp_path}/died.XXXXXX" >/dev/null
  head -n 1 >/dev/null
  echo 'reviewrate: the ceiling came down' >&2
  exit 3
fi
exec {BINARY} "$@"
""")
    program.chmod(0o755)
    write_parquet(tmp_path / "in", [{"review": "a film", "key": "k"}], 1)
    result = submit(
        tmp_path,
        SCRIPT,
        "in",
        "out",
        "--text-field",
        "review",
        "--program",
        program,
        "--",
        "-m",
        TINY,
        master="local-cluster[1,1,1024]",
    )
    assert result.returncode == status, result.stdout
    assert len(list(tmp_path.glob("died.*"))) == (1 if status == 0 else 4)
    last = result.stdout.strip().splitlines()
    told = [line for line in last if line.startswith("spark_classify: ")]
    if status == 0:
        assert told == ["spark_classify: 1 rows, 0 of them errors"]
        assert len(read_parquet(tmp_path / "out")) == 1
    else:
        assert told == [
            f"spark_classify: RuntimeError: {program}: ended with exit code 3: reviewrate: the ceiling came down"
        ]


def test_columns_that_are_not_there_or_taken(tmp_path: Path) -> None:
    write_parquet(tmp_path / "in", [{"review": "a film", "key": "k"}], 1)
    result = submit(tmp_path, SCRIPT, "in", "out", "--text-field", "text", master="local[1]")
    assert result.returncode == 2
    assert "\nspark_classify: --text-field text: is no column; there are id, review, key\n" in result.stdout
    frame = SimpleNamespace(columns=["id", "Text", "LABEL"])
    with pytest.raises(spark_classify.Usage, match="^--id-field x: is no column; there are id, Text, LABEL$"):
        spark_classify.classify(frame, ["text"], "x", "", None, [])  # type: ignore[arg-type]
    with pytest.raises(spark_classify.Usage, match="^the column label is there already: give ours other names"):
        spark_classify.classify(frame, ["text"], "id", "", None, [])  # type: ignore[arg-type]
    with pytest.raises(spark_classify.Usage, match="^'x': is not KEY=VALUE$"):
        spark_classify.settings(["a=b", "x"])
    assert not (tmp_path / "out").exists()
