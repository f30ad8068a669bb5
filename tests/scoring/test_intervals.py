"""Intervals: certain where nothing varies, the normal ones for many records, repeatable, paired for differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.scoring.intervals import estimate_score, estimate_with_interval, mean_of, paired_difference, ratio_of_sums

scores = st.lists(st.floats(0, 100), min_size=1, max_size=30)


def test_a_constant_difference_is_certain() -> None:
    found = paired_difference(mean_of([3.0, 5.0, 9.0, 11.0]), mean_of([1.0, 3.0, 7.0, 9.0]))
    assert found == {"estimate": 2.0, "low": 2.0, "high": 2.0}


def test_weights_make_a_ratio_of_sums() -> None:
    # losses 6 and 0 on 4 and 2 tokens against 2 and 4: (6 + 0) / 6 - (2 + 4) / 6
    found = paired_difference(ratio_of_sums([6, 0], [4, 2]), ratio_of_sums([2, 4], [4, 2]))
    assert found["estimate"] == pytest.approx(0)
    assert (found["low"], found["high"]) == (pytest.approx(-2), pytest.approx(1))


def test_a_record_of_no_weight_moves_no_bound() -> None:
    weights = [1.0] * 9 + [1e-12]
    found = paired_difference(ratio_of_sums([5.0] * 9 + [99e-12], weights), ratio_of_sums([0.0] * 10, weights))
    assert list(found.values()) == pytest.approx([5.0] * 3)


def test_the_interval_is_the_normal_one_for_many_records() -> None:
    differences = np.random.default_rng(1).normal(2.0, 3.0, size=2000)
    found = paired_difference(mean_of(differences.tolist()), mean_of([0.0] * 2000))
    margin = 1.96 * differences.std() / np.sqrt(2000)
    assert found["estimate"] == pytest.approx(differences.mean())
    assert found["high"] - found["estimate"] == pytest.approx(margin, rel=0.15)
    assert found["estimate"] - found["low"] == pytest.approx(margin, rel=0.15)


@settings(deadline=None, max_examples=20)
@given(scores)
def test_bounds_are_in_order_and_within_the_range(first: list[float]) -> None:
    found = paired_difference(mean_of(first), mean_of([0.0] * len(first)))
    assert min(first) - 1e-9 <= found["low"] <= found["high"] <= max(first) + 1e-9


@settings(deadline=None, max_examples=20)
@given(scores)
def test_two_runs_agree(first: list[float]) -> None:
    one, other = (paired_difference(mean_of(first), mean_of(first[::-1])) for _ in range(2))
    assert one == other


def test_the_records_of_both_systems_are_drawn_together() -> None:
    hard_and_easy = np.random.default_rng(2).uniform(0, 100, size=50)
    found = paired_difference(mean_of((hard_and_easy + 1).tolist()), mean_of(hard_and_easy.tolist()))
    assert list(found.values()) == pytest.approx([1.0] * 3)


def test_a_single_record_has_an_interval_of_no_width() -> None:
    assert paired_difference(mean_of([3.0]), mean_of([1.0])) == {"estimate": 2.0, "low": 2.0, "high": 2.0}


@settings(deadline=None, max_examples=20)
@given(scores)
def test_the_interval_of_a_score_is_that_of_its_difference_from_nothing(values: list[float]) -> None:
    found = estimate_with_interval(mean_of(values))
    assert found == paired_difference(mean_of(values), mean_of([0.0] * len(values)))
    assert found["estimate"] == pytest.approx(estimate_score(mean_of(values)))


def test_a_ratio_stays_finite_where_resamples_draw_no_denominator() -> None:
    found = estimate_with_interval(ratio_of_sums([1.0, *[0.0] * 4], [2.0, *[0.0] * 4]))
    assert (found["estimate"], found["low"], found["high"]) == (0.5, 0.0, 0.5)
