"""The summary that ends a run: before and after, three titles with both answers, as wide as the terminal."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.files import write_json, write_tsv
from src.summary import side_by_side, summary_lines

ROOT = Path(__file__).parents[1]
BASE = "The Wobblethorpe Blanket in Moss Green is made of recycled glass and comes as a set of 2. "
TUNED = "The Hobnobbin Cat Cave in Coral Pink is made of tough nylon and comes as a set of 2. "


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Writes what train and evaluate leave; `scores` are added to those of both models."""
    monkeypatch.chdir(tmp_path)

    def written(base: dict[str, Any], tuned: dict[str, Any]) -> None:
        write_json("reports/train.json", {"validation_loss_first": 1.38914, "validation_loss_kept": 0.8258})
        write_json("reports/evaluate.json", {"records": 9, "base": base, "tuned": tuned})
        sources = {"title": "Cat Cave", "reference": "-", "base": BASE * 3, "tuned": TUNED * 3}
        write_tsv(
            "plots/evaluate/examples.tsv",
            [
                {"record": record, "source": source, "text": f"{record} {text}"}
                for record in range(1, 11)
                for source, text in sources.items()
            ],
        )

    return written


def printed(width: int) -> list[str]:
    return "\n".join(summary_lines(width)).splitlines()


def test_a_run_is_summed_up_in_about_ten_lines(write: Callable[..., None]) -> None:
    facts = {"facts_stated": 21.4, "facts_wrong": 60.2}
    write(facts, facts | {"facts_stated": 95.2, "facts_wrong": 3.6})
    loss, stated, header, *answers, _ = lines = printed(120)
    assert loss == "Validation loss: 1.389 before training, 0.826 after, in nats a token."
    assert stated.startswith("Facts of the titles: 21% stated before, 95% after; ")
    assert stated.endswith(" 60% wrong before, 4% after.")
    assert header.split() == ["base", "model", "|", "tuned", "model"]
    assert answers[0] == "1 Cat Cave"
    assert answers[1].startswith(f"  1 {BASE[:40]}") and f" | 1 {TUNED[:40]}" in answers[1]
    assert [line for line in answers if "Cat Cave" in line and "|" not in line] == [
        f"{number} Cat Cave" for number in (1, 2, 3)
    ]
    assert len(lines) <= 14
    assert "make ask" in lines[-2] + lines[-1]


@pytest.mark.parametrize("width", [40, 80, 140])
def test_no_line_is_wider_than_the_terminal(write: Callable[..., None], width: int) -> None:
    write({}, {})
    lines = printed(width)
    assert max(len(line) for line in lines[1:]) <= width
    assert not any(line.startswith("Facts") for line in lines)


def test_facts_that_nobody_could_score_are_left_out(write: Callable[..., None]) -> None:
    write({"facts_stated": None, "facts_wrong": None}, {"facts_stated": None, "facts_wrong": None})
    assert not any(line.startswith("Facts") for line in printed(80))


@given(st.text(), st.text(), st.integers(40, 140))
def test_both_answers_are_there_and_fit(left: str, right: str, width: int) -> None:
    lines = side_by_side(left, right, width).split("\n")
    assert len(lines) <= 2
    assert all(len(line) <= width for line in lines)


def summarise(folder: Path) -> subprocess.CompletedProcess[str]:
    """The command, in a folder."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "90"}
    command = [sys.executable, "-X", "importtime", "-m", "src.summary"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def test_the_command_loads_no_library(write: Callable[..., None], tmp_path: Path) -> None:
    write({}, {})
    done = summarise(tmp_path)
    assert done.stdout == "\n" + "\n".join(printed(90)) + "\n"
    assert not {"pandas", "polars", "torch", "pydantic"} & set(done.stderr.split())


def test_before_the_first_run_it_tells_what_to_run(tmp_path: Path) -> None:
    done = summarise(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("summary: reports/train.json is missing: run `make repro`, which writes it.\n")
