"""Every score of every system on the same records, and how much better the tuned model is.

Covers what reports/evaluate.json holds, how it is rounded, and which of it are DVC's metrics and the plot of scores. A
score is None where it has no meaning, as the loss of a baseline without a model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from src.scoring.intervals import estimate_with_interval, paired_difference
from src.scoring.scores import SCORES, SystemAnswers
from src.scoring.systems import TUNED

RoundedScores = dict[str, float | None]

DIGITS = 6  # hides the order in which a machine adds


def score_report(systems: Mapping[str, SystemAnswers]) -> dict[str, Any]:
    """The content of reports/evaluate.json.

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


def headline_scores(report: Mapping[str, Any], systems: Sequence[str]) -> dict[str, RoundedScores]:
    """What a reviewer decides by, and metrics/evaluate.json holds: by score the value of each system.

    Args:
        report: what `score_report` gives.
        systems: those that a reviewer decides by.
    """
    return {score.name: {name: report[name][score.name] for name in systems} for score in SCORES if score.headline}


def plotted_scores(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of plots/evaluate/scores.tsv: each plotted score of each system, with its interval.

    Args:
        report: what `score_report` gives.

    Returns:
        Rows with `score`, as people read it, `system`, `value`, `low` and `high`, empty where a score has no meaning.
    """
    return [
        {"score": f"{score.label}, {score.better} is better", "system": name, "value": blank(report[name][score.name])}
        | report["interval"][name].get(score.name, {"low": "", "high": ""})
        for score in SCORES
        if score.plotted
        for name in report["interval"]
    ]


def blank(value: float | None) -> float | str:
    """A value as a table holds it: empty where there is none."""
    return "" if value is None else value


def round_scores(scores: Mapping[str, float | None]) -> RoundedScores:
    """The scores to 6 digits; + 0.0 turns -0.0 into 0.0."""
    return {name: None if score is None else round(score, DIGITS) + 0.0 for name, score in scores.items()}
