"""The benchmark of the evaluation: its halves, and the table of how fast prompts are answered."""

from pathlib import Path

import pytest

from benchmarks import evaluation
from benchmarks.evaluation_generation import ONE_BY_ONE, STAGE, render_generation
from src.files import read_json

ROOT = Path(__file__).parents[2]


def test_a_row_tells_how_much_faster_than_one_by_one_a_way_is() -> None:
    ways = {
        ONE_BY_ONE: {"seconds": 80.0, "cpu_seconds": 70.0, "same_answers": 200},
        STAGE: {"seconds": 10.0, "cpu_seconds": 9.0, "same_answers": 200},
    }
    table = render_generation({"records": 200, "tokens": 16_497, "longest": 117, "ways": ways})
    assert f"| {STAGE} | 10.0 | 9.0 | 20.0 | 8.0 | 200 |" in table


def test_each_part_is_measured_by_its_module() -> None:
    assert evaluation.measure("generation").__name__ == "measure_generation"


def test_the_measured_ways_gave_the_same_answers_and_the_stage_s_is_four_times_as_fast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(ROOT)
    found = read_json(evaluation.RESULTS)["generation"]
    assert {way["same_answers"] for way in found["ways"].values()} == {found["records"]}
    assert found["ways"][ONE_BY_ONE]["seconds"] > 4 * found["ways"][STAGE]["seconds"]
