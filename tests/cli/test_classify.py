"""reviewrate classify: inputs, records, formats, order."""

import csv
import io
import json
import os
import pty
import random
import subprocess
from pathlib import Path

import pytest
import torch

from conftest import BINARY, PATIENCE, TINY, TOP, Run, error_line, records


def texts(count: int, seed: int = 1) -> list[str]:
    """Made-up reviews of very different lengths, some empty, some above the model's 512 tokens."""
    rng = random.Random(seed)
    words = [
        "a",
        "good",
        "bad",
        "film",
        "plot",
        "and",
        "the",
        "of",
        "was",
        "not",
        "really",
        "ever",
        "better",
        "worse",
        "ending",
        "scene",
        "!",
    ]
    return [" ".join(rng.choices(words, k=rng.choice([0, 1, 3, 20, 60, 200, 700]))) for _ in range(count)]


def test_default_model_rates_the_readme_sentence(run: Run) -> None:
    result = run("-t", "It is very nice film", model=None)
    assert result.returncode == 0
    [record] = records(result)
    assert record["id"] == "text:1"
    assert record["label"] == "POSITIVE"
    assert record["score"] == record["p_positive"] > 0.9
    assert record["rating"] == 9
    assert record["tokens"] == 7
    assert record["truncated"] is False
    assert record["windows"] == 1


def test_a_record_for_every_line_in_order(run: Run, tmp_path: Path) -> None:
    lines = texts(200)
    data = "\n".join(lines) + "\n"
    piped = run(stdin=data)
    assert piped.returncode == 0
    assert [r["id"] for r in records(piped)] == [f"-:{i}" for i in range(1, 201)]
    (tmp_path / "reviews.txt").write_text(data)
    named = run("reviews.txt", cwd=tmp_path)
    assert [r["id"] for r in records(named)] == [f"reviews.txt:{i}" for i in range(1, 201)]
    assert [r["score"] for r in records(named)] == pytest.approx([r["score"] for r in records(piped)], abs=1e-6)


def test_the_same_score_whatever_the_neighbours_and_workers(run: Run) -> None:
    lines = texts(60, seed=2)
    together = [r["p_positive"] for r in records(run("-j", "1", stdin="\n".join(lines)))]
    assert len(together) == len(lines)
    for workers in ("2", "5"):
        again = [r["p_positive"] for r in records(run("-j", workers, stdin="\n".join(lines)))]
        assert again == together
    for i in range(0, len(lines), 7):
        [alone] = records(run("-t", lines[i]))
        assert alone["p_positive"] == pytest.approx(together[i], abs=1e-6)


def test_texts_come_before_files_and_stdin_is_read_where_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo")
    result = run("-t", "zero", "a.txt", "-", "-t", "zero too", stdin="three\n", cwd=tmp_path)
    assert [r["id"] for r in records(result)] == ["text:1", "text:2", "a.txt:1", "a.txt:2", "-:1"]


def test_texts_alone_leave_stdin_unread(run: Run) -> None:
    assert [r["id"] for r in records(run("-t", "x", stdin="not read\n"))] == ["text:1"]


def test_formats_say_the_same(run: Run) -> None:
    source = json.dumps({"id": "x,1", "text": "good film", "n": 5}) + "\n" + "{broken\n"
    wanted, failed = records(run("--pass", "n", stdin=source))
    assert failed["error"]["kind"] == "json"
    for name, dialect in (("csv", "excel"), ("tsv", "excel-tab")):
        result = run("--pass", "n", "-f", name, stdin=source)
        assert result.returncode == 1
        good, bad = csv.DictReader(io.StringIO(result.stdout.decode(), newline=""), dialect=dialect)
        assert good["id"] == wanted["id"]
        assert good["label"] == wanted["label"]
        assert float(good["score"]) == wanted["score"]
        assert float(good["p_positive"]) == wanted["p_positive"]
        assert (good["rating"], good["tokens"], good["n"]) == (str(wanted["rating"]), str(wanted["tokens"]), "5")
        assert (good["error_kind"], bad["error_kind"], bad["label"]) == ("", "json", "")
        assert bad["error_message"] == failed["error"]["message"]
    text = run("-f", "text", stdin=source).stdout.decode().splitlines()
    assert wanted["label"] in text[0] and "x,1" in text[0] and "good film" in text[0]
    assert text[1].startswith("ERROR json: ")


