"""The scores of an evaluation as its page shows them: figures as text, and the small bars of their intervals.

Covers the rows of the tables that the page's template writes. Computes no score.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from src.scoring.report_verdict import SCORES_BY_NAME, Outcome, difference_outcome
from src.scoring.scores import PERCENT, SCORES, SHARE, Score
from src.scoring.systems import TUNED

BAR_WIDTH, BAR_EDGE = 120, 4  # in the units of its SVG; the edge leaves room for the dot of an estimate
NO_VALUE = "–"


class Bar(NamedTuple):
    """Where a bar has its estimate, both ends of the interval and zero, in the units of its SVG."""

    estimate: float
    low: float
    high: float
    zero: float


class Figure(NamedTuple):
    """A number as the page shows it: as text, its interval as text where it has one, and both as a bar."""

    value: str
    interval: str | None = None
    bar: Bar | None = None


class ScoreRow(NamedTuple):
    """A score of every system."""

    score: Score
    figures: dict[str, Figure]


class ScoreGroup(NamedTuple):
    """Scores that stand together."""

    title: str
    rows: list[ScoreRow]


class DifferenceRow(NamedTuple):
    """The tuned model's score minus another system's, with what tells whether to believe it; None where not tested."""

    score: Score
    tuned: str
    other: str
    difference: Figure
    outcome: Outcome | None
    verdict: str | None
    p_value: str | None
    detectable: str | None
    records_needed: str | None


def score_groups(report: Mapping[str, Any]) -> list[ScoreGroup]:
    """The table of scores: those to decide by, those of the reference text, and those of style.

    Args:
        report: what data/reports/evaluate.json holds.
    """
    shown = [score for score in SCORES if any(report[name].get(score.name) is not None for name in report["interval"])]
    parts = {
        "To decide by": [score for score in shown if score.headline],
        "Against the reference text": [score for score in shown if score.in_tables and not score.headline],
        "Style and form": [score for score in shown if not score.in_tables and not score.headline],
    }
    return [ScoreGroup(title, [score_row(one, report) for one in scores]) for title, scores in parts.items() if scores]


def score_row(score: Score, report: Mapping[str, Any]) -> ScoreRow:
    """A score of every system, all bars on one scale that begins at zero.

    Args:
        score: a row of SCORES.
        report: what data/reports/evaluate.json holds.
    """
    found = {
        name: {"estimate": report[name].get(score.name)} | report["interval"][name].get(score.name, {})
        for name in report["interval"]
    }
    known = [number for each in found.values() for number in each.values() if number is not None]
    top = {PERCENT: 100.0, SHARE: 1.0}.get(score.unit) or max(known) or 1.0
    return ScoreRow(score, {name: figure(score, each, (min(0.0, *known), top)) for name, each in found.items()})


def difference_rows(report: Mapping[str, Any], other: str) -> list[DifferenceRow]:
    """The tuned model against another system, the bars of one unit on one scale with zero in its middle.

    Args:
        report: what data/reports/evaluate.json holds.
        other: the other system's name.
    """
    found = {SCORES_BY_NAME[name]: each for name, each in report["difference"][f"{TUNED}_minus_{other}"].items()}
    furthest: dict[str, float] = {}
    for score, each in found.items():
        furthest[score.unit] = max(abs(each["low"]), abs(each["high"]), furthest.get(score.unit, 0.0))
    return [difference_row(score, each, report, other, furthest[score.unit] or 1.0) for score, each in found.items()]


def difference_row(
    score: Score, found: Mapping[str, Any], report: Mapping[str, Any], other: str, furthest: float
) -> DifferenceRow:
    """One score's difference.

    Args:
        score: a row of SCORES.
        found: its difference in the report.
        report: what data/reports/evaluate.json holds.
        other: the system that the tuned model is compared with.
        furthest: from zero, where both ends of the bar are.
    """
    needed = found.get("records_needed")
    return DifferenceRow(
        score=score,
        tuned=number_text(score, report[TUNED].get(score.name)),
        other=number_text(score, report[other].get(score.name)),
        difference=figure(score, found, (-furthest, furthest), signed=True),
        outcome=difference_outcome(score, found),
        verdict=found.get("verdict"),
        p_value=p_value_text(found["corrected_p_value"]) if "corrected_p_value" in found else None,
        detectable=number_text(score, found["detectable"]) if "detectable" in found else None,
        records_needed=None if needed is None else f"{needed:,}",
    )


def figure(score: Score, found: Mapping[str, Any], scale: tuple[float, float], signed: bool = False) -> Figure:
    """An estimate with its interval.

    Args:
        score: what it is of.
        found: `estimate`, None where there is none, `low` and `high` where there is an interval.
        scale: the numbers at both ends of its bar.
        signed: whether it is a difference, which has its sign even where it is positive.
    """
    estimate, low, high = found["estimate"], found.get("low"), found.get("high")
    if estimate is None:
        return Figure(NO_VALUE)
    value = number_text(score, estimate, signed)
    if low is None or high is None:
        return Figure(value, bar=bar_of([estimate, estimate, estimate], scale))
    bounds = (number_text(score, bound, signed) for bound in (low, high))
    return Figure(value, " to ".join(bounds), bar_of([estimate, low, high], scale))


def bar_of(numbers: Sequence[float], scale: tuple[float, float]) -> Bar:
    """Places numbers, and zero, on a bar.

    Args:
        numbers: an estimate and the bounds of its interval.
        scale: the numbers at the bar's ends.
    """
    start, end = scale
    span = BAR_WIDTH - 2 * BAR_EDGE
    return Bar(*(round(BAR_EDGE + span * (number - start) / (end - start), 1) for number in (*numbers, 0.0)))


def number_text(score: Score, number: float | None, signed: bool = False) -> str:
    """A number in the digits that its unit deserves, with a true minus sign.

    Args:
        score: what it is of.
        number: None where there is none.
        signed: whether a positive one has its sign too.
    """
    if number is None:
        return NO_VALUE
    digits = 1 if score.unit == PERCENT else 3
    rounded = round(number, digits) + 0.0  # not -0.0
    return f"{'+' if signed and rounded > 0 else ''}{rounded:.{digits}f}".replace("-", "−")


def p_value_text(p_value: float) -> str:
    """A p-value to three digits."""
    return "< 0.001" if p_value < 0.001 else f"{p_value:.3f}"
