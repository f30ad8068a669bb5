"""How sure a score, or a difference between two systems, is: bootstrap intervals, paired for differences, by scipy.

Covers every score that is a function of sums over records: means, ratios such as a loss per token, and corpus BLEU and
chrF, which sacrebleu computes from summed n-gram counts. Scores that are not, such as distinct-n, get no interval.

sacrebleu's own PairedTest is not used: it gives no interval of a difference, and the smallest p-value that there is to
two equal systems, as it counts only the resamples that differ by more than the systems do (`_compute_p_value`, 2.6.0).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000  # so that 25 of them lie beyond each bound of a 95% interval
BATCH = 100  # resamples at once: of 1,000 records with chrF's 18 counts they take 14 MB
SEED = 13  # fixed, so that equal scores give equal intervals
CONFIDENCE = 0.95

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RecordSums:
    """A score of a corpus as a function of sums over its records.

    Attributes:
        terms: what adds up, (quantities, records); a quantity's terms are neighbours in memory, where most time goes.
        score: from sums, (quantities, ...), the score of each: (...).
    """

    terms: Floats
    score: Callable[[Floats], Floats]

    def score_records(self, positions: NDArray[np.int64]) -> Floats:
        """The score of the records at `positions`, (..., records): (...)."""
        return self.score(self.terms.take(positions, axis=1).sum(axis=-1))


def mean_of(values: Sequence[float]) -> RecordSums:
    """The mean of one value a record."""
    return ratio_of_sums(values, [1.0] * len(values))


def ratio_of_sums(parts: Sequence[float], wholes: Sequence[float]) -> RecordSums:
    """A ratio of two sums over records.

    Args:
        parts: the numerator's terms, one a record.
        wholes: the denominator's terms, one a record, none negative; their sum may not be 0.
    """

    def score(sums: Floats) -> Floats:
        # Where few records have a denominator, a resample may draw none of them: 0, for nothing was counted.
        return np.divide(sums[0], sums[1], out=np.zeros_like(sums[0]), where=sums[1] > 0)

    return RecordSums(np.array([parts, wholes], dtype=float), score)


def estimate_score(sums: RecordSums) -> float:
    """The score of all records."""
    return float(sums.score(sums.terms.sum(axis=-1)))


def estimate_with_interval(sums: RecordSums) -> dict[str, float]:
    """A system's own score, with its percentile bootstrap interval: `estimate`, `low` and `high`."""
    return bootstrap_statistic(sums.terms.shape[1], sums.score_records)


def paired_difference(first: RecordSums, second: RecordSums) -> dict[str, float]:
    """The score of `first` minus that of `second`, with a percentile bootstrap interval (Efron & Tibshirani 1993).

    Records are drawn with replacement, those of both systems together: what makes a record easy for both then
    cancels out.

    Args:
        first: one system's sums.
        second: the other's, of the same records in the same order, at least one.

    Returns:
        `estimate`, and `low` and `high`, the bounds of its 95% interval.
    """

    def difference(positions: NDArray[np.int64]) -> Floats:
        return first.score_records(positions) - second.score_records(positions)

    return bootstrap_statistic(first.terms.shape[1], difference)


def bootstrap_statistic(records: int, statistic: Callable[[NDArray[np.int64]], Floats]) -> dict[str, float]:
    """A statistic of some records, with its percentile bootstrap interval.

    Args:
        records: how many there are, at least one.
        statistic: from positions of records, (..., records), what is estimated: (...).

    Returns:
        `estimate`, and `low` and `high`, the bounds of its 95% interval.
    """
    from scipy import stats

    positions = np.arange(records)
    estimate = float(statistic(positions))
    if records == 1:  # scipy refuses a single record, of which every resample is the same
        return {"estimate": estimate, "low": estimate, "high": estimate}
    # The percentile method rather than BCa, whose interval is NaN where all resamples are equal.
    low, high = stats.bootstrap(
        (positions,),
        lambda drawn, axis: statistic(drawn),  # scipy always passes the last axis
        n_resamples=RESAMPLES,
        batch=BATCH,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(SEED),
    ).confidence_interval
    return {"estimate": estimate, "low": float(low), "high": float(high)}
