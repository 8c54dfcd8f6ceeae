"""--explain: what parts contribute adds up, stands where it says it does, and depends on the review alone."""

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest

from conftest import Run, error_line, records
from html_page import Page

REVIEWS = [
    "The plot is dull. But the actors are wonderful! I would see it again. Mr. Fox is great.",
    "Caf\u00e9 noir \U0001f44d\U0001f3fd is good.<br /><br />E\u0301tude was bad<br />and long... Who cares?",
    "one two three four five. six seven. eight! nine? ten. eleven. twelve. thirteen. fourteen. fifteen.",
    "never a stop in this one which goes on and on and on and says nothing good or bad",
    "",
    "  \n ",
    "...",
]
LONG = " ".join(f"Sentence number {i} is good and bad." for i in range(60))


def explained(run: Run, texts: list[str], *arguments: str) -> list[dict[str, Any]]:
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    result = run("-q", "-f", "jsonl", "--input-format", "jsonl", *arguments, "-", stdin=lines)
    assert result.returncode == 0, result.stderr
    return records(result)


def log_odds(record: dict[str, Any]) -> float:
    p = record["p_positive"]
    return math.log(p / (1 - p))


@pytest.mark.parametrize("unit", ["sentences", "words"])
@pytest.mark.parametrize("policy", ["head-tail", "windows"])
def test_contributions_add_up_and_stand_where_they_say(run: Run, unit: str, policy: str) -> None:
    texts = [*REVIEWS, LONG]
    empty = log_odds(records(run("-q", "-f", "jsonl", "-t", ""))[0])
    plain = records(run("-q", "-f", "jsonl", "--long-text", policy, "-", stdin=LONG))
    found = explained(run, texts, "--explain", unit, "--long-text", policy)
    assert found[-1]["p_positive"] == plain[0]["p_positive"]
    for text, record in zip(texts, found, strict=True):
        explanation = record["explanation"]
        assert explanation["base"] == pytest.approx(empty, abs=1e-6)
        assert abs(explanation["remainder"]) < 1e-3
        parts = explanation["parts"]
        total = sum(part["contribution"] for part in parts)
        assert abs(log_odds(record) - empty - total) < 1e-3
        at = 0
        for part in parts:
            assert text[at : part["start"]].strip() == "" and part["start"] < part["end"]
            assert text[part["start"] : part["end"]] == part["text"]
            at = part["end"]
            words = part.get("words", [])
            if words:
                assert sum(word["contribution"] for word in words) == pytest.approx(part["contribution"], abs=1e-6)
            for word in words:
                assert part["start"] <= word["start"] < word["end"] <= part["end"]
                assert text[word["start"] : word["end"]] == word["text"]
        assert text[at:].strip() == ""
        assert explanation["evaluations"] <= 64
    assert any("words" in part for part in found[0]["explanation"]["parts"]) == (unit == "words")


def test_sentences_are_exact_shapley_values(run: Run) -> None:
    parts = ["The plot is dull.", "But the actors are wonderful!", "I would see it again.", "Go!"]
    sets = [set(chosen) for size in range(5) for chosen in itertools.combinations(range(4), size)]
    texts = [" ".join(parts[i] for i in sorted(chosen)) for chosen in sets]
    plain = records(run("-q", "-f", "jsonl", *itertools.chain(*(("-t", text) for text in texts))))
    value = {frozenset(chosen): log_odds(record) for chosen, record in zip(sets, plain, strict=True)}
    found = explained(run, [" ".join(parts)], "--explain", "sentences")[0]["explanation"]["parts"]
    for i, part in enumerate(found):
        orders = list(itertools.permutations(range(4)))
        gains = [
            value[frozenset(order[: order.index(i) + 1])] - value[frozenset(order[: order.index(i)])]
            for order in orders
        ]
        assert part["contribution"] == pytest.approx(sum(gains) / len(orders), abs=1e-5)


def test_an_explanation_depends_on_its_review_alone(run: Run) -> None:
    for unit in ("sentences", "words"):
        alone = [explained(run, [text], "--explain", unit, "-j", "1")[0]["explanation"] for text in REVIEWS]
        together = explained(run, [*REVIEWS, LONG, *REVIEWS], "--explain", unit, "-j", "3")
        assert [record["explanation"] for record in together[: len(REVIEWS)]] == alone
        assert [record["explanation"] for record in together[len(REVIEWS) + 1 :]] == alone