def on_terminal(*arguments: str, stdin: int | None = None) -> tuple[int, str]:
    """Runs the program with a terminal as stdout (and stdin)."""
    leader, follower = pty.openpty()
    environment = os.environ | {"REVIEWRATE_MODEL": str(TINY)}
    process = subprocess.Popen(
        [BINARY, *arguments], stdin=stdin or follower, stdout=follower, stderr=follower, env=environment
    )
    code = process.wait(timeout=PATIENCE)
    os.close(follower)
    chunks = []
    try:
        while chunk := os.read(leader, 65536):
            chunks.append(chunk)
    except OSError:  # Linux says EIO at the end of a terminal
        pass
    os.close(leader)
    return code, b"".join(chunks).decode()


def test_on_a_terminal_it_writes_for_people() -> None:
    code, shown = on_terminal("-t", "good film")
    assert code == 0
    assert "/10" in shown and "good film" in shown and "{" not in shown


def test_without_input_on_a_terminal_it_says_so_instead_of_hanging() -> None:
    code, shown = on_terminal()
    assert code == 2
    assert "nothing to read" in shown


def test_output_file(run: Run, tmp_path: Path) -> None:
    result = run("-q", "-o", "out.jsonl", stdin="good\nbad\n", cwd=tmp_path)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


def test_an_input_is_not_overwritten(run: Run, tmp_path: Path) -> None:
    (tmp_path / "reviews.txt").write_text("good\n")
    result = run("reviews.txt", "-o", "./reviews.txt", cwd=tmp_path)
    assert result.returncode == 2
    assert "is also an input" in error_line(result)
    with (tmp_path / "reviews.txt").open() as stdin:
        command: list[str | Path] = [BINARY, "-m", TINY, "-o", "reviews.txt"]
        result = subprocess.run(command, stdin=stdin, capture_output=True, cwd=tmp_path, timeout=PATIENCE, check=False)
    assert result.returncode == 2
    assert "is also an input" in error_line(result)
    with (tmp_path / "reviews.txt").open("a") as stdout:
        command = [BINARY, "-m", TINY, "reviews.txt"]
        result = subprocess.run(
            command, stdout=stdout, stderr=subprocess.PIPE, cwd=tmp_path, timeout=PATIENCE, check=False
        )
    assert result.returncode == 2
    assert "stdout: is also an input" in error_line(result)
    assert (tmp_path / "reviews.txt").read_text() == "good\n"


