"""Comparisons of systems: the differences of the scores, corrected as one family, in words that hold."""

import pytest

from src.scoring.comparisons import compare_pairs
from src.scoring.scores import SCORES, SystemAnswers
from src.scoring.significance import Verdict

REFERENCES = [f"A brass lamp of {number} cm for the desk." for number in range(60)]
WORSE = [f"A steel lamp of {number} cm." for number in range(60)]
PERFECT, POOR = (SystemAnswers(answers, REFERENCES, []) for answers in (REFERENCES, WORSE))


def test_every_score_with_sums_says_which_difference_matters() -> None:
    assert [score.name for score in SCORES if bool(score.sums) != bool(score.matters)] == []


def test_a_large_difference_is_not_chance() -> None:
    found = compare_pairs({"perfect_minus_poor": (PERFECT, POOR)})["perfect_minus_poor"]
    assert list(found) == [score.name for score in SCORES if score.name in found]
    assert found["rougeL"].interval.estimate > 0
    assert found["rougeL"].verdict == Verdict.REAL
    assert found["rougeL"].records == 60
    assert "answer_loss" not in found  # no model answered


def test_p_values_are_corrected_for_the_whole_family() -> None:
    alone = compare_pairs({"one": (PERFECT, POOR)})["one"]["rougeL"]
    family = compare_pairs({"one": (PERFECT, POOR), "two": (PERFECT, POOR)})["one"]["rougeL"]
    assert family.p_value == alone.p_value
    assert family.corrected_p_value == pytest.approx(2 * alone.corrected_p_value)


def test_a_system_beside_itself_differs_in_nothing() -> None:
    found = compare_pairs({"same": (POOR, POOR)})["same"]["bleu"]
    assert (found.interval, found.p_value, found.records_needed) == ((0.0, 0.0, 0.0), 1.0, None)
    assert found.verdict == Verdict.CHANCE