def test_what_the_model_does_not_see_contributes_nothing(run: Run) -> None:
    parts = explained(run, [LONG], "--explain", "sentences", "--long-text", "head")[0]["explanation"]["parts"]
    unseen = [part.get("seen", True) is False for part in parts]
    assert len(parts) == 60 and any(unseen) and not unseen[0]
    assert unseen == sorted(unseen)
    assert all((part["contribution"] == 0) for part, blind in zip(parts, unseen, strict=True) if blind)
    windows = explained(run, [LONG], "--explain", "sentences", "--long-text", "windows")[0]
    assert windows["windows"] > 1 and all("seen" not in part for part in windows["explanation"]["parts"])


def test_the_budget_is_kept(run: Run) -> None:
    for unit, budget in itertools.product(("sentences", "words"), (2, 9, 30, 200)):
        for record in explained(run, [*REVIEWS, LONG], "--explain", unit, "--explain-budget", str(budget)):
            assert record["explanation"]["evaluations"] <= budget
            assert abs(record["explanation"]["remainder"]) < 1e-3


def test_on_a_table_and_for_people(run: Run) -> None:
    text = "The plot is dull. But the actors are wonderful!"
    table = run("-q", "-f", "csv", "--explain", "sentences", "-t", text).stdout.decode().splitlines()
    assert table[0].endswith(",explanation") and '""parts""' in table[1]
    assert "explanation" not in run("-q", "-f", "csv", "-t", text).stdout.decode()
    people = run("-q", "-f", "text", "--explain", "words", "-t", text).stdout.decode().splitlines()
    assert people[1].strip().endswith("The plot is dull.") and people[1].strip()[0] in "+-0"
    assert people[2].strip().startswith("> ")


def test_a_page(run: Run, tmp_path: Path) -> None:
    nasty = "</span><script>alert('1')</script><img src=x onerror=\"alert(2)\"> & a good film."
    rows = [{"id": f"{i}<b>", "text": text} for i, text in enumerate([nasty, *REVIEWS, LONG])] + [{"id": "bad"}]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    result = run("-q", "--explain", "words", "--explain-html", tmp_path / "x.html", "-", stdin=lines)
    assert result.returncode == 1
    page = Page((tmp_path / "x.html").read_text())
    assert not {"script", "img", "link", "iframe"} & set(page.tags) and page.links == []
    found = records(result)
    assert page.tags.count("article") == len(found) == len(rows)
    assert page.tags.count("li") == sum(len(record["explanation"]["parts"]) for record in found[:-1])
    assert nasty in "".join(part["text"] + " " for part in found[0]["explanation"]["parts"])
    shown = " ".join(page.text.split())
    assert "0<b>" in shown and "there is no field" in shown and "not read" in shown
    for record in found[:-1]:
        for part in record["explanation"]["parts"]:
            number = f"{part['contribution']:+.2f}".replace("-", "\u2212")
            words = part["text"].split()
            assert f"{number if part.get('seen', True) else 'not read'}{words[0]}" in shown.replace(
                "+0.00", "0.00"
            ) or (number[1:] == "0.00" and f"0.00{words[0]}" in shown)
        assert f"all of this together {log_odds(record):+.2f}".replace("-", "\u2212") in shown


def test_a_page_holds_what_a_browser_can_show(run: Run, tmp_path: Path) -> None:
    count = 900
    lines = (json.dumps({"text": "good " * 4000}) + "\n") * count
    run(
        "-q", "--explain", "sentences", "--explain-budget", "2", "--explain-html", tmp_path / "x.html", "-", stdin=lines
    )
    page = (tmp_path / "x.html").read_text()
    shown = page.count("<article>")
    assert 100 < shown < count and f"The first {shown} of {count} reviews." in page
    assert 8 << 20 <= len(page) < 9 << 20


def test_usage(run: Run) -> None:
    assert run("--explain", "letters", "-t", "x").returncode == 2
    assert run("--explain-budget", "64", "-t", "x").returncode == 2
    assert run("--explain", "words", "--explain-budget", "1", "-t", "x").returncode == 2
    assert run("--explain-html", "x.html", "-t", "x").returncode == 2
    resumed = run("x.jsonl", "--explain", "words", "--explain-html", "x.html", "-o", "y.jsonl", "--resume")
    assert resumed.returncode == 2 and "--resume" in error_line(resumed)
    assert "--explain" in error_line(run("--columns", "explanation", "--annotate", "-f", "csv", "-t", "x"))
