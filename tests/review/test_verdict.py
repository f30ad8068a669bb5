"""The verdict on differences of every kind, and how figures are shown."""

import pytest

from src.review.comparison import ScoreLine, seed_difference
from src.review.figures import p_value, signed
from src.review.verdict import Kind, judge_lines
from src.scoring.comparisons import Difference
from src.scoring.intervals import Interval
from src.scoring.scores import SCORES
from src.scoring.significance import Verdict

BY_NAME = {score.name: score for score in SCORES}


def line(name: str, low: float, high: float, seeds: float | None = None) -> ScoreLine:
    """A score that moved, as its interval tells."""
    sure = not low <= 0 <= high
    estimate, matters = (low + high) / 2, BY_NAME[name].matters
    chance = Verdict.CHANCE if -matters <= low and high <= matters else Verdict.TOO_FEW
    verdict = Verdict.REAL if sure else chance
    found = Difference(Interval(estimate, low, high), 0.01, 0.01, 2.0, 50, 100, verdict)
    return ScoreLine(BY_NAME[name], 50.0, 50.0 + estimate, found, seeds)


@pytest.mark.parametrize(
    ("lines", "kind", "reason"),
    [
        (
            [line("facts_stated", 2, 4), line("rougeL", -3, 5)],
            Kind.BETTER,
            "50.00 → 53.00 (+3.00); 1 of 2 scores to decide by",
        ),
        ([line("facts_stated", 2, 4), line("verbatim_run", 2, 4)], Kind.BETTER, "1 of 1"),  # copying is not decided by
        ([line("bleu", -4, -2)], Kind.WORSE, "BLEU 50.00 → 47.00 (−3.00)"),
        ([line("facts_wrong", 2, 4)], Kind.WORSE, "(+3.00)"),  # lower is better
        ([line("facts_wrong", -4, -2)], Kind.BETTER, "(−3.00)"),
        ([line("facts_stated", 2, 4), line("answer_loss", 0.1, 0.2)], Kind.MIXED, "better in facts"),
        (
            [line("facts_stated", -0.4, 0.4), line("rougeL", 0.1, 0.3)],
            Kind.SAME,
            "as much as matters",
        ),  # sure, and too small
        ([line("rougeL", -3, 5)], Kind.UNKNOWN, "would have shown: ROUGE-L 2.00"),
        ([line("rougeL", 2, 4, seeds=3.5)], Kind.UNKNOWN, "no more than another seed makes"),
        ([line("rougeL", 2, 4, seeds=2.5)], Kind.BETTER, "ROUGE-L"),
        ([line("rougeL", 2, 4, seeds=3.5), line("bleu", 2, 4)], Kind.UNKNOWN, "seed"),  # BLEU's seeds: not measured
        ([ScoreLine(BY_NAME["rouge1"], 1.0, 50.0)], Kind.UNKNOWN, "more than chance"),
    ],
)
def test_the_verdict(lines: list[ScoreLine], kind: Kind, reason: str) -> None:
    found = judge_lines(lines, 50)
    assert found.kind is kind
    assert reason in found.reason


def test_few_seeds_tell_less_than_many() -> None:
    assert seed_difference(1.0, 0) == pytest.approx(1.96 * 2**0.5)
    assert seed_difference(1.0, 3) == pytest.approx(4.302653 * 2**0.5)  # Student's quantile of 2 degrees


@pytest.mark.parametrize(
    ("number", "shown"), [(1.234, "+1.23"), (-1.234, "−1.23"), (0.0, "0.00"), (-0.001, "0.00"), (None, "–")]
)
def test_differences_have_their_sign(number: float | None, shown: str) -> None:
    assert signed(number, BY_NAME["bleu"]) == shown


@pytest.mark.parametrize(("number", "shown"), [(0.0001, "< 0.001"), (0.0123, "0.012"), (1.0, "1.000")])
def test_p_values(number: float, shown: str) -> None:
    assert p_value(number) == shown
