"""--unsure: what is marked, why, and what is not."""

from conftest import Run, error_line, records

TEXTS = ["The film is good.", "\u4e00\u4e01\u4e02 film", "good " * 9, "good good good", ""]


def marked(run: Run, bounds: str) -> list[str]:
    found = records(run("-q", "-f", "jsonl", "--unsure", bounds, *(word for text in TEXTS for word in ("-t", text))))
    assert len(found) == len(TEXTS)
    assert all(record.get("unsure", False) == ("unsure_reason" in record) for record in found)
    return [record.get("unsure_reason", "") for record in found]


def test_reasons(run: Run) -> None:
    assert marked(run, "0:1") == ["probability", "unknown tokens", "repetition", "probability", "probability"]
    assert marked(run, "1:1") == ["", "unknown tokens", "repetition", "", ""]


def test_bounds_are_in_the_range(run: Run) -> None:
    p = records(run("-q", "-f", "jsonl", "-t", TEXTS[0]))[0]["p_positive"]
    assert marked(run, f"{p!r}:{p!r}")[0] == "probability"
    assert marked(run, f"0:{p / 2!r}")[0] == ""


def test_nothing_is_marked_unasked(run: Run) -> None:
    assert "unsure" not in records(run("-q", "-f", "jsonl", "-t", TEXTS[1]))[0]


def test_in_tables_and_text(run: Run) -> None:
    lines = run("-q", "-f", "csv", "--unsure", "1:1", "-t", TEXTS[0], "-t", TEXTS[1]).stdout.decode().splitlines()
    assert lines[0].endswith("unsure,unsure_reason")
    assert lines[1].endswith("false,") and lines[2].endswith("true,unknown tokens")
    people = run("-q", "-f", "text", "--unsure", "1:1", "-t", TEXTS[0], "-t", TEXTS[1]).stdout.decode().splitlines()
    assert "?" not in people[0] and "?" in people[1]


def test_usage(run: Run) -> None:
    for bounds in ("0.5", "0.6:0.4", "a:b", "-1:0.5", "0:nan", ":"):
        result = run(f"--unsure={bounds}", "-t", "x")
        assert result.returncode == 2 and "LOW:HIGH" in error_line(result)
    assert run("--annotate", "--columns", "unsure", "-f", "csv", "-t", "x").returncode == 2
