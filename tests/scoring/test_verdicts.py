"""Verdicts in words: the way that is better, and one place for each in the closing line and in the plot."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from src.scoring.scores import SCORES, Score
from src.scoring.significance import Verdict
from src.scoring.verdicts import describe_verdicts, plotted_differences, verdict_in_words

BY_NAME = {score.name: score for score in SCORES}
NEITHER = Score("shift", "shift", "points", better=None)
KINDS = (BY_NAME["rougeL"], BY_NAME["facts_wrong"], NEITHER)
PLOTS = Path(__file__).parents[2] / ".dvc/plots"


def row(estimate: float, verdict: str = "not chance") -> dict[str, Any]:
    bounds = {"low": estimate - 1, "high": estimate + 1}
    return {"estimate": estimate, **bounds, "corrected_p_value": 0.01, "verdict": verdict}


@pytest.mark.parametrize(
    ("score", "estimate", "expected"),
    [
        (BY_NAME["facts_stated"], 2.0, "better, not chance"),
        (BY_NAME["facts_stated"], -2.0, "worse, not chance"),
        (BY_NAME["facts_wrong"], -2.0, "better, not chance"),
        (BY_NAME["facts_wrong"], 2.0, "worse, not chance"),
        (NEITHER, 2.0, "higher, not chance"),
        (NEITHER, -2.0, "lower, not chance"),
    ],
)
def test_a_difference_that_is_not_chance_has_a_direction(score: Score, estimate: float, expected: str) -> None:
    assert verdict_in_words(score, row(estimate)) == expected


@pytest.mark.parametrize("verdict", ["chance", "too few records"])
def test_another_difference_has_none(verdict: str) -> None:
    assert verdict_in_words(BY_NAME["rougeL"], row(-3.0, verdict)) == verdict


def test_the_closing_line_gathers_the_headline_scores_by_verdict() -> None:
    found = {"facts_stated": row(9.0), "facts_wrong": row(1.0, "too few records"), "rougeL": row(9.0), "bleu": row(1.0)}
    assert describe_verdicts({"difference": {"tuned_minus_base": found}}) == (
        "tuned against base: better, not chance, in facts of the title stated (%), ROUGE-L; "
        "too few records, in stated facts that are wrong (%)"
    )
    assert describe_verdicts({"difference": {}}) == "tuned against base: nothing to compare"


def test_every_other_system_has_a_row_of_each_plotted_score() -> None:
    report = {
        "interval": {"base": {}, "tuned": {}, "new": {}},
        "difference": {"tuned_minus_base": {"rougeL": row(9.0)}, "tuned_minus_new": {"rougeL": row(-1.0, "chance")}},
    }
    rows = plotted_differences(report)
    assert [row["than"] for row in rows] == ["base", "new"] * sum(score.plotted for score in SCORES)
    shown = {(row["score"], row["than"]): row for row in rows}
    assert shown["ROUGE-L, higher is better", "base"]["verdict"] == "better, not chance"
    assert shown["ROUGE-L, higher is better", "new"]["low"] == -2.0
    assert shown["BLEU, higher is better", "new"]["estimate"] == shown["BLEU, higher is better", "new"]["verdict"] == ""


def test_the_plot_of_differences_knows_every_verdict() -> None:
    text = (PLOTS / "differences.json").read_text(encoding="utf-8")
    said = {verdict_in_words(score, row(sign, verdict)) for score in KINDS for sign in (-1, 1) for verdict in Verdict}
    found = re.findall(r'"domain": \[("[^]]+)\]', text)
    assert [set(json.loads(f"[{domain}]")) for domain in found] == [said, said]  # of the colours and of the shapes
