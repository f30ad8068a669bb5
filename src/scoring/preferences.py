"""How often one system is preferred to another, by people or by a judge, and how sure that is.

Covers preference rates with their intervals, the bias of a judge towards a place, and the strengths of three and more
systems by Bradley & Terry (1952). A tie counts half for each side. Rates have Wilson's interval (1927), not a
bootstrap's: votes are few, and where all say the same, all resamples are equal and an interval has no width.
"""

from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.scoring.intervals import Interval, percentile_bounds
from src.scoring.judgements import Judgement, Verdict, agreed

SHARE: dict[Verdict, float] = {"first": 1.0, "second": 0.0, "tie": 0.5}  # of a vote that the first system gets
NORMAL_QUANTILE = 1.959964  # of the 95% interval
RESAMPLES, SEED = 1_000, 13
# Half a win each way for every pair, which nobody voted (Haldane 1956, Anscombe 1956): the log-odds of few votes get
# less biased by it, an unbeaten system is strong and not infinitely so, one without votes stands in the middle.
PRIOR_WINS = 0.5
STEPS, TOLERANCE = 10_000, 1e-6  # of the fit, which takes a few steps unless a system is hardly ever beaten
DIGITS = 6  # as in the report of the scores


class Comparison(NamedTuple):
    """One vote between two systems."""

    first: str
    second: str
    choice: Verdict


def preference(shares: Sequence[float]) -> Interval:
    """The share of votes for the first system in percent, with Wilson's 95% interval.

    Args:
        shares: of each vote what the first system gets: 1, 0, or 0.5 of a tie; at least one. Ties vary less than
            Wilson's formula has it, so with many of them the interval is wider than it needs to be.
    """
    votes, rate, squared = len(shares), sum(shares) / len(shares), NORMAL_QUANTILE**2
    centre = (rate + squared / (2 * votes)) / (1 + squared / votes)
    half = NORMAL_QUANTILE / (1 + squared / votes) * (rate * (1 - rate) / votes + squared / (4 * votes**2)) ** 0.5
    return Interval(100 * rate, 100 * max(0.0, centre - half), 100 * min(1.0, centre + half))


def judge_report(judgements: Sequence[Judgement]) -> dict[str, dict[str, Any]]:
    """What reports/evaluate.json holds under `judge`: by pair of systems how often the judge prefers the first.

    Args:
        judgements: those of a pair in one place.

    Returns:
        Under FIRST_against_SECOND: `records`; `unparsed`, those of which one answer was no verdict and which count
        nowhere else; `wins`, `ties`, `losses` of the first; `preferred`, see `preference`, None without a verdict;
        `contradicted`, the percentage of verdicts that differ between the orders.
    """
    pairs = groupby(judgements, key=lambda row: f"{row.first}_against_{row.second}")
    return {name: pair_report(list(rows)) for name, rows in pairs}


def pair_report(judgements: Sequence[Judgement]) -> dict[str, Any]:
    """The entry of one pair of systems in `judge_report`."""
    verdicts = [verdict for row in judgements if (verdict := agreed(row))]
    contradicted = sum(row.forward != row.backward for row in judgements if agreed(row))
    rate = preference([SHARE[verdict] for verdict in verdicts]) if verdicts else None
    return {
        "records": len(judgements),
        "unparsed": len(judgements) - len(verdicts),
        "wins": verdicts.count("first"),
        "ties": verdicts.count("tie"),
        "losses": verdicts.count("second"),
        "preferred": rate and {name: round(value, DIGITS) for name, value in rate._asdict().items()},
        "contradicted": round(100 * contradicted / len(verdicts), DIGITS) if verdicts else None,
    }


def strengths(votes: Sequence[Comparison], systems: Sequence[str]) -> dict[str, Interval]:
    """Each system's strength by Bradley and Terry, with a 95% interval from votes drawn again with replacement.

    Args:
        votes: at least one, between any two of the systems.
        systems: their names.

    Returns:
        By name, the mean of all being 0: one that is stronger by s is preferred in 1 / (1 + exp(-s)) of the votes.
    """
    wins = np.array([win_counts(vote, systems) for vote in votes])
    draws = np.random.default_rng(SEED).multinomial(len(votes), np.full(len(votes), 1 / len(votes)), RESAMPLES)
    fitted = fit_strengths(wins.sum(axis=0))
    resampled = np.array([fit_strengths(np.tensordot(drawn, wins, 1), fitted) for drawn in draws])
    return {
        name: Interval(float(fitted[place]), *percentile_bounds(resampled[:, place]))
        for place, name in enumerate(systems)
    }


def win_counts(vote: Comparison, systems: Sequence[str]) -> NDArray[np.float64]:
    """What a vote adds to the matrix of wins, (winner, loser); a tie is half a win each way.

    Args:
        vote: between two of the systems.
        systems: their names, in the order of rows and columns.
    """
    counts = np.zeros((len(systems), len(systems)))
    first, second = systems.index(vote.first), systems.index(vote.second)
    counts[first, second], counts[second, first] = SHARE[vote.choice], 1 - SHARE[vote.choice]
    return counts


def fit_strengths(wins: NDArray[np.float64], start: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
    """The most likely strengths, their mean 0.

    Args:
        wins: how often each system won against each other, (winner, loser).
        start: strengths near those.
    """
    import choix

    pseudo = PRIOR_WINS * (1 - np.eye(len(wins)))
    fitted: NDArray[np.float64] = choix.ilsr_pairwise_dense(
        wins + pseudo, initial_params=start, max_iter=STEPS, tol=TOLERANCE
    )
    return fitted - fitted.mean()
