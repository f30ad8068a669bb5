"""How sure a difference between two systems is: paired bootstrap intervals.

Covers scores that are means over records or ratios of sums over records, such as a loss per token. Corpus BLEU and
corpus chrF are neither: they get no interval.
"""

from collections.abc import Sequence

import numpy as np

RESAMPLES = 1000
SEED = 13
PERCENTILES = (2.5, 97.5)


def paired_difference(
    first: Sequence[float], second: Sequence[float], weights: Sequence[float] | None = None
) -> dict[str, float]:
    """The weighted mean of `first` minus `second`, with a 95% percentile bootstrap interval (Efron & Tibshirani 1993).

    The sequences hold one value a record; records are drawn with replacement, the two values of one together. Records
    weigh the same unless `weights` says otherwise. The seed is fixed, so equal scores give equal intervals.
    """
    differences = np.subtract(first, second)
    weight = np.ones(len(differences)) if weights is None else np.asarray(weights, dtype=float)
    generator = np.random.default_rng(SEED)
    draws = (generator.integers(len(differences), size=len(differences)) for _ in range(RESAMPLES))
    means = [np.average(differences[draw], weights=weight[draw]) for draw in draws]
    low, high = np.percentile(means, PERCENTILES)
    return {"estimate": float(np.average(differences, weights=weight)), "low": float(low), "high": float(high)}
