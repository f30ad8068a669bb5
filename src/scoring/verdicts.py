"""The verdicts of the report for people: in words, and as rows of the plot of differences.

Covers which way of a difference is better, and how that is said. Which verdict a difference deserves is in
significance.py.
"""

from collections.abc import Mapping
from typing import Any

from src.scoring.report import difference_name, plot_label
from src.scoring.scores import SCORES, Score
from src.scoring.significance import Verdict
from src.scoring.systems import BASE, TUNED


def plotted_differences(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of plots/evaluate/differences.tsv: tuned minus each other system in each plotted score.

    Args:
        report: what `score_report` gives.

    Returns:
        Rows with `score` and `than`, the other system, `estimate`, `low`, `high`, `corrected_p_value` and `verdict`;
        empty but for the names where one of the two has no such score.
    """
    columns = ("estimate", "low", "high", "corrected_p_value")
    rows = []
    for score in SCORES:
        for other in [name for name in report["interval"] if score.plotted and name != TUNED]:
            found = report["difference"][difference_name(other)].get(score.name, {})
            numbers = {column: found.get(column, "") for column in columns}
            verdict = verdict_in_words(score, found) if found else ""
            rows.append({"score": plot_label(score), "than": other, **numbers, "verdict": verdict})
    return rows


def describe_verdicts(report: Mapping[str, Any]) -> str:
    """The verdicts on the tuned model against the base model, as in `tuned against base: better, not chance, in BLEU`.

    Args:
        report: what `score_report` gives.

    Returns:
        The headline scores by verdict, or that none can be compared.
    """
    found = report["difference"].get(difference_name(BASE), {})
    said: dict[str, list[str]] = {}
    for score in SCORES:
        if score.headline and score.name in found:
            said.setdefault(verdict_in_words(score, found[score.name]), []).append(score.label)
    verdicts = [f"{verdict}, in {', '.join(labels)}" for verdict, labels in said.items()]
    return f"{TUNED} against {BASE}: {'; '.join(verdicts) or 'nothing to compare'}"


def verdict_in_words(score: Score, difference: Mapping[str, Any]) -> str:
    """A verdict with its direction: `better, not chance`, `worse, not chance`, `chance` or `too few records`.

    Args:
        score: a row of SCORES; where neither way is better, the direction is `higher` or `lower`.
        difference: what `difference_row` gives.
    """
    if difference["verdict"] != Verdict.REAL:
        return str(difference["verdict"])
    way = "higher" if difference["estimate"] > 0 else "lower"
    if score.better:
        way = "better" if way == score.better else "worse"
    return f"{way}, {Verdict.REAL}"
