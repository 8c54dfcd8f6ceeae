"""scripts/plan_cluster.py beside what was measured elsewhere, and beside arithmetic by hand."""

import shlex

import pytest

from conftest import TOP
from plan_cluster import RATES, core_seconds_per_token, main, plan


@pytest.mark.parametrize("tokens, seconds", [(32, 0.0018), (128, 0.0078), (512, 0.045)])
def test_the_times_by_length_that_were_measured(tokens: int, seconds: float) -> None:
    """scripts/bench/README.md, "Time and memory over the input": int8 on both cores of the Zen 3 machine."""
    assert core_seconds_per_token("zen3", "int8", tokens) * tokens == pytest.approx(2 * seconds, rel=0.1)


def test_the_rates_are_those_of_the_document() -> None:

    tables = (TOP / "scripts" / "bench" / "README.md").read_text().replace(",", "").split("## Zen 4")
    for (cpu, precision), (sentences, reviews) in RATES.items():
        rows = [line for line in tables[cpu == "zen4"].splitlines() if line.startswith(f"| **reviewrate {precision}**")]
        assert rows[0].startswith(f"| **reviewrate {precision}** | **{reviews}** | **{sentences}** |")


def test_by_hand() -> None:
    """A million reviews of 100 tokens at 1 ms a token are 100,000 core-seconds; 1 % of 41 s is a start-up."""
    found = plan(1e-3, reviews=1e6, tokens=100, cores=10, price=0.36, block=1000)
    assert found.block == 410
    assert found.core_hours == pytest.approx((100_000 + 1000 * 0.41) / 3600)
    assert found.hours == pytest.approx(found.core_hours / 10)
    assert found.cost == pytest.approx(found.core_hours * 0.36)
    assert found.read == 1e6 * 100 * 4.8


def test_what_it_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split("--reviews 1e9 --tokens 100 --cores 1000 --price 0.05 --core-seconds 100")) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].split()[-1] == "100" and printed[1].split()[-1] == "10,000"
    assert printed[4].split()[-1] == "2.81"  # 1e7 core-seconds and 1 % of start-up, on 1,000 cores


def test_what_was_not_measured(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(shlex.split("--reviews 1 --tokens 100 --cores 1 --precision bf16")) == 3
    assert capsys.readouterr().err == "plan_cluster: --precision bf16: was not measured on zen3\n"
