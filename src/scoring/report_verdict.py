"""The verdict of an evaluation in a sentence: in how many scores one system beats another, and how many tell nothing.

Covers the counting and the wording for one comparison. Each score's own verdict is significance.py's.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

from src.scoring.scores import SCORES, Score
from src.scoring.significance import Verdict

Outcome = Literal["better", "worse", "different", "chance", "too few records"]

SCORES_BY_NAME = {score.name: score for score in SCORES}


def difference_outcome(score: Score, difference: Mapping[str, Any]) -> Outcome | None:
    """What a difference says of the first system; None where it was not tested.

    Args:
        score: what was compared.
        difference: of reports/evaluate.json, first minus second system.
    """
    verdict = difference.get("verdict")
    if verdict != Verdict.REAL:
        return verdict
    if not score.better:
        return "different"
    return "better" if (difference["estimate"] > 0) == (score.better == "higher") else "worse"


def verdict_sentence(differences: Mapping[str, Mapping[str, Any]], first: str, second: str) -> str:
    """One comparison, such as "the tuned model beats the base model beyond chance in all 3 scores to decide by."

    Args:
        differences: first minus second system by score, of reports/evaluate.json: of the scores to decide by.
        first: what the first system is called, such as "the tuned model".
        second: what the second one is called.
    """
    outcomes = [difference_outcome(SCORES_BY_NAME[name], found) for name, found in differences.items()]
    counts = Counter(outcome for outcome in outcomes if outcome)
    if not counts:
        return f"No difference between {first} and {second} was tested."
    decided, undecided = decided_clauses(counts, first, second), undecided_clauses(counts)
    return "; ".join([", ".join(decided), *undecided]) + "."


def decided_clauses(counts: Mapping[Outcome, int], first: str, second: str) -> list[str]:
    """In how many scores the first system is better, and in how many worse.

    Args:
        counts: how many scores have each outcome.
        first: what the first system is called.
        second: what the second one is called.
    """
    tested = sum(counts.values())
    wordings: dict[Outcome, str] = {
        "better": f"beats {second}",
        "worse": f"is worse than {second}",
        "different": f"differs from {second}",
    }
    found = [(wording, counts[outcome]) for outcome, wording in wordings.items() if counts.get(outcome)]
    if not found:
        return [f"no score of the {tested} to decide by tells {first} from {second}"]
    (wording, number), *others = found
    share = f"all {tested}" if number == tested > 1 else f"{number} of {tested}"
    clauses = [f"{first} {wording} beyond chance in {share} scores to decide by"]
    return clauses + [f"{other.replace(second, 'it')} in {number}" for other, number in others]


def undecided_clauses(counts: Mapping[Outcome, int]) -> list[str]:
    """In how many scores nothing is shown, by the reason.

    Args:
        counts: how many scores have each outcome.
    """
    wordings: dict[Outcome, str] = {
        "chance": "the difference is too small to matter",
        "too few records": "the records are too few to tell",
    }
    return [f"in {counts[outcome]} {wording}" for outcome, wording in wordings.items() if counts.get(outcome)]