def test_an_output_in_the_folder_that_is_read_is_no_review(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "reviews"
    folder.mkdir()
    for name in ("a.txt", "p.txt", "z.txt"):  # around the outputs' names
        (folder / name).write_text("good")
    assert run("reviews", "-q", "-o", "reviews/out.jsonl", cwd=tmp_path).returncode == 0
    written = (folder / "out.jsonl").read_bytes()
    assert [json.loads(line)["id"] for line in written.splitlines()] == ["a.txt", "p.txt", "z.txt"]
    (folder / "out.jsonl").unlink()
    with (folder / "out.jsonl").open("wb") as stdout:
        subprocess.run([BINARY, "-m", TINY, "reviews"], stdout=stdout, cwd=tmp_path, timeout=PATIENCE, check=True)
    assert (folder / "out.jsonl").read_bytes() == written


def test_bare_torchscript_file_gives_what_its_package_gives(run: Run) -> None:
    lines = "\n".join(texts(20, seed=3))
    package = records(run("--long-text", "head", stdin=lines))
    bare = records(
        run("--model", TOP / "tests/data/tiny_plain.pt", "--vocab", TINY / "vocab.txt", stdin=lines, model=None)
    )
    assert [r["label"] for r in bare] == [r["label"] for r in package]
    assert [r["p_positive"] for r in bare] == pytest.approx([r["p_positive"] for r in package], abs=1e-5)
    assert [r["tokens"] for r in bare] == [r["tokens"] for r in package]


def test_what_a_bare_torchscript_file_does_not_tell_can_be_said(run: Run, tmp_path: Path) -> None:
    bare = ("--model", TOP / "tests/data/tiny_plain.pt", "--vocab", TINY / "vocab.txt", "-q")
    (plain,) = records(run(*bare, "-t", "good film", "-f", "jsonl", model=None))
    (named,) = records(run(*bare, "--labels", "pos,bad", "-t", "good film", "-f", "jsonl", model=None))
    assert named["p_positive"] == pytest.approx(1 - plain["p_positive"])  # POS is the first of the two here
    (other,) = records(run(*bare, "--labels", "a,b", "-t", "good film", "-f", "jsonl", model=None))
    assert other["label"] in "ab" and "p_positive" not in other and "rating" not in other
    (cased,) = records(run(*bare, "--cased", "-t", "Good", "-f", "jsonl", model=None))
    assert cased["tokens"] == 3 and cased != records(run(*bare, "-t", "Good", "-f", "jsonl", model=None))[0]
    (cut,) = records(run(*bare, "--model-max-tokens", "5", "-t", "a b c d e f", "-f", "jsonl", model=None))
    assert cut["tokens"] == 8 and cut["truncated"]
    for options, words in [
        (["--labels", "a,b,c"], "its logits are [1, 2], not [1, 3]"),
        (["--labels", "a,a"], "--labels: must be two or more different names"),
        (["--model-max-tokens", "600"], "600"),
    ]:
        result = run(*bare, *options, "-t", "x", model=None)
        assert result.returncode in (2, 3) and words in error_line(result), result.stderr
    for option in (["--cased"], ["--labels", "a,b"], ["--model-max-tokens", "9"]):
        result = run(*option, "-t", "x")
        assert result.returncode == 2 and "is a model package, which says that itself" in error_line(result)


def test_a_bare_torchscript_file_of_few_positions_is_refused_at_the_start(run: Run, tmp_path: Path) -> None:
    model = torch.jit.load(TOP / "tests/data/tiny_plain.pt")
    (places,) = [weights for name, weights in model.named_parameters() if "position_embeddings" in name]
    places.data = places.data[:128].clone()
    model.save(str(tmp_path / "short.pt"))
    bare = ("--model", tmp_path / "short.pt", "--vocab", TINY / "vocab.txt", "-q")
    for text in ("good film", "good film " * 200):
        result = run(*bare, "-t", text, model=None)
        assert (result.returncode, result.stdout) == (3, b"") and "--model-max-tokens" in error_line(result)
    result = run(*bare, "--model-max-tokens", "128", "-t", "good film " * 200, "-f", "jsonl", model=None)
    assert result.returncode == 0 and records(result)[0]["truncated"]


def test_threshold_and_rating_follow_the_printed_number(run: Run) -> None:
    lines = "\n".join(texts(50, seed=4))
    for threshold in ("0.1", "0.5", "0.9"):
        for r in records(run("--threshold", threshold, stdin=lines)):
            assert r["label"] == ("POSITIVE" if r["p_positive"] >= float(threshold) else "NEGATIVE")
            assert r["rating"] == max(1, round(10 * round(r["p_positive"], 1)))


def test_long_reviews_are_said_to_be_cut(run: Run) -> None:
    text = "film " * 600
    expected = {"head": (True, 1), "head-tail": (True, 1), "windows": (False, 2)}
    for policy, (truncated, windows) in expected.items():
        [record] = records(run("--long-text", policy, "-t", text))
        assert (record["tokens"], record["truncated"], record["windows"]) == (602, truncated, windows)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--nonsense"], "--nonsense"),
        (["-j", "0"], "--workers"),
        (["-j", "many"], "--workers"),
        (["-f", "xml"], "--format"),
        (["--threshold", "2"], "--threshold"),
        (["--long-text", "middle"], "--long-text"),
        (["--long-text", "windows", "--stride", "510"], "--stride"),
        (["--rating", "fitted"], "brings no thresholds"),
        (["tokenize", "--max-tokens", "2"], "--max-tokens"),
    ],
)
def test_usage_errors_are_one_line_and_exit_2(run: Run, arguments: list[str], complaint: str) -> None:
    result = run(*arguments, stdin="x\n")
    assert result.returncode == 2
    assert result.stdout == b""
    assert complaint in error_line(result)


def test_the_last_of_a_repeated_option_counts(run: Run, tmp_path: Path) -> None:
    text = "film " * 600
    for policies, windows in ((["head", "windows"], 2), (["windows", "head"], 1)):
        [record] = records(run(*(word for policy in policies for word in ("--long-text", policy)), "-t", text))
        assert record["windows"] == windows
    result = run(
        "-j",
        "2",
        "--threshold",
        "0",
        "-o",
        "one",
        "-o",
        "two",
        "--threshold",
        "1",
        "-j",
        "1",
        "-t",
        "good",
        cwd=tmp_path,
    )
    assert result.returncode == 0
    assert not (tmp_path / "one").exists()
    assert json.loads((tmp_path / "two").read_text())["label"] == "NEGATIVE"


def test_options_that_collect_keep_all(run: Run, tmp_path: Path) -> None:
    rows = [{"text": "good", "a": a, "b": b} for a in "xy" for b in "xy"]
    source = "".join(json.dumps(row) + "\n" for row in rows)
    [record] = records(run("--where", "a=x", "--where", "b=y", "--pass", "a", "--pass", "b", stdin=source))
    assert (record["id"], record["a"], record["b"]) == ("-:2", "x", "y")
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text("good")
    result = run(tmp_path, "--include", "*a.txt", "--include", "*c.txt", "-t", "one", "-t", "two")
    assert [Path(r["id"]).name for r in records(result)] == ["text:1", "text:2", "a.txt", "c.txt"]


