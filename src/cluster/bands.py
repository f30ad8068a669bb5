"""How MinHash is set for a threshold: rows and bands, and the probability that two descriptions are taken for near.

datatrove compares bands alone, and no contents: what shares a band is near. So the curve is all that there is to its
error: 1 - (1 - s^rows)^bands for two descriptions of the Jaccard similarity s.
"""

import math

from src.records.near_duplicates import band_recall

MOST_ROWS, MOST_BANDS = 20, 32  # 640 hashes of eight bytes a record at most


def choose_bands(threshold: float) -> tuple[int, int]:
    """Rows and bands for the steepest curve that is at a half where the similarity is the threshold.

    Args:
        threshold: clean.near_threshold, 0.5 to 1.

    Returns:
        Rows in a band, and bands.
    """
    for rows in range(MOST_ROWS, 0, -1):
        bands = round(math.log(0.5) / math.log1p(-(threshold**rows))) if threshold < 1 else 1
        if bands <= MOST_BANDS:
            return rows, max(1, bands)
    raise AssertionError("one row takes one band at a threshold of 0.5 or more")


def doubtful_similarities(threshold: float, probability: float) -> tuple[float, float]:
    """The similarities between which datatrove and an exact comparison may disagree.

    Args:
        threshold: clean.near_threshold, 0.5 to 1.
        probability: of a disagreement about one pair, that counts as none, such as 0.001.

    Returns:
        The similarity below which a pair is taken for near with less than this probability, and the one above which it
        is missed with less.
    """
    rows, bands = choose_bands(threshold)
    steps = [step / 1000 for step in range(1001)]
    low = max(step for step in steps if band_recall(step, rows, bands) < probability)
    return low, min(step for step in steps if band_recall(step, rows, bands) > 1 - probability)
