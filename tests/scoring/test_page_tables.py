"""The tables of the page: figures in words, bars in place, and rows for what a report holds."""

from typing import Any

import pytest

from src.scoring.page_tables import (
    BAR_EDGE,
    BAR_WIDTH,
    Bar,
    difference_rows,
    number_text,
    p_value_text,
    score_groups,
)
from src.scoring.report_verdict import SCORES_BY_NAME

BLEU, LOSS = SCORES_BY_NAME["bleu"], SCORES_BY_NAME["answer_loss"]
MIDDLE = BAR_WIDTH / 2


def report() -> dict[str, Any]:
    difference = {"estimate": -40.0, "low": -50.0, "high": -30.0}
    tested = {"verdict": "not chance", "corrected_p_value": 0.0123, "detectable": 4.0, "records_needed": 1234}
    return {
        "tuned": {"facts_stated": 20.0, "bleu": 10.0, "perplexity": None, "distinct_1": 0.5, "answer_loss": 2.0},
        "other": {"facts_stated": 60.0, "bleu": 50.0, "perplexity": None, "distinct_1": 0.25, "answer_loss": None},
        "interval": {"tuned": {"facts_stated": {"low": 10.0, "high": 30.0}}, "other": {}},
        "difference": {"tuned_minus_other": {"facts_stated": difference | tested, "bleu": difference}},
    }


def test_scores_are_in_groups_and_none_is_empty() -> None:
    groups = {group.title: [row.score.name for row in group.rows] for group in score_groups(report())}
    assert groups == {
        "To decide by": ["facts_stated"],
        "Against the reference text": ["bleu", "answer_loss"],  # no system has a perplexity
        "Style and form": ["distinct_1"],
    }


def test_bars_of_a_row_share_a_scale_that_begins_at_zero() -> None:
    (stated,), (_, loss), (distinct,) = (group.rows for group in score_groups(report()))
    span = BAR_WIDTH - 2 * BAR_EDGE
    value, interval, bar = stated.figures["tuned"]
    assert (value, interval) == ("20.0", "10.0 to 30.0")
    assert bar == pytest.approx(
        (BAR_EDGE + 0.2 * span, BAR_EDGE + 0.1 * span, BAR_EDGE + 0.3 * span, BAR_EDGE), abs=0.1
    )
    assert stated.figures["other"].interval is None
    assert distinct.figures["tuned"].bar == Bar(MIDDLE, MIDDLE, MIDDLE, BAR_EDGE)  # of shares the scale ends at 1
    assert loss.figures["tuned"].bar and loss.figures["tuned"].bar.estimate == BAR_WIDTH - BAR_EDGE
    assert loss.figures["other"] == ("–", None, None)


def test_differences_have_their_verdict_and_zero_in_the_middle() -> None:
    stated, bleu = difference_rows(report(), "other")
    assert (stated.tuned, stated.other, stated.difference[:2]) == ("20.0", "60.0", ("−40.0", "−50.0 to −30.0"))
    assert stated.difference.bar and stated.difference.bar[1:] == (BAR_EDGE, pytest.approx(26.4), MIDDLE)
    assert stated[4:] == ("worse", "not chance", "0.012", "4.0", "1,234")
    assert bleu[4:] == (None, None, None, None, None)


def test_a_bar_of_nothing_but_zeros_has_a_place() -> None:
    nothing = {"estimate": 0.0, "low": 0.0, "high": 0.0}
    found = report() | {"difference": {"tuned_minus_other": {"bleu": nothing}}}
    (row,) = difference_rows(found, "other")
    assert row.difference == ("0.0", "0.0 to 0.0", Bar(MIDDLE, MIDDLE, MIDDLE, MIDDLE))


@pytest.mark.parametrize(
    ("number", "signed", "expected"),
    [(12.34, False, "12.3"), (-12.36, True, "−12.4"), (3.0, True, "+3.0"), (-0.01, True, "0.0"), (None, False, "–")],
)
def test_percentages_have_one_digit(number: float | None, signed: bool, expected: str) -> None:
    assert number_text(BLEU, number, signed) == expected


def test_other_numbers_have_three_digits() -> None:
    assert number_text(LOSS, 0.12345) == "0.123"


@pytest.mark.parametrize(("p_value", "expected"), [(0.0001, "< 0.001"), (0.001, "0.001"), (1.0, "1.000")])
def test_small_p_values_are_not_zero(p_value: float, expected: str) -> None:
    assert p_value_text(p_value) == expected
