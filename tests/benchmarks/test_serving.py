"""The benchmark of the search, at toy size: it runs the real stage, and its changes are what they say."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from rapidfuzz.distance import OSA

from benchmarks import serving, serving_report

ROOT = Path(__file__).parents[2]
TITLE = "Prou Pibret Gri Cel Rais Hen"


def test_the_stage_and_every_kind_of_search_are_measured_and_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = ["--folder", str(tmp_path), "--results", str(tmp_path / "serving.json")]
    command = [sys.executable, "-m", "benchmarks.serving", "--records", "400", "--searches", "20", *places]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "serving.json").read_text())
    assert list(results["searches"]) == list(serving.CHANGES)
    assert results["searches"]["as it is"]["first"] == 100
    assert results["build"]["wall_s"] > 0
    assert done.stdout.strip() == serving_report.render_table(results)


def test_typos_and_dropped_words_are_as_many_as_they_say() -> None:
    rng = random.Random(1)
    assert max(OSA.distance(TITLE, serving.add_typos(rng, TITLE)) for _ in range(200)) == serving.TYPOS
    assert {len(serving.drop_words(rng, TITLE).split()) for _ in range(20)} == {6 - serving.DROPPED}
    assert sorted(serving.shuffle_words(rng, TITLE).split()) == sorted(TITLE.upper().split())
