"""The verdict in a sentence: what is counted, and how it is said."""

from typing import Any

import pytest

from src.scoring.report_verdict import SCORES_BY_NAME, difference_outcome, verdict_sentence

BETTER = {"verdict": "not chance", "estimate": 2.0}
WORSE = {"verdict": "not chance", "estimate": -2.0}
CHANCE, TOO_FEW = {"verdict": "chance", "estimate": 0.1}, {"verdict": "too few records", "estimate": -9.0}


@pytest.mark.parametrize(
    ("score", "difference", "expected"),
    [
        ("bleu", BETTER, "better"),
        ("bleu", WORSE, "worse"),
        ("answer_loss", BETTER, "worse"),  # lower is better
        ("answer_loss", WORSE, "better"),
        ("length_ratio", BETTER, "different"),  # neither way is better
        ("bleu", CHANCE, "chance"),
        ("bleu", TOO_FEW, "too few records"),
        ("bleu", {"estimate": 2.0}, None),
    ],
)
def test_an_outcome_is_the_verdict_and_its_direction(score: str, difference: dict[str, Any], expected: str) -> None:
    assert difference_outcome(SCORES_BY_NAME[score], difference) == expected


@pytest.mark.parametrize(
    ("bleu", "chrf", "ratio", "expected"),
    [
        (BETTER, BETTER, None, "this beats that beyond chance in all 2 scores to decide by."),
        (WORSE, WORSE, None, "this is worse than that beyond chance in all 2 scores to decide by."),
        (BETTER, None, None, "this beats that beyond chance in 1 of 1 scores to decide by."),
        (BETTER, WORSE, None, "this beats that beyond chance in 1 of 2 scores to decide by, is worse than it in 1."),
        (
            BETTER,
            WORSE,
            BETTER,
            "this beats that beyond chance in 1 of 3 scores to decide by, is worse than it in 1, differs from it in 1.",
        ),
        (
            BETTER,
            CHANCE,
            None,
            "this beats that beyond chance in 1 of 2 scores to decide by; in 1 the difference is too small to matter.",
        ),
        (
            CHANCE,
            TOO_FEW,
            None,
            "no score of the 2 to decide by tells this from that; in 1 the difference is too small to matter; "
            "in 1 the records are too few to tell.",
        ),
        (None, None, None, "No difference between this and that was tested."),
        ({"estimate": 1.0}, None, None, "No difference between this and that was tested."),
    ],
)
def test_a_comparison_in_a_sentence(bleu: Any, chrf: Any, ratio: Any, expected: str) -> None:
    given = {"bleu": bleu, "chrf": chrf, "length_ratio": ratio}
    assert verdict_sentence({name: found for name, found in given.items() if found}, "this", "that") == expected
