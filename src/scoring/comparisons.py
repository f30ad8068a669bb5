"""Pairs of systems compared score by score: each difference with interval, corrected p-value and verdict.

Covers one family of comparisons, all of whose p-values are corrected together. What is compared is the caller's: the
tuned model with each other system in the report, the new answers with the old ones in a review.
"""

from collections.abc import Mapping
from typing import NamedTuple

from src.scoring.intervals import Interval, RecordSums, paired_difference
from src.scoring.scores import SCORES, Score, SystemAnswers
from src.scoring.significance import (
    Comparison,
    Verdict,
    compare_systems,
    correct_p_values,
    difference_verdict,
    records_needed,
)

Pair = tuple[SystemAnswers, SystemAnswers]


class Difference(NamedTuple):
    """The difference of two systems in one score, the first one's minus the second one's."""

    interval: Interval
    p_value: float
    corrected_p_value: float
    """Corrected for all comparisons of the family."""
    detectable: float
    """The smallest difference that as many records show in 80 of 100 cases."""
    records: int
    records_needed: int | None
    """How many records would show the observed difference in 80 of 100 cases; None where there is none to show."""
    verdict: Verdict


def compare_pairs(pairs: Mapping[str, Pair]) -> dict[str, dict[str, Difference]]:
    """Every difference that can be tested, first minus second system, as one family.

    Args:
        pairs: two systems' answers to the same records, by the comparison's name.

    Returns:
        By comparison and by the name of the score, in the order of SCORES: the scores that both have.
    """
    compared = {
        (name, score.name): (score, compare_sums(*sums))
        for name, pair in pairs.items()
        for score in SCORES
        if (sums := paired_sums(score, pair))
    }
    corrected = correct_p_values([comparison.p_value for _, comparison in compared.values()])
    found: dict[str, dict[str, Difference]] = {name: {} for name in pairs}
    for (name, key), (score, comparison), p_value in zip(compared, compared.values(), corrected, strict=True):
        found[name][key] = with_verdict(score, comparison, p_value)
    return found


def paired_sums(score: Score, pair: Pair) -> tuple[RecordSums, RecordSums] | None:
    """What a score of both systems is computed from; None where one of them has no such score.

    Args:
        score: a row of SCORES.
        pair: two systems' answers to the same records.
    """
    first, second = (score.sums(answers) if score.sums else None for answers in pair)
    return (first, second) if first and second else None


def compare_sums(first: RecordSums, second: RecordSums) -> Comparison:
    """Two systems' difference in one score, with its interval.

    Args:
        first: one system's sums.
        second: the other's, of the same records.
    """
    return compare_systems(first, second, paired_difference(first, second))


def with_verdict(score: Score, comparison: Comparison, corrected: float) -> Difference:
    """A comparison with its verdict.

    Args:
        score: what was compared, a row of SCORES with a smallest difference that matters.
        comparison: of the two systems.
        corrected: its p-value, corrected for its family.
    """
    return Difference(
        interval=comparison.interval,
        p_value=comparison.p_value,
        corrected_p_value=corrected,
        detectable=comparison.detectable,
        records=comparison.records,
        records_needed=records_needed(comparison, comparison.interval.estimate),
        verdict=difference_verdict(comparison.interval, corrected, score.matters),
    )
