"""Whether a difference between two systems is more than chance, and how small a difference could have been seen.

Covers p-values by approximate randomisation, Holm's correction for several comparisons, the smallest difference that
so many records show, and the verdict in words. Intervals are intervals.py's.
"""

import functools
import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from src.scoring.intervals import BATCH, RESAMPLES, SEED, Counts, Floats, Interval, RecordSums, as_floats, one_thread

ALPHA = 0.05  # how often two equal systems may be called different
# The normal distribution's quantiles at 1 - ALPHA / 2 and at 0.8, how often the smallest detectable difference is
# detected, added: how many standard errors such a difference is away from nothing (Cohen 1988).
DETECTABLE_ERRORS = 1.959964 + 0.841621
TIE = 1e-9  # relative: differences that rounding alone tells apart


class Verdict(StrEnum):
    """What a difference says."""

    REAL = "not chance"
    CHANCE = "chance"
    TOO_FEW = "too few records"


class Comparison(NamedTuple):
    """A difference between two systems with all that is needed to believe it or not."""

    interval: Interval
    p_value: float
    detectable: float
    """The smallest difference that as many records show in 80 of 100 cases."""
    records: int
    """How many were compared."""


def compare_systems(first: RecordSums, second: RecordSums, interval: Interval) -> Comparison:
    """Tests the difference of two systems.

    Args:
        first: one system's sums.
        second: the other's, of the same records in the same order.
        interval: of their difference.
    """
    error = float(np.std(first.resampled - second.resampled))
    return Comparison(interval, randomisation_p_value(first, second), DETECTABLE_ERRORS * error, first.records)


def randomisation_p_value(first: RecordSums, second: RecordSums) -> float:
    """How often systems whose answers are swapped at random differ as much as these two (Noreen 1989; Riezler 2005).

    Args:
        first: one system's sums.
        second: the other's, of the same records in the same order.

    Returns:
        Of the two-sided test, at least 1 / (RESAMPLES + 1): the observed order is one of those that count.
    """
    observed = abs(first.estimate - second.estimate)
    with one_thread():
        differences = np.concatenate(
            [swapped_differences(first, second, swaps) for swaps in as_floats(all_swaps(first.records))]
        )
    as_large = int((np.abs(differences) >= observed * (1 - TIE)).sum())
    return (as_large + 1) / (RESAMPLES + 1)


def swapped_differences(first: RecordSums, second: RecordSums, swaps: Floats) -> Floats:
    """The differences of two systems that have swapped the answers to some records.

    Args:
        first: one system's sums.
        second: the other's.
        swaps: 1 where a record's answers are swapped, (trials, records).
    """
    moved = (second.terms - first.terms) @ swaps.T
    one = first.terms.sum(axis=1)[:, None] + moved
    other = second.terms.sum(axis=1)[:, None] - moved
    return first.score(one) - second.score(other)


@functools.lru_cache(maxsize=1)  # every comparison of an evaluation has as many records
def all_swaps(records: int) -> Counts:
    """Which records are swapped in each trial, (RESAMPLES, records), each with a probability of one half."""
    random = np.random.default_rng(SEED)
    batches = [random.integers(2, size=(BATCH, records), dtype=np.uint8) for _ in range(RESAMPLES // BATCH)]
    return np.concatenate(batches)


def correct_p_values(p_values: Sequence[float]) -> list[float]:
    """P-values of a family of tests, corrected so that one false alarm among all of them is as rare (Holm 1979).

    Args:
        p_values: one a test, in any order.

    Returns:
        In the same order, at most 1.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, position in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[position]))
        corrected[position] = largest
    return corrected


def difference_verdict(interval: Interval, corrected_p_value: float, matters: float) -> Verdict:
    """What a difference says.

    Args:
        interval: of the difference.
        corrected_p_value: corrected for the family that the difference belongs to.
        matters: the smallest difference that would change a decision. An interval within it on both sides shows that
            there is no such difference (equivalence test, Schuirmann 1987), whether or not there is a smaller one.
    """
    if corrected_p_value <= ALPHA and not interval.low <= 0 <= interval.high:
        return Verdict.REAL
    return Verdict.CHANCE if -matters <= interval.low and interval.high <= matters else Verdict.TOO_FEW


def records_needed(comparison: Comparison, difference: float) -> int | None:
    """How many records would show a difference in 80 of 100 cases, as the error falls with their square root.

    Args:
        comparison: one of the same two systems.
        difference: the one to be shown; where it is 0, no number is enough, and None is returned.
    """
    if difference == 0:
        return None
    return max(2, math.ceil(comparison.records * (comparison.detectable / abs(difference)) ** 2))
