"""The curve of datatrove's MinHash, as it is set for a threshold."""

import pytest

from src.cluster.bands import MOST_BANDS, choose_bands, doubtful_similarities
from src.records.near_duplicates import band_recall


@pytest.mark.parametrize("threshold", [0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_the_threshold_is_where_the_curve_is_at_a_half(threshold: float) -> None:
    rows, bands = choose_bands(threshold)
    assert bands <= MOST_BANDS
    assert band_recall(threshold, rows, bands) == (1 if threshold == 1 else pytest.approx(0.5, abs=0.1))


def test_the_curve_of_the_documentation() -> None:
    rows, bands = choose_bands(0.8)
    assert (rows, bands) == (17, 30)
    assert [round(band_recall(share, rows, bands), 3) for share in (0.6, 0.7, 0.8, 0.9)] == [0.005, 0.067, 0.495, 0.996]


def test_doubt_lies_around_the_threshold() -> None:
    low, high = doubtful_similarities(0.8, 0.001)
    assert 0.5 < low < 0.6 < 0.9 < high < 0.95
