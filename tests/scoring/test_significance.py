"""P-values and verdicts: exact where they can be counted by hand, wrong as often as promised, corrected by Holm."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from benchmarks.significance import GAIN, Simulation, difference, holds_truth, simulate_bleu, simulate_losses
from src.scoring.intervals import RESAMPLES, Interval, mean_of, paired_difference, ratio_of_sums
from src.scoring.significance import (
    ALPHA,
    Comparison,
    Verdict,
    compare_systems,
    correct_p_values,
    difference_verdict,
    randomisation_p_value,
    records_needed,
)

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def compare(first: np.ndarray, second: np.ndarray) -> Comparison:
    """Compares the means of two systems' values."""
    one, other = mean_of(first.tolist()), mean_of(second.tolist())
    return compare_systems(one, other, paired_difference(one, other))


def test_the_p_value_is_the_share_of_all_swaps_that_differ_as_much() -> None:
    first, second = [3.0, 5.0, 9.0, 4.0, 7.0], [1.0, 4.0, 7.0, 5.0, 2.0]
    differences = [a - b for a, b in zip(first, second, strict=True)]
    swapped = [sum(s * d for s, d in zip(signs, differences, strict=True)) for signs in product((1, -1), repeat=5)]
    exact = sum(abs(total) >= abs(sum(differences)) for total in swapped) / len(swapped)
    assert randomisation_p_value(mean_of(first), mean_of(second)) == pytest.approx(exact, abs=0.015)


def test_the_p_value_of_a_ratio_is_scipy_s() -> None:
    random = np.random.default_rng(5)
    losses, tokens = random.gamma(2, 3, size=(2, 60)), random.integers(5, 50, size=60).astype(float)
    losses[1] += 0.6

    def difference(one: np.ndarray, other: np.ndarray, axis: int) -> np.ndarray:
        return (one.sum(axis=axis) - other.sum(axis=axis)) / tokens.sum()

    expected = stats.permutation_test(
        tuple(losses), difference, permutation_type="samples", vectorized=True, n_resamples=9999, rng=random
    ).pvalue
    sums = [ratio_of_sums(row.tolist(), tokens.tolist()) for row in losses]
    assert randomisation_p_value(*sums) == pytest.approx(expected, abs=0.02)


def test_equal_systems_differ_by_chance_for_certain() -> None:
    values = np.random.default_rng(1).normal(size=50)
    assert randomisation_p_value(mean_of(values.tolist()), mean_of(values.tolist())) == 1.0


def test_the_smallest_p_value_counts_the_observed_order() -> None:
    assert randomisation_p_value(mean_of([1.0] * 50), mean_of([0.0] * 50)) == 1 / (RESAMPLES + 1)


def test_equal_systems_are_called_different_about_once_in_twenty() -> None:
    random = np.random.default_rng(2)
    found = [
        randomisation_p_value(mean_of(random.normal(size=40).tolist()), mean_of(random.normal(size=40).tolist()))
        for _ in range(200)
    ]
    assert 0.01 <= np.mean([p <= ALPHA for p in found]) <= 0.1


def test_the_smallest_detectable_difference_is_detected_about_four_times_in_five() -> None:
    random = np.random.default_rng(3)
    noise = random.normal(size=(200, 100))
    detectable = compare(noise[0], np.zeros(100)).detectable
    detected = [compare(row + detectable, np.zeros(100)).interval.low > 0 for row in noise]
    assert 0.7 <= np.mean(detected) <= 0.9


def verdicts(first: np.ndarray, second: np.ndarray) -> list[Verdict]:
    """The verdicts on a family of scores, (scores, records) of two systems."""
    found = [compare(*pair) for pair in zip(first, second, strict=True)]
    corrected = correct_p_values([each.p_value for each in found])
    return [difference_verdict(each.interval, p, 0.1) for each, p in zip(found, corrected, strict=True)]


def test_equal_systems_differ_in_none_of_a_family_of_scores_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(4)
    alarms = [Verdict.REAL in verdicts(*random.normal(size=(2, 5, 40))) for _ in range(150)]
    assert np.mean(alarms) <= 0.1  # uncorrected it would be 1 - 0.95^5 = 23%


def test_a_large_difference_in_one_score_of_a_family_is_found_and_the_others_are_not() -> None:
    first, second = np.random.default_rng(5).normal(size=(2, 4, 60))
    first[2] += 3
    found = verdicts(first, second)
    assert [verdict == Verdict.REAL for verdict in found] == [False, False, True, False]


@pytest.mark.parametrize("simulation", [simulate_losses, simulate_bleu])
def test_intervals_of_ratios_and_corpus_scores_hold_the_true_difference(simulation: Simulation) -> None:
    """Of 120 trials; `python -m benchmarks.significance` has a thousand of each."""
    random = np.random.default_rng(6)
    true = difference(simulation(random, 300_000, GAIN))
    held = [holds_truth(simulation(random, 120, GAIN), true) for _ in range(120)]
    assert 0.88 <= np.mean(held) <= 0.99


def test_holm_by_hand() -> None:
    # sorted 0.01 x 4, 0.02 x 3, 0.03 x 2 raised to 0.06, 0.5
    assert correct_p_values([0.03, 0.01, 0.5, 0.02]) == pytest.approx([0.06, 0.04, 0.5, 0.06])


@given(p_values)
def test_corrected_p_values_keep_their_order_and_never_fall(values: list[float]) -> None:
    corrected = correct_p_values(values)
    assert all(
        value <= after <= min(1.0, value * len(values)) + 1e-12 for value, after in zip(values, corrected, strict=True)
    )
    order = np.argsort(values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()


@settings(max_examples=50)
@given(st.floats(0, 1))
def test_a_family_of_one_needs_no_correction(value: float) -> None:
    assert correct_p_values([value]) == [value]


@pytest.mark.parametrize(
    ("interval", "p_value", "expected"),
    [
        (Interval(2.0, 1.0, 3.0), 0.001, Verdict.REAL),
        (Interval(-2.0, -3.0, -1.0), 0.001, Verdict.REAL),
        (Interval(2.0, 1.0, 3.0), 0.2, Verdict.TOO_FEW),  # Holm's correction took it back
        (Interval(0.1, -0.4, 0.6), 0.7, Verdict.CHANCE),
        (Interval(0.1, -0.4, 1.6), 0.7, Verdict.TOO_FEW),
        (Interval(0.1, -4.0, 0.6), 0.7, Verdict.TOO_FEW),
    ],
)
def test_a_verdict_follows_from_interval_and_p_value(interval: Interval, p_value: float, expected: Verdict) -> None:
    assert difference_verdict(interval, p_value, matters=1.0) == expected


def test_half_the_difference_needs_four_times_the_records() -> None:
    comparison = Comparison(Interval(1.0, 0.0, 2.0), p_value=0.05, detectable=2.0, records=100)
    assert records_needed(comparison, 2.0) == 100
    assert records_needed(comparison, -1.0) == 400
    assert records_needed(comparison, 0.0) is None
