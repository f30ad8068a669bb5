import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.scoring.intervals import paired_difference

scores = st.lists(st.floats(0, 100), min_size=1, max_size=30)


def test_a_constant_difference_is_certain() -> None:
    assert paired_difference([3.0, 5.0, 9.0], [1.0, 3.0, 7.0]) == {"estimate": 2.0, "low": 2.0, "high": 2.0}


def test_weights_make_a_ratio_of_sums() -> None:
    # losses 6 and 0 on 4 and 2 tokens against 2 and 4: (6 + 0) / 6 - (2 + 4) / 6
    found = paired_difference([6 / 4, 0 / 2], [2 / 4, 4 / 2], weights=[4, 2])
    assert found["estimate"] == pytest.approx(0)
    assert (found["low"], found["high"]) == (pytest.approx(-2), pytest.approx(1))


def test_a_record_of_no_weight_moves_no_bound() -> None:
    found = paired_difference([5.0] * 9 + [99.0], [0.0] * 10, weights=[1.0] * 9 + [1e-12])
    assert list(found.values()) == pytest.approx([5.0] * 3)


def test_the_interval_is_the_normal_one_for_many_records() -> None:
    differences = np.random.default_rng(1).normal(2.0, 3.0, size=2000)
    found = paired_difference(differences.tolist(), [0.0] * 2000)
    margin = 1.96 * differences.std() / np.sqrt(2000)
    assert found["estimate"] == pytest.approx(differences.mean())
    assert found["high"] - found["estimate"] == pytest.approx(margin, rel=0.15)
    assert found["estimate"] - found["low"] == pytest.approx(margin, rel=0.15)


@settings(deadline=None, max_examples=20)
@given(scores)
def test_bounds_lie_on_either_side_and_within_the_range(first: list[float]) -> None:
    found = paired_difference(first, [0.0] * len(first))
    assert min(first) - 1e-9 <= found["low"] <= found["high"] <= max(first) + 1e-9


@settings(deadline=None, max_examples=20)
@given(scores)
def test_two_runs_agree(first: list[float]) -> None:
    assert paired_difference(first, first[::-1]) == paired_difference(first, first[::-1])
