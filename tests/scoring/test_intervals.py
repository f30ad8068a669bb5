"""Intervals: certain where nothing varies, the normal ones for many records, repeatable, paired for differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.scoring.intervals import (
    RESAMPLES,
    RecordSums,
    counted_records,
    estimate_with_interval,
    mean_of,
    paired_difference,
    ratio_of_sums,
    resample_together,
    resamples,
    select_records,
)

scores = st.lists(st.floats(0, 100), min_size=1, max_size=30)


def test_a_constant_difference_is_certain() -> None:
    found = paired_difference(mean_of([3.0, 5.0, 9.0, 11.0]), mean_of([1.0, 3.0, 7.0, 9.0]))
    assert found == (2.0, 2.0, 2.0)


def test_weights_make_a_ratio_of_sums() -> None:
    # losses 6 and 0 on 4 and 2 tokens against 2 and 4: (6 + 0) / 6 - (2 + 4) / 6
    found = paired_difference(ratio_of_sums([6, 0], [4, 2]), ratio_of_sums([2, 4], [4, 2]))
    assert found.estimate == pytest.approx(0)
    assert (found.low, found.high) == (pytest.approx(-2), pytest.approx(1))


def test_a_record_of_no_weight_moves_no_bound() -> None:
    weights = [1.0] * 9 + [1e-12]
    found = paired_difference(ratio_of_sums([5.0] * 9 + [99e-12], weights), ratio_of_sums([0.0] * 10, weights))
    assert list(found) == pytest.approx([5.0] * 3)


def test_the_interval_is_the_normal_one_for_many_records() -> None:
    differences = np.random.default_rng(1).normal(2.0, 3.0, size=2000)
    found = paired_difference(mean_of(differences.tolist()), mean_of([0.0] * 2000))
    margin = 1.96 * differences.std() / np.sqrt(2000)
    assert found.estimate == pytest.approx(differences.mean())
    assert found.high - found.estimate == pytest.approx(margin, rel=0.15)
    assert found.estimate - found.low == pytest.approx(margin, rel=0.15)


@settings(deadline=None, max_examples=20)
@given(scores)
def test_bounds_are_in_order_and_within_the_range(first: list[float]) -> None:
    found = paired_difference(mean_of(first), mean_of([0.0] * len(first)))
    assert min(first) - 1e-9 <= found.low <= found.high <= max(first) + 1e-9


@settings(deadline=None, max_examples=20)
@given(scores)
def test_two_runs_agree(first: list[float]) -> None:
    one, other = (paired_difference(mean_of(first), mean_of(first[::-1])) for _ in range(2))
    assert one == other


def test_the_records_of_both_systems_are_drawn_together() -> None:
    hard_and_easy = np.random.default_rng(2).uniform(0, 100, size=50)
    found = paired_difference(mean_of((hard_and_easy + 1).tolist()), mean_of(hard_and_easy.tolist()))
    assert list(found) == pytest.approx([1.0] * 3)


def test_a_single_record_has_an_interval_of_no_width() -> None:
    assert paired_difference(mean_of([3.0]), mean_of([1.0])) == (2.0, 2.0, 2.0)


@settings(deadline=None, max_examples=20)
@given(scores)
def test_the_interval_of_a_score_is_that_of_its_difference_from_nothing(values: list[float]) -> None:
    found = estimate_with_interval(mean_of(values))
    assert found == paired_difference(mean_of(values), mean_of([0.0] * len(values)))
    assert found.estimate == pytest.approx(mean_of(values).estimate)


def test_a_ratio_stays_finite_where_resamples_draw_no_denominator() -> None:
    found = estimate_with_interval(ratio_of_sums([1.0, *[0.0] * 4], [2.0, *[0.0] * 4]))
    assert (found.estimate, found.low, found.high) == (0.5, 0.0, 0.5)


def test_every_resample_draws_as_many_records_as_there_are() -> None:
    drawn = resamples(7)
    assert drawn.shape == (RESAMPLES, 7)
    assert (drawn.sum(axis=1) == 7).all()
    # Each record is drawn once on average, and Poisson's chance of never is near (6/7)^7 = 34%.
    assert drawn.mean(axis=0) == pytest.approx([1.0] * 7, abs=0.05)
    assert (drawn == 0).mean() == pytest.approx((6 / 7) ** 7, abs=0.01)


def test_scores_resampled_together_are_those_resampled_alone() -> None:
    values = np.random.default_rng(4).gamma(2, 3, size=(3, 40))

    def scores() -> list[RecordSums]:
        return [mean_of(values[0]), ratio_of_sums(values[1], values[2]), mean_of(values[2])]

    together = scores()
    resample_together(together)
    for one, other in zip(together, scores(), strict=True):
        assert "resampled" in vars(one) and "resampled" not in vars(other)
        np.testing.assert_allclose(one.resampled, other.resampled, rtol=1e-12)
    resample_together([])


def test_a_slice_scores_its_own_records() -> None:
    everything = ratio_of_sums([1.0, 5.0, 9.0], [1.0, 2.0, 3.0])
    part = select_records(everything, [True, False, True])
    assert part and part.estimate == 10 / 4


def test_a_slice_in_which_nothing_is_counted_has_no_score() -> None:
    sums = ratio_of_sums([0.0, 5.0, 0.0], [0.0, 2.0, 3.0])
    assert select_records(sums, [True, False, False]) is None
    nothing_wrong = select_records(sums, [False, False, True])
    assert nothing_wrong and nothing_wrong.estimate == 0.0
    assert counted_records(sums) == 2


def test_the_interval_of_a_slice_is_that_of_its_records_alone() -> None:
    values = np.random.default_rng(3).normal(10, 2, size=400)
    chosen = [position % 4 == 0 for position in range(400)]
    part = select_records(mean_of(values.tolist()), chosen)
    assert part
    sliced = estimate_with_interval(part)
    alone = estimate_with_interval(mean_of(values[chosen].tolist()))
    assert sliced.estimate == pytest.approx(alone.estimate)
    assert sliced.high - sliced.low == pytest.approx(alone.high - alone.low, rel=0.1)


@pytest.mark.parametrize("records", [30, 200])
def test_95_percent_of_the_intervals_hold_the_true_difference(records: int) -> None:
    """Of two systems with scores as skewed as losses are; `python -m benchmarks.significance` has many more trials."""
    random = np.random.default_rng(records)
    first = random.gamma(2, 1.5, size=(200, records))
    second = first - 0.3 + random.gamma(1, 1, size=(200, records)) - 1
    found = [paired_difference(mean_of(a.tolist()), mean_of(b.tolist())) for a, b in zip(first, second, strict=True)]
    held = sum(interval.low <= 0.3 <= interval.high for interval in found)
    assert 0.88 <= held / 200 <= 0.99
