"""Preferences: Wilson's interval as scipy has it, ties as half, a judge that prefers a place, planted strengths."""

import numpy as np
import pytest
from scipy.stats import binomtest

from src.scoring.judgements import Judgement, Verdict
from src.scoring.preferences import Comparison, judge_report, preference, strengths

SYSTEMS = ("base", "tuned", "few_shot")


@pytest.mark.parametrize(("wins", "votes"), [(0, 1), (1, 1), (7, 10), (10, 10), (0, 40), (251, 500)])
def test_the_interval_is_wilsons(wins: int, votes: int) -> None:
    expected = binomtest(wins, votes).proportion_ci(method="wilson")
    found = preference([1.0] * wins + [0.0] * (votes - wins))
    assert found.estimate == pytest.approx(100 * wins / votes)
    assert (found.low, found.high) == pytest.approx((100 * expected.low, 100 * expected.high), abs=1e-4)


def test_a_tie_is_half_a_vote() -> None:
    assert preference([1.0, 0.5, 0.5, 0.0]) == preference([1.0, 1.0, 0.0, 0.0])
    assert preference([1.0, 1.0, 0.5, 0.0]).estimate == 62.5


def test_the_interval_holds_the_true_preference_in_about_95_percent() -> None:
    random, true = np.random.default_rng(1), 0.6
    held = [
        found.low <= 100 * true <= found.high
        for votes in random.random((1_000, 50)) < true
        if (found := preference(list(votes.astype(float))))
    ]
    assert 0.93 <= np.mean(held) <= 0.97


def judged(forward: Verdict | None, backward: Verdict | None, second: str = "base") -> Judgement:
    return Judgement(
        uid="1",
        first="tuned",
        second=second,
        forward=forward,
        backward=backward,
        forward_words="",
        backward_words="",
    )


def test_a_verdict_counts_where_both_orders_agree() -> None:
    judgements = [
        judged("first", "first"),
        judged("first", "first"),
        judged("second", "second"),
        judged("tie", "tie"),
        judged("first", "second"),  # A both times: a contradiction is a tie
        judged("first", "tie"),
        judged(None, "first"),
        judged("tie", None),
    ]
    found = judge_report(judgements)["tuned_against_base"]
    rate = preference([1.0] * 2 + [0.0] + [0.5] * 3)
    assert found == {
        "records": 8,
        "unparsed": 2,
        "wins": 2,
        "ties": 3,
        "losses": 1,
        "preferred": {name: round(value, 6) for name, value in rate._asdict().items()},
        "contradicted": round(100 * 2 / 6, 6),
    }
    assert rate.estimate == pytest.approx(100 * 3.5 / 6)


def test_a_judge_that_always_takes_the_first_prefers_nobody() -> None:
    found = judge_report([judged("first", "second")] * 30)["tuned_against_base"]
    assert (found["preferred"]["estimate"], found["contradicted"]) == (50.0, 100.0)


def test_a_judge_without_a_verdict_has_no_preference() -> None:
    found = judge_report([judged(None, None), judged(None, None, "nearest")])
    assert list(found) == ["tuned_against_base", "tuned_against_nearest"]
    assert found["tuned_against_base"]["preferred"] is found["tuned_against_base"]["contradicted"] is None


def vote_at_random(true: dict[str, float], count: int, seed: int) -> list[Comparison]:
    """Votes of people who follow Bradley and Terry's model, on pairs in turn."""
    random, names = np.random.default_rng(seed), list(true)
    pairs = [(one, other) for one in names for other in names if one < other]
    drawn = [pairs[number % len(pairs)] for number in range(count)]
    chance = [1 / (1 + np.exp(true[second] - true[first])) for first, second in drawn]
    return [
        Comparison(first, second, "first" if point < each else "second")
        for (first, second), each, point in zip(drawn, chance, random.random(count), strict=True)
    ]


def test_planted_strengths_are_recovered_and_lie_in_their_intervals() -> None:
    true = {"base": -1.0, "few_shot": 0.2, "tuned": 0.8}
    found = strengths(vote_at_random(true, 6_000, seed=3), list(true))
    for name, strength in true.items():
        assert found[name].estimate == pytest.approx(strength, abs=0.1)
        assert found[name].low < strength < found[name].high


def test_of_two_systems_the_strengths_are_the_log_odds_of_their_wins() -> None:
    votes = [Comparison("a", "b", "first")] * 60 + [Comparison("b", "a", "first")] * 20
    found = strengths(votes, ["a", "b"])
    assert found["a"].estimate - found["b"].estimate == pytest.approx(np.log(60.5 / 20.5), abs=1e-5)


def test_a_tie_is_half_a_win_each_way() -> None:
    ties = [Comparison("a", "b", "tie")] * 2 + [Comparison("b", "c", "tie")] * 2 + [Comparison("a", "b", "first")]
    split = [Comparison("a", "b", "first"), Comparison("a", "b", "second")]
    split += [Comparison("b", "c", "first"), Comparison("b", "c", "second"), Comparison("a", "b", "first")]
    one, other = strengths(ties, ["a", "b", "c"]), strengths(split, ["a", "b", "c"])
    assert [one[name].estimate for name in "abc"] == pytest.approx([other[name].estimate for name in "abc"])


@pytest.mark.parametrize("count", [1, 30, 3_000])
def test_an_unbeaten_system_and_one_without_votes_have_finite_strengths(count: int) -> None:
    found = strengths([Comparison("tuned", "base", "first")] * count, SYSTEMS)
    values = np.array([list(found[name]) for name in SYSTEMS])
    assert np.isfinite(values).all()
    assert found["tuned"].estimate > found["few_shot"].estimate > found["base"].estimate
    assert values[:, 0].sum() == pytest.approx(0, abs=1e-9)
