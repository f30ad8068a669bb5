import math
from collections.abc import Iterator
from typing import Any

import pytest

from src.scoring.generations import Generation
from src.scoring.report import round_scores, score_report

REFERENCES = ["A brass lamp for the desk.", "A blue bag of strong canvas."]
NEAREST = ["A steel lamp for the floor.", "A red bag of strong canvas."]
KEYS = "bleu chrf rouge1 rouge2 rougeL answer_loss perplexity stop_rate distinct_1 distinct_2 repetition length_ratio"


def generations(answers: list[str], loss: float) -> list[Generation]:
    return [
        Generation(
            uid=str(number),
            title="title",
            answer=answer,
            reference=reference,
            tokens=5,
            stopped=True,
            loss=loss * (number + 1),
            loss_tokens=4,
        )
        for number, (answer, reference) in enumerate(zip(answers, REFERENCES, strict=True))
    ]


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for below in value.values():
            yield from leaves(below)
    else:
        yield value


def test_a_perfect_model_against_a_silent_one() -> None:
    scores = score_report(generations(["", ""], 4.0), generations(REFERENCES, 2.0), NEAREST, NEAREST)
    assert list(scores) == ["records", "base", "tuned", "nearest", "difference"]
    assert all(list(scores[system]) == [*KEYS.split(), "verbatim_copy_rate"] for system in ("base", "tuned", "nearest"))
    assert [scores["tuned"][name] for name in ("bleu", "chrf", "rouge1", "rouge2", "rougeL")] == [100.0] * 5
    assert [scores["base"][name] for name in ("bleu", "chrf", "rouge1", "rouge2", "rougeL")] == [0.0] * 5
    assert scores["difference"]["tuned_minus_base"]["rougeL"] == {"estimate": 100.0, "low": 100.0, "high": 100.0}
    assert scores["nearest"]["verbatim_copy_rate"] == 1.0
    assert scores["tuned"]["verbatim_copy_rate"] == 0.0


def test_differences_are_those_of_the_scores() -> None:
    scores = score_report(generations(["A lamp.", "A bag."], 4.0), generations(NEAREST, 2.0), REFERENCES, [])
    gain = scores["difference"]
    for other in ("base", "nearest"):
        expected = scores["tuned"]["rougeL"] - scores[other]["rougeL"]
        assert gain[f"tuned_minus_{other}"]["rougeL"]["estimate"] == pytest.approx(expected, abs=2e-6)
    expected = scores["tuned"]["answer_loss"] - scores["base"]["answer_loss"]
    assert gain["tuned_minus_base"]["answer_loss"]["estimate"] == pytest.approx(expected, abs=2e-6)
    assert gain["tuned_minus_nearest"]["rougeL"]["high"] < 0


def test_a_baseline_without_a_model_has_no_likelihood() -> None:
    scores = score_report(generations(["", ""], 4.0), generations(REFERENCES, 2.0), NEAREST, NEAREST)
    assert [scores["nearest"][name] for name in ("answer_loss", "perplexity", "stop_rate")] == [None] * 3
    assert "answer_loss" not in scores["difference"]["tuned_minus_nearest"]


def test_every_score_is_finite_or_none() -> None:
    scores = score_report(generations(["", ""], 9e9), generations(["", ""], 0.0), ["", ""], [])
    assert all(value is None or math.isfinite(value) for value in leaves(scores))


def test_zero_has_no_sign() -> None:
    assert str(round_scores({"difference": -1e-9, "missing": None})) == "{'difference': 0.0, 'missing': None}"
