"""Lengths of titles and contents as published, for benchmarks that need texts or tokens of such lengths.

Covers quantiles and random draws. Does not make texts: large_file.py does.
"""

import random

import numpy as np

# Published quantiles of the lengths in characters. The ends (0 and 1) are set so that the means are the published ones;
# logarithms of lengths are interpolated in between.
TITLE_CHARS = {0: 1, 0.05: 17, 0.25: 37, 0.5: 54, 0.75: 75, 0.95: 125, 0.999: 250, 1: 1_999}
CONTENT_CHARS = {0: 1, 0.05: 47, 0.25: 194, 0.5: 398, 0.75: 805, 0.95: 1_728, 0.99: 3_000, 0.9999: 11_000, 1: 197_622}


def draw_lengths(rng: random.Random, quantiles: dict[float, int], count: int) -> list[int]:
    """Draws random lengths that have given quantiles.

    Args:
        rng: draws them.
        quantiles: lengths in characters by the share of shorter ones.
        count: how many.

    Returns:
        Lengths in characters.
    """
    shares = [rng.random() for _ in range(count)]
    logarithms = np.interp(shares, list(quantiles), np.log(list(quantiles.values())))
    return [round(length) for length in np.exp(logarithms)]
