"""How sure a score, or a difference between two systems, is: bootstrap intervals, paired for differences.

Covers every score that is a function of sums over records: means, ratios such as a loss per token, and corpus BLEU and
chrF, which sacrebleu computes from summed n-gram counts. Scores that are not, such as distinct-n, get no interval.

All scores of all systems see the same resamples, so that a difference of two systems is one of two columns, and each
score of each system is resampled once. A resample is how often each record was drawn; its sums are a product of
matrices. `scipy.stats.bootstrap` would gather all records again for each difference (`benchmarks/significance.py`
compares).

sacrebleu's own PairedTest is not used: it gives no interval of a difference, and the smallest p-value that there is to
two equal systems, as it counts only the resamples that differ by more than the systems do (`_compute_p_value`, 2.6.0).
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

RESAMPLES = 10_000  # so that 250 of them lie beyond each bound of a 95% interval
BATCH = 500  # resamples at once: of 1,000 records they take 4 MB as floats
SEED = 13  # fixed, so that equal scores give equal intervals
CONFIDENCE = 0.95

Floats = NDArray[np.float64]
Counts = NDArray[np.uint8]


class Interval(NamedTuple):
    """A score, or a difference of two, with the bounds of its interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class RecordSums:
    """A score of a corpus as a function of sums over its records.

    Attributes:
        terms: what adds up, (quantities, records).
        score: from sums, (quantities, ...), the score of each: (...).
    """

    terms: Floats
    score: Callable[[Floats], Floats]

    @property
    def records(self) -> int:
        """How many there are."""
        return self.terms.shape[1]

    @cached_property
    def estimate(self) -> float:
        """The score of all records."""
        return float(self.score(self.terms.sum(axis=1)))

    @cached_property
    def resampled(self) -> Floats:
        """The score of each of the resamples, which are the same for every score of as many records."""
        with one_thread():
            return np.concatenate([self.score(self.terms @ drawn.T) for drawn in as_floats(resamples(self.records))])


def resample_together(many: Sequence[RecordSums]) -> None:
    """Resamples scores of the same records at once: one product of matrices takes little longer than that of one score.

    Their `resampled` is then there to be read.
    """
    if not many:
        return
    terms = np.vstack([sums.terms for sums in many])
    with one_thread():
        drawn = np.hstack([terms @ counts.T for counts in as_floats(resamples(many[0].records))])
    ends = np.cumsum([len(sums.terms) for sums in many])
    for sums, own in zip(many, np.split(drawn, ends[:-1]), strict=True):
        vars(sums)["resampled"] = sums.score(own)  # where cached_property looks first


def mean_of(values: Sequence[float] | Floats) -> RecordSums:
    """The mean of one value a record."""
    return ratio_of_sums(values, np.ones(len(values)))


def ratio_of_sums(parts: Sequence[float] | Floats, wholes: Sequence[float] | Floats) -> RecordSums:
    """A ratio of two sums over records.

    Args:
        parts: the numerator's terms, one a record.
        wholes: the denominator's terms, one a record, none negative; their sum may not be 0.
    """

    def score(sums: Floats) -> Floats:
        # Where few records have a denominator, a resample may draw none of them: 0, for nothing was counted.
        return np.divide(sums[0], sums[1], out=np.zeros_like(sums[0]), where=sums[1] > 0)

    return RecordSums(np.array([parts, wholes], dtype=float), score)


def select_records(sums: RecordSums, chosen: Sequence[bool]) -> RecordSums | None:
    """The score of some of the records, a slice; they stay in their places, so that resamples are those of all records.

    Args:
        sums: of all records.
        chosen: whether each belongs to the slice.

    Returns:
        None where nothing is counted in the slice, as for a ratio whose wholes are all 0.
    """
    terms = sums.terms * np.array(chosen, dtype=float)
    return RecordSums(terms, sums.score) if terms.any() else None


def counted_records(sums: RecordSums) -> int:
    """How many records count for a score: those with a term other than 0, as where a fact could be stated."""
    return int(sums.terms.any(axis=0).sum())


def estimate_with_interval(sums: RecordSums) -> Interval:
    """A system's own score, with its percentile bootstrap interval."""
    return Interval(sums.estimate, *percentile_bounds(sums.resampled))


def paired_difference(first: RecordSums, second: RecordSums) -> Interval:
    """The score of `first` minus that of `second`, with a percentile bootstrap interval (Efron & Tibshirani 1993).

    Records are drawn with replacement, those of both systems together: what makes a record easy for both then
    cancels out.

    Args:
        first: one system's sums.
        second: the other's, of the same records in the same order, at least one.
    """
    return Interval(first.estimate - second.estimate, *percentile_bounds(first.resampled - second.resampled))


def percentile_bounds(samples: Floats) -> tuple[float, float]:
    """The bounds between which CONFIDENCE of the samples lie.

    The percentile method rather than BCa, whose interval is NaN where all resamples are equal.
    """
    low, high = np.quantile(samples, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


@functools.lru_cache(maxsize=1)  # every score of an evaluation has as many records
def resamples(records: int) -> Counts:
    """How often each record is drawn in each resample, (RESAMPLES, records).

    Args:
        records: how many there are, at least one. Of 256 or more, no record is ever drawn as often as 256 times.
    """
    random = np.random.default_rng(SEED)
    return np.concatenate([draw_counts(random, records) for _ in range(RESAMPLES // BATCH)])


def draw_counts(random: np.random.Generator, records: int) -> Counts:
    """How often each record is drawn in each of BATCH resamples.

    Args:
        random: what draws.
        records: how many there are, and how many each resample draws.
    """
    drawn = random.integers(records, size=(BATCH, records)) + records * np.arange(BATCH)[:, None]
    return np.bincount(drawn.ravel(), minlength=BATCH * records).reshape(BATCH, records).astype(np.uint8)


def one_thread() -> AbstractContextManager[object]:
    """Limits products of matrices to one thread: they are small, and threads that wait for a busy core take longer."""
    return thread_pools().limit(limits=1, user_api="blas")


@functools.cache  # looking for the libraries takes as long as a product
def thread_pools() -> ThreadpoolController:
    """The libraries that multiply matrices in threads; NumPy's is loaded by now."""
    return ThreadpoolController()


def as_floats(counts: Counts) -> Iterator[Floats]:
    """The rows of a matrix of counts as floats, BATCH at a time: all at once would take eight times its memory."""
    for start in range(0, len(counts), BATCH):
        yield counts[start : start + BATCH].astype(np.float64)
