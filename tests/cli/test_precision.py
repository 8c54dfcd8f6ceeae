"""--precision: bf16 and int8 stay close to fp32, do not depend on neighbours, and are refused where they do not run."""

import json
from pathlib import Path

import pytest

from conftest import TOP, Run, error_line, records

FLAGS = Path("/proc/cpuinfo").read_text()
DATA = TOP / "tests" / "data"
HAS = {"fp32": True, "bf16": "avx512_bf16" in FLAGS, "int8": "avx2" in FLAGS or "asimddp" in FLAGS}
TEXTS = [
    "It is very nice film",
    "not good at all, a waste of time",
    "The plot drags, the acting is wooden, and yet the last half hour made me cry. " * 8,
    "a",
    "Wonderful! " * 300,
]


def positives(run: Run, texts: list[str], *arguments: str) -> list[float]:
    """Probabilities that the default model gives."""
    result = run(*arguments, "-f", "jsonl", "-q", *(word for text in texts for word in ("-t", text)), model=None)
    assert result.returncode == 0, result.stderr
    return [record["p_positive"] for record in records(result)]


def test_fp32_is_the_same_to_the_last_digit_whatever_the_neighbours(run: Run) -> None:
    together = positives(run, TEXTS)
    assert [positives(run, [text])[0] for text in TEXTS] == together
    assert positives(run, TEXTS[::-1] * 20, "-j", "3") == together[::-1] * 20


@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_close_to_fp32_whatever_the_neighbours(precision: str, run: Run) -> None:
    if not HAS[precision]:
        result = run("--precision", precision, "-t", "a")
        assert result.returncode == 2
        assert "this CPU lacks the instructions" in error_line(result)
        return
    exact = positives(run, TEXTS)
    rough = positives(run, TEXTS, "--precision", precision)
    assert rough == pytest.approx(exact, abs=0.05)
    assert rough != pytest.approx(exact, abs=1e-7)  # it did run in another precision
    alone = [positives(run, [text], "--precision", precision)[0] for text in TEXTS]
    assert alone == pytest.approx(rough, abs=1e-4)


@pytest.mark.parametrize("precision", [name for name, here in HAS.items() if here])
def test_the_default_model_verifies_in_every_precision(precision: str, run: Run) -> None:
    result = run("verify", "--precision", precision, model=None)
    assert result.returncode == 0, result.stderr


def test_nothing_saturates_where_onednn_may_not_use_amx(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = positives(run, TEXTS)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")  # it would add up 8-bit products in 16 bits
    assert positives(run, TEXTS, "--precision", "auto") == pytest.approx(exact, abs=0.05)


def test_auto_takes_what_model_and_cpu_have(run: Run) -> None:
    expected = next(name for name in ("int8", "bf16", "fp32") if HAS[name])
    assert json.loads(run("info", "--precision", "auto").stdout)["precision"] == expected
    assert json.loads(run("info").stdout)["precision"] == "fp32"


def test_a_plain_trace_runs_in_fp32_alone(run: Run) -> None:
    plain = ["-m", str(DATA / "tiny_plain.pt"), "--vocab", str(DATA / "tiny" / "vocab.txt"), "-t", "good"]
    result = run(*plain, "--precision", "int8")
    assert result.returncode == 2
    assert "was not made for it" in error_line(result)
    assert run(*plain, "--precision", "auto").returncode == 0
