"""Corpus BLEU and chrF from summed n-gram counts, for thousands of resamples at once.

sacrebleu computes the same from the counts of one corpus, by a loop in Python that would take most of an evaluation's
time over resamples. A test compares the two.
"""

import numpy as np

from src.scoring.intervals import Floats

BLEU_ORDERS = 4
CHRF_BETA = 2  # recall counts twice as much as precision


def bleu_of_counts(counts: Floats) -> Floats:
    """BLEU, 0 to 100, with exponential smoothing and the brevity penalty (Papineni et al. 2002; Post 2018).

    Args:
        counts: as sacrebleu orders them: words of the answers and of the references, then for 1 to 4 words the n-grams
            that match, then those of the answers; (10, ...).

    Returns:
        One score for each corpus, (...).
    """
    answer, reference = counts[0], counts[1]
    correct, total = counts[2 : 2 + BLEU_ORDERS], counts[2 + BLEU_ORDERS :]
    # The first order without a match counts as 1/2 of one, the next as 1/4, and so on.
    missed = (correct == 0) & (total > 0)
    matches = np.where(missed, 0.5 ** np.cumsum(missed, axis=0), correct)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean_log = np.log(matches / total).mean(axis=0)
        brevity = np.exp(np.minimum(0, 1 - reference / answer))
    defined = (total > 0).all(axis=0) & (correct > 0).any(axis=0)
    return np.where(defined, 100 * brevity * np.exp(np.where(defined, mean_log, 0)), 0.0)


def chrf_of_counts(counts: Floats) -> Floats:
    """chrF, 0 to 100: the F-score of precision and recall, each a mean over the orders (Popovic 2015).

    Args:
        counts: as sacrebleu orders them: for each order of n-gram those of the answers, those of the references and
            those that match; (3 x orders, ...).

    Returns:
        One score for each corpus, (...).
    """
    answers, references, matches = counts[0::3], counts[1::3], counts[2::3]
    both = (answers > 0) & (references > 0)
    orders = np.maximum(both.sum(axis=0), 1)
    precision, recall = (
        np.divide(matches, ngrams, out=np.zeros_like(matches), where=both).sum(axis=0) / orders
        for ngrams in (answers, references)
    )
    weight = CHRF_BETA**2
    whole = weight * precision + recall
    return 100 * np.divide((1 + weight) * precision * recall, whole, out=np.zeros_like(whole), where=whole > 0)
