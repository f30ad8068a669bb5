"""Every score of every system on the same records, and how much better the tuned model is, with verdicts.

Covers what reports/evaluate.json holds but its slices, how it is rounded, and which of it are DVC's metrics and the
plot of scores. A score is None where it has no meaning, as the loss of a baseline without a model. The p-values of all
differences are corrected as one family: whatever a reviewer picks from it, one false alarm in all of it is rare.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from src.scoring.comparisons import Difference, compare_pairs
from src.scoring.intervals import estimate_with_interval
from src.scoring.scores import SCORES, Score, SystemAnswers
from src.scoring.systems import TUNED

RoundedScores = dict[str, float | None]
DifferenceRow = dict[str, float | int | str | None]

DIGITS = 6  # hides the order in which a machine adds


def score_report(systems: Mapping[str, SystemAnswers]) -> dict[str, Any]:
    """The content of reports/evaluate.json, but for its slices.

    Args:
        systems: the answers of each by its name, the tuned model among them, all to the same records.

    Returns:
        `records`, their number; `signatures`, which make the overlap scores repeatable elsewhere, by score; each
        system's scores under its name; `interval`, see `own_intervals`, by system;
        `difference`, see `tuned_differences`.
    """
    scores = {name: system_scores(answers) for name, answers in systems.items()}
    intervals = {name: own_intervals(answers) for name, answers in systems.items()}
    differences = tuned_differences(systems)
    told = {"records": len(systems[TUNED].answers), "signatures": systems[TUNED].overlap.signatures}
    return {**told, **scores, "interval": intervals, "difference": differences}


def system_scores(answers: SystemAnswers) -> RoundedScores:
    """Every score of one system."""
    return round_scores({score.name: score.compute(answers) for score in SCORES if score.compute})


def own_intervals(answers: SystemAnswers) -> dict[str, RoundedScores]:
    """The bounds of the 95% intervals of one system's own scores, of all that are computed from sums over records."""
    found = {}
    for score in SCORES:
        if score.compute and score.sums and (sums := score.sums(answers)):
            bounds = estimate_with_interval(sums)
            found[score.name] = round_scores({"low": bounds.low, "high": bounds.high})
    return found


def tuned_differences(systems: Mapping[str, SystemAnswers]) -> dict[str, dict[str, DifferenceRow]]:
    """Tuned minus each other system, by score: what `difference_row` gives; p-values are corrected for all of them."""
    pairs = {difference_name(name): (systems[TUNED], answers) for name, answers in systems.items() if name != TUNED}
    return {
        pair: {name: difference_row(found) for name, found in differences.items()}
        for pair, differences in compare_pairs(pairs).items()
    }


def difference_name(other: str) -> str:
    """The key of tuned minus another system in the report."""
    return f"{TUNED}_minus_{other}"


def difference_row(found: Difference) -> DifferenceRow:
    """A difference as the report holds it: estimate, interval, p-values, what could have been seen, and the verdict."""
    rounded = round_scores(
        found.interval._asdict()
        | {"p_value": found.p_value, "corrected_p_value": found.corrected_p_value, "detectable": found.detectable}
    )
    return {**rounded, "records_needed": found.records_needed, "verdict": str(found.verdict)}


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
        {"score": plot_label(score), "system": name, "value": blank(report[name][score.name])}
        | report["interval"][name].get(score.name, {"low": "", "high": ""})
        for score in SCORES
        if score.plotted
        for name in report["interval"]
    ]


def plot_label(score: Score) -> str:
    """A score as people read it in a plot, with the way that is better."""
    return f"{score.label}, {score.better} is better" if score.better else score.label


def blank(value: float | None) -> float | str:
    """A value as a table holds it: empty where there is none."""
    return "" if value is None else value


def round_scores(scores: Mapping[str, float | None]) -> RoundedScores:
    """The scores to 6 digits; + 0.0 turns -0.0 into 0.0."""
    return {name: None if score is None else round(score, DIGITS) + 0.0 for name, score in scores.items()}
