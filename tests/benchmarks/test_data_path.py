"""The benchmark of the data path, at toy size: it runs the real stages, and its pandas program agrees with them."""

import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from benchmarks import data_path, data_path_report, pandas_cleaning
from benchmarks.process_usage import measure_command
from src.errors import UserError
from src.records.rules import RULES, apply_until_stable

ROOT = Path(__file__).parents[2]
TEXTS = [
    "Kerr&#8217;s &amp;lt;b&amp;gt;caf&#x82;s cafÃ© <b>x</b>\x07",
    "See www.x.com for all 12. Mail <me@x.co.uk>.",
    "the end.The next one.--This text refers to theHardcoveredition.",
    "2-8 years, $5.99  and\tplain",
]


def test_the_pandas_program_has_the_same_rules() -> None:
    assert [pandas_cleaning.apply_until_stable(text) for text in TEXTS] == apply_until_stable(
        pl.Series(TEXTS), [rule for rule in RULES if rule.switch != "ascii"]
    ).texts.to_list()


def test_all_programs_are_measured_and_printed(tmp_path: Path) -> None:
    sizes = ["--records", "3000", "--sample", "500", "--slice", "1000", "--times", "2"]
    places = ["--folder", str(tmp_path), "--results", str(tmp_path / "data.json")]
    command = [sys.executable, "-m", "benchmarks.data_path", *sizes, *places]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "data.json").read_text())
    assert list(results["stages"]) == list(data_path.STAGES)
    assert results["pandas"]["equal_texts"] == 1
    assert all(run["wall_s"] > 0 and run["peak_mb"] > 50 for run in results["stages"].values())
    assert list(results["larger"]["growth"]) == [data_path_report.GZIP, *data_path.STAGES]
    assert results["larger"]["lines"] == 6000
    grown = max(factor for stage in data_path.STAGES for factor in results["larger"]["growth"][stage].values())
    assert f"of any stage at 2 times the lines | at most {grown} × |" in done.stdout
    assert done.stdout.strip() == data_path_report.render_table(results)


def test_a_command_that_fails_is_not_measured(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"`ls nothing` failed"):
        measure_command("ls nothing", tmp_path)


def test_cpu_and_memory_are_those_of_the_command(tmp_path: Path) -> None:
    spent = measure_command(f"{sys.executable} -c 'data = bytearray(300 * 2**20); sum(range(10**7))'", tmp_path)
    assert spent.peak_mb > 300
    assert 0 < spent.cpu_s < 1.5 * spent.wall_s + 0.2