def test_help_and_version(run: Run) -> None:
    for command in ("", "classify", "eval", "diff", "tokenize", "verify", "bench", "info"):
        result = run(*command.split(), "--help")
        assert result.returncode == 0
        assert b"Exit codes" in result.stdout and b"Example" in result.stdout
    assert run("--version").stdout.startswith(b"reviewrate ")
    assert b"libtorch" in run("--version").stdout


def test_info_describes_the_package(run: Run) -> None:
    described = json.loads(run("info").stdout)
    manifest = json.loads((TINY / "manifest.json").read_text())
    assert described["labels"] == manifest["labels"]
    assert described["model"]["sha256"] == manifest["model"]["sha256"]


def test_the_closing_line_and_its_json(run: Run, tmp_path: Path) -> None:
    source = "".join(json.dumps({"text": text}) + "\n" for text in texts(100, seed=6)) + "{broken\n"
    result = run("--long-text", "head", "--summary", "summary.json", stdin=source, cwd=tmp_path)
    assert result.returncode == 1
    good = [r for r in records(result) if "error" not in r]
    summary = json.loads((tmp_path / "summary.json").read_text())
    told = [r for r in good if "empty" not in r]
    ratings = [r["rating"] for r in told]
    assert 0 < len(told) < len(good) and summary["empty"] == len(good) - len(told)
    assert (summary["records"], summary["failures"], summary["resumed"]) == (101, 1, 0)
    assert summary["labels"] == {n: sum(r["label"] == n for r in told) for n in ("NEGATIVE", "POSITIVE")}
    assert summary["ratings"] == [ratings.count(stars) for stars in range(1, 11)]
    assert summary["mean_rating"] == pytest.approx(sum(ratings) / len(ratings))
    assert summary["truncated"] == sum(r["truncated"] for r in good) > 0
    assert summary["tokens"] == sum(r["tokens"] for r in good)
    assert summary["seconds"] > 0
    line = result.stderr.decode().splitlines()[-1]
    share = 100 * summary["labels"]["POSITIVE"] / len(told)
    assert "101 records, 1 failed" in line
    assert f"{share:.1f} % POSITIVE, mean rating {summary['mean_rating']:.2f}" in line
    assert "1 of 101 records failed (1 json)" in error_line(run("-q", stdin=source))


def test_one_clean_record_needs_no_closing_line(run: Run) -> None:
    assert run("-t", "good").stderr == b""


def test_that_nothing_was_read_is_said(run: Run) -> None:
    result = run("--where", "split=test", stdin='{"text": "good", "split": "train"}\n')
    assert (result.returncode, result.stdout) == (0, b"")
    closing, remark = result.stderr.decode().splitlines()
    assert closing.startswith("reviewrate: 0 records, ")
    assert remark == 'reviewrate: --where "split=test": no record fulfils it'
    assert run("-q").stderr == b""


def test_the_summary_on_stdout(run: Run, tmp_path: Path) -> None:
    result = run("-q", "-o", "out.jsonl", "--summary", "-", stdin="good\n", cwd=tmp_path)
    assert json.loads(result.stdout)["records"] == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl"]
    result = run("--summary", "-", stdin="good\n")
    assert (result.returncode, result.stdout) == (2, b"")
    assert "--summary -: the records are on stdout" in error_line(result)


@pytest.mark.slow
def test_a_bar_on_a_terminal_only(tmp_path: Path) -> None:
    # Of more than a second: the bar does not appear before.
    (tmp_path / "many.txt").write_text("".join(f"a good film {i} and a bad ending\n" for i in range(300_000)))
    environment = os.environ | {"REVIEWRATE_MODEL": str(TINY), "TERM": "xterm"}
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [BINARY, tmp_path / "many.txt"], stdout=subprocess.DEVNULL, stderr=follower, env=environment
    )
    os.close(follower)
    shown = b""
    try:
        while chunk := os.read(leader, 65536):
            shown += chunk
    except OSError:
        pass
    os.close(leader)
    assert process.wait(timeout=PATIENCE) == 0
    assert b"\r[" in shown and b" reviews  " in shown and b" left" in shown
    assert b"\r\x1b[Kreviewrate: 300000 records" in shown  # the bar is gone before the closing line
    piped = subprocess.run([BINARY, tmp_path / "many.txt"], capture_output=True, env=environment, check=False)
    assert b"\r" not in piped.stderr
