"""Losses of power and killed runs, many times."""

from pathlib import Path

import pytest

from power_loss import CASES, build_recorder, check_power_loss
from resuming import kill_and_resume, write_inputs


@pytest.mark.parametrize("output_format", ["jsonl", "csv"])
@pytest.mark.parametrize("case", CASES)
def test_many_losses_of_power(case: str, output_format: str, tmp_path: Path) -> None:
    recorder = build_recorder(tmp_path)
    check_power_loss(case, output_format, recorder, tmp_path, most=200)


def test_a_folder_is_resumed_50_times_of_50(tmp_path: Path) -> None:
    write_inputs(tmp_path, 2000)
    kill_and_resume(tmp_path, 50, seed=2)
