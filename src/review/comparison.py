"""Every score of the old and the new answers side by side, with how sure the difference is.

Covers scores of shared records, those of the committed reports where the answers cannot be had, the spread over seeds,
and the answers that changed most. The verdict over all of them is verdict.py's.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from src.review.answers import MissingTexts, MissingTextsError
from src.review.results import Results, flatten
from src.scoring.comparisons import Difference, compare_pairs
from src.scoring.scores import SCORES, Score, SystemAnswers
from src.scoring.significance import Verdict

NOISE = "noise/noise.json"  # what `make noise` measured
RECORD_SCORE = "chrf_sentence"  # by which a single answer changed: of all scores the one made for short texts


class ScoreLine(NamedTuple):
    """A score of the old and the new answers."""

    score: Score
    old: float | None
    new: float | None
    difference: Difference | None = None
    """None where there is no interval."""
    seeds: float | None = None
    """The difference that another seed alone makes in one of 20 cases, None where it was not measured."""

    @property
    def change(self) -> float | None:
        """New minus old, None where one of them is not known."""
        return None if self.old is None or self.new is None else self.new - self.old

    @property
    def negligible(self) -> bool:
        """Whether the difference is surely smaller than what matters."""
        matters = self.score.matters
        return bool(
            self.difference and -matters <= self.difference.interval.low and self.difference.interval.high <= matters
        )

    @property
    def within_seeds(self) -> bool:
        """Whether another seed alone would do as much."""
        return self.seeds is not None and self.change is not None and abs(self.change) < self.seeds

    @property
    def direction(self) -> int:
        """1 where the score is better, -1 where it is worse, 0 where that cannot be told or does not matter."""
        sure = self.difference and self.difference.verdict is Verdict.REAL
        if not sure or self.negligible or self.within_seeds or not self.change or not self.score.better:
            return 0
        return 1 if (self.change > 0) == (self.score.better == "higher") else -1


class ChangedAnswer(NamedTuple):
    """An answer that changed."""

    title: str
    reference: str
    old: str
    new: str
    change: float
    """In the record's own score."""


def score_lines(before: SystemAnswers, after: SystemAnswers, seeds: Mapping[str, float]) -> list[ScoreLine]:
    """One system's scores on the records that both revisions share, each difference tested.

    Args:
        before: the old answers.
        after: the new ones, to the same records.
        seeds: the differences that another seed makes, by score.
    """
    differences = compare_pairs({"new": (with_texts(after), with_texts(before))})["new"]
    lines = (
        ScoreLine(
            score, value_of(score, before), value_of(score, after), differences.get(score.name), seeds.get(score.name)
        )
        for score in SCORES
    )
    return [line for line in lines if line.change is not None]


def with_texts(answers: SystemAnswers) -> SystemAnswers:
    """A system's answers, where the training texts cannot be had beside none: what reads them has no value anyway."""
    return replace(answers, contents=()) if isinstance(answers.contents, MissingTexts) else answers


def value_of(score: Score, answers: SystemAnswers) -> float | None:
    """A system's score, None where it has none, or where it takes texts that cannot be had.

    Args:
        score: a row of SCORES.
        answers: the system's.
    """
    try:
        if score.compute:
            return score.compute(answers)
        sums = score.sums(answers) if score.sums else None
    except MissingTextsError:
        return None
    return sums.estimate if sums else None


def committed_lines(old: Results, new: Results, system: str) -> list[ScoreLine]:
    """One system's scores as the reports have them, without intervals.

    Args:
        old: results of the one revision.
        new: of the other.
        system: its name.
    """
    before, after = (results.report.get(system) or {} for results in (old, new))
    lines = (ScoreLine(score, number(before.get(score.name)), number(after.get(score.name))) for score in SCORES)
    return [line for line in lines if line.change is not None]


def number(value: Any) -> float | None:
    """A value of a report, None where it is no number."""
    return float(value) if isinstance(value, int | float) else None


def seed_differences(results: Results) -> dict[str, float]:
    """The differences that another seed alone makes in one of 20 cases, by score, as far as they were measured.

    Args:
        results: of the revision whose measurement counts.
    """
    noise = results.read_json(NOISE)
    spreads = {name.split(".")[-2]: value for name, value in flatten(noise).items() if name.endswith(".sd")}
    known = {name: spread for name, value in spreads.items() if (spread := number(value)) is not None}
    return {name: seed_difference(spread, len(noise.get("seeds") or [])) for name, spread in known.items()}


def seed_difference(spread: float, seeds: int) -> float:
    """The difference of two runs that chance alone exceeds in one of 20 cases.

    Args:
        spread: standard deviation of a score over seeds.
        seeds: how many it was measured on, 0 where that is not told.
    """
    from scipy.stats import t

    quantile = float(t.ppf(0.975, seeds - 1)) if seeds > 1 else 1.96
    return quantile * math.sqrt(2) * spread


def changed_answers(before: SystemAnswers, after: SystemAnswers) -> list[ChangedAnswer]:
    """The answers that differ, those that gained or lost most first.

    Args:
        before: the old answers.
        after: the new ones, to the same records.
    """
    titles = [row.title for row in after.generations or []]
    texts = zip(titles, after.references, before.answers, after.answers, strict=True)
    moves = [new - old for old, new in zip(record_scores(before), record_scores(after), strict=True)]
    changed = [ChangedAnswer(*four, move) for four, move in zip(texts, moves, strict=True) if four[2] != four[3]]
    return sorted(changed, key=lambda answer: -abs(answer.change))  # stable: equal ones stay in the records' order


def record_scores(answers: SystemAnswers) -> list[float]:
    """Each answer's own score."""
    sums = answers.overlap.sums[RECORD_SCORE]
    return [float(score) for score in sums.score(sums.terms)]
