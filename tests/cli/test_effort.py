"""--effort: a package's schedules as its user meets them; what they compute is tests/python/test_schedules.py's."""

import csv
import io
import json
import math
import shutil
from pathlib import Path

import pytest

from conftest import TINY, TOP, Run, error_line, records
from server import serving

LONG = "The plot drags, the acting is wooden, and yet the last half hour made me cry. " * 8
METRICS = {"imdb_test": {"f1": 0.5}}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The tiny model with schedules."""
    folder = Path(shutil.copytree(TINY, tmp_path / "thin"))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["name"] = "thin"
    manifest["schedules"] = {"fast": {"keep": [0.5], "metrics": METRICS}, "fastest": {"keep": [0.1]}}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_info_tells_the_schedules_and_the_effort(run: Run, package: Path) -> None:
    told = json.loads(run("info", model=package).stdout)
    assert told["schedules"] == {"fast": {"keep": [0.5], "metrics": METRICS}, "fastest": {"keep": [0.1], "metrics": {}}}
    assert told["effort"] == "full"
    assert json.loads(run("info", "--effort", "fast", model=package).stdout)["effort"] == "fast"
    told = json.loads(run("info").stdout)
    assert (told["schedules"], told["effort"]) == ({}, "full")


def test_records_and_summary_say_which(run: Run, package: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.json"
    words = ["-t", LONG, "-t", "short", "-f", "jsonl", "--summary", summary]
    full, fast, fastest = (
        records(run(*words, *more, model=package)) for more in ([], ["--effort", "fast"], ["--effort", "fastest"])
    )
    assert json.loads(summary.read_text())["effort"] == "fastest"
    assert ["effort" in record for record in full] == [False, False]
    assert [record.pop("effort") for record in fast] == ["fast", "fast"]
    assert [record.pop("effort") for record in fastest] == ["fastest", "fastest"]
    assert fast[1] == fastest[1] == full[1]  # a short text keeps all its tokens
    assert len({full[0]["p_positive"], fast[0]["p_positive"], fastest[0]["p_positive"]}) == 3
    assert fast[0]["tokens"] == full[0]["tokens"]


def test_tables_have_a_column_of_it(run: Run, package: Path, tmp_path: Path) -> None:
    table = tmp_path / "in.csv"
    table.write_text("text,effort\ngood,mine\nbad,yours,too many\n")
    rows = list(
        csv.DictReader(
            io.StringIO(run(table, "-f", "csv", "--pass", "effort", "--effort", "fast", model=package).stdout.decode())
        )
    )
    assert [(row["effort"], row["input_effort"]) for row in rows] == [("fast", "mine"), ("", "")]
    result = run(table, "-f", "csv", "--annotate", model=package)  # nothing is added of that name
    assert result.stdout.decode().splitlines()[0].startswith("text,effort,id,label,")
    result = run(table, "-f", "csv", "--annotate", "--effort", "fast", model=package)
    assert result.returncode == 2 and 'has a field "effort" already' in error_line(result)
    result = run(table, "-f", "csv", "--annotate", "--columns", "effort", model=package)
    assert result.returncode == 2 and "--columns effort: there is one with another --effort than full" in error_line(
        result
    )
    result = run(
        table, "-f", "csv", "--annotate", "--columns", "effort", "--prefix", "our_", "--effort", "fast", model=package
    )
    assert result.stdout.decode().splitlines()[1] == "good,mine,fast,,"


@pytest.mark.parametrize("command", ["classify", "eval", "bench", "serve", "verify", "info"])
def test_an_effort_that_there_is_not_lists_those_there_are(
    command: str, run: Run, package: Path, tmp_path: Path
) -> None:
    reviews = tmp_path / "reviews.jsonl"
    reviews.write_text('{"text": "good", "label": 1}\n')
    words = [
        command,
        *([reviews] if command in ("classify", "eval", "bench") else []),
        *(["--port", "0"] if command == "serve" else []),
    ]
    for model, efforts in (
        (package, "model thin has only full, fast, fastest"),
        (TINY, "model tiny has only full"),
    ):
        result = run(*words, "--effort", "quick", model=model)
        assert result.returncode == 2
        assert result.stderr.decode().splitlines()[-1] == f"reviewrate: --effort quick: {efforts}"


def test_a_traced_model_has_none(run: Run) -> None:
    plain = TOP / "tests" / "data" / "tiny_plain.pt"
    words = ["-t", "a", "-q", "--vocab", TINY / "vocab.txt"]
    assert run(*words, "--effort", "full", model=plain).returncode == 0
    result = run(*words, "--effort", "fast", model=plain)
    assert result.returncode == 2
    assert error_line(result).endswith(
        "tiny_plain has only full: it is a traced model, and only a native one can drop tokens"
    )


def test_an_interrupted_run_goes_on_at_its_own_effort_alone(run: Run, package: Path, tmp_path: Path) -> None:
    reviews, out = tmp_path / "reviews.txt", tmp_path / "out.jsonl"
    reviews.write_text("good film\n" * 5)
    assert run(reviews, "-o", out, "--resume", "--effort", "fast", model=package).returncode == 0
    again = run(reviews, "-o", out, "--resume", "--effort", "fast", model=package)
    assert again.returncode == 0 and "complete: nothing to do" in again.stderr.decode()
    result = run(reviews, "-o", out, "--resume", model=package)
    assert result.returncode == 3 and "--effort" in error_line(result)


def test_explanations_are_those_of_the_effort(run: Run, package: Path) -> None:
    for effort in ("full", "fast"):
        (record,) = records(run("-t", LONG, "-f", "jsonl", "--explain", "sentences", "--effort", effort, model=package))
        explanation = record["explanation"]
        total = (
            explanation["base"] + explanation["remainder"] + sum(part["contribution"] for part in explanation["parts"])
        )
        p = record["p_positive"]
        assert abs(total - math.log(p / (1 - p))) < 1e-6


def test_eval_tells_it_and_compares_efforts(run: Run, package: Path, tmp_path: Path) -> None:
    reviews, baseline = tmp_path / "reviews.jsonl", tmp_path / "baseline.json"
    reviews.write_text("".join(json.dumps({"text": f"{LONG} {i}", "label": i % 2}) + "\n" for i in range(6)))
    full = run("eval", reviews, "--json", baseline, model=package)
    assert full.stdout.decode().startswith("thin, fp32, long reviews ")
    report = json.loads(baseline.read_text())
    assert report["effort"] == "full"
    markdown, page = tmp_path / "a.md", tmp_path / "a.html"
    words = ["eval", reviews, "--baseline", baseline, "--effort", "fast", "--markdown", markdown, "--report", page]
    told = run(*words, model=package).stdout.decode()
    assert told.startswith("thin, fp32, fast, long reviews ")
    assert "The baseline's effort was full, this one's is fast." in told
    assert "thin, fp32, fast: measured" in markdown.read_text()
    assert "Precision fp32, effort fast, " in page.read_text()
    del report["effort"]  # one that was made before there was a choice
    baseline.write_text(json.dumps(report))
    assert "The baseline's effort was full, this one's is fast." in run(*words, model=package).stdout.decode()
    told = run("eval", reviews, "--against", package, "--effort", "fast", "-q", model=package).stdout.decode()
    assert "0 reviews; right with" in told  # both models run at the effort


def test_bench_tells_it(run: Run, package: Path, tmp_path: Path) -> None:
    reviews = tmp_path / "reviews.txt"
    reviews.write_text(f"{LONG}\n")
    words = ["bench", reviews, "--rounds", "1", "--effort", "fast"]
    assert run(*words, model=package).stdout.decode().startswith("thin, fp32, effort fast, ")
    assert json.loads(run(*words, "--json", "-", model=package).stdout)["effort"] == "fast"


def test_a_server_runs_at_it_and_tells_it(run: Run, package: Path) -> None:
    (expected,) = records(run("-t", LONG, "-f", "jsonl", "--effort", "fast", model=package))
    with serving("--effort", "fast", model=package) as server:
        assert json.loads(server.ask("GET", "/info")[2])["effort"] == "fast"
        assert ',effort="fast"}' in server.ask("GET", "/metrics")[2].decode()
        record = server.post("/classify", {"text": LONG})
        assert (record["p_positive"], record["effort"]) == (expected["p_positive"], "fast")
    with serving(model=package, env={"REVIEWRATE_EFFORT": "fastest"}) as server:
        assert json.loads(server.ask("GET", "/info")[2])["effort"] == "fastest"
    with serving(model=package) as server:
        assert json.loads(server.ask("GET", "/info")[2])["effort"] == "full"
        assert "effort" not in server.post("/classify", {"text": LONG})
