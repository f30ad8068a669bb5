"""The simulation of the statistics, at toy size: its systems differ as they should, and its shares are shares."""

import numpy as np
import pytest

from benchmarks import significance
from src.files import read_json


@pytest.mark.parametrize("simulation", significance.SIMULATIONS.values())
def test_the_simulated_gain_is_one_and_no_gain_is_none(simulation: significance.Simulation) -> None:
    random = np.random.default_rng(0)
    better = significance.difference(simulation(random, 50_000, 1.0))
    nothing = significance.difference(simulation(random, 50_000, 0.0))
    assert abs(nothing) < abs(better) / 10


def test_a_short_simulation_keeps_the_promises_roughly() -> None:
    found = significance.measure_score(significance.simulate_means, trials=25, population=200_000)
    assert found["held"] >= 0.8
    assert found["equal_called_different"] <= 0.25
    assert found["detected"] >= 0.5
    assert 100 <= found["records_needed"] <= 1000


def test_the_table_shows_what_was_measured() -> None:
    table = significance.render_table(read_json(significance.RESULTS))
    assert all(name in table for name in significance.SIMULATIONS)
