"""Every score of every system on the same records, and how much better the tuned model is.

Covers what metrics/evaluate.json holds and how it is rounded. A score is None where it has no meaning, as the loss
of a baseline without a model.
"""

from collections.abc import Mapping
from typing import Any

from src.scoring.intervals import estimate_with_interval, paired_difference
from src.scoring.scores import SCORES, SystemAnswers
from src.scoring.systems import TUNED

RoundedScores = dict[str, float | None]

DIGITS = 6  # hides the order in which a machine adds


def score_report(systems: Mapping[str, SystemAnswers]) -> dict[str, Any]:
    """The content of metrics/evaluate.json.

    Args:
        systems: the answers of each by its name, the tuned model among them, all to the same records.

    Returns:
        `records`, their number; each system's scores under its name; `interval`, see `own_intervals`, by system;
        `difference`, see `tuned_differences`.
    """
    scores = {name: system_scores(answers) for name, answers in systems.items()}
    intervals = {name: own_intervals(answers) for name, answers in systems.items()}
    differences = tuned_differences(systems)
    return {"records": len(systems[TUNED].answers), **scores, "interval": intervals, "difference": differences}


def system_scores(answers: SystemAnswers) -> RoundedScores:
    """Every score of one system."""
    return round_scores({score.name: score.compute(answers) for score in SCORES if score.compute})


def own_intervals(answers: SystemAnswers) -> dict[str, RoundedScores]:
    """The bounds of the 95% intervals of one system's own scores, where the table of scores asks for them."""
    found = {}
    for score in SCORES:
        if score.interval and score.sums and (sums := score.sums(answers)):
            bounds = estimate_with_interval(sums)
            found[score.name] = round_scores({"low": bounds.low, "high": bounds.high})
    return found


def tuned_differences(systems: Mapping[str, SystemAnswers]) -> dict[str, dict[str, RoundedScores]]:
    """Tuned minus each other system: by score the estimate and the bounds of its 95% interval."""
    others = {name: answers for name, answers in systems.items() if name != TUNED}
    return {f"{TUNED}_minus_{name}": score_differences(systems[TUNED], answers) for name, answers in others.items()}


def score_differences(first: SystemAnswers, second: SystemAnswers) -> dict[str, RoundedScores]:
    """First minus second, for the scores that can be bootstrapped and that both have.

    Args:
        first: one system's answers.
        second: another's, to the same records.

    Returns:
        By score the estimate and the bounds of its 95% interval.
    """
    found = {}
    for score in SCORES:
        sums = [score.sums(answers) for answers in (first, second)] if score.sums else [None, None]
        if sums[0] and sums[1]:
            found[score.name] = round_scores(paired_difference(sums[0], sums[1])._asdict())
    return found


def round_scores(scores: Mapping[str, float | None]) -> RoundedScores:
    """The scores to 6 digits; + 0.0 turns -0.0 into 0.0."""
    return {name: None if score is None else round(score, DIGITS) + 0.0 for name, score in scores.items()}
