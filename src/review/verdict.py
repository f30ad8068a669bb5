"""The verdict of a review: better, worse, mixed, nothing changed, or not to be told, each with its reason.

Covers the decision, its words and its exit status. Only the scores to decide by count, and of them only differences
that are not chance, may matter, and are more than another seed makes.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from src.review.comparison import ScoreLine
from src.review.figures import signed, value
from src.scoring.scores import Score
from src.scoring.significance import Verdict as ScoreVerdict

NAMED = 3  # scores in the first line


class Kind(StrEnum):
    """What a review says."""

    BETTER = "better"
    WORSE = "worse"
    MIXED = "mixed"
    SAME = "same"
    UNKNOWN = "unknown"


WORDS = {
    Kind.BETTER: "Better",
    Kind.WORSE: "Worse",
    Kind.MIXED: "Mixed",
    Kind.SAME: "Nothing changed",
    Kind.UNKNOWN: "Not to be told",
}
# 1 is a user's mistake and 2 argparse's.
STATUS = {Kind.BETTER: 0, Kind.SAME: 0, Kind.WORSE: 3, Kind.MIXED: 4, Kind.UNKNOWN: 5}


class Verdict(NamedTuple):
    """What a review says, and why."""

    kind: Kind
    reason: str


def judge_lines(lines: Sequence[ScoreLine], records: int) -> Verdict:
    """The verdict on a system's scores.

    Args:
        lines: its scores, some with intervals.
        records: how many were compared.
    """
    compared = [line for line in lines if line.difference]
    tested = [line for line in compared if decides(line.score)] or compared
    deciding = [
        line for line in tested if line.seeds is not None
    ] or tested  # where seeds were measured, what they move
    better, worse = ([line for line in deciding if line.direction == way] for way in (1, -1))
    on_records = f"on {records:,} shared records"
    if better and worse:
        return Verdict(Kind.MIXED, f"better in {name_scores(better)}; worse in {name_scores(worse)}; {on_records}")
    if better or worse:
        kind, moved = (Kind.BETTER, better) if better else (Kind.WORSE, worse)
        return Verdict(kind, f"{name_scores(moved)}; {len(moved)} of {len(tested)} scores to decide by, {on_records}")
    if tested and all(line.negligible for line in tested):
        return Verdict(Kind.SAME, f"no score moved by as much as matters, {on_records}")
    return Verdict(Kind.UNKNOWN, undecided_reason(tested, on_records))


def decides(score: Score) -> bool:
    """Whether a score decides: it is one of DVC's metrics, or the answer loss, which is to the test records what the
    validation loss among those metrics is to the validation records.
    """
    return score.headline or score.name == "answer_loss"


def undecided_reason(tested: Sequence[ScoreLine], on_records: str) -> str:
    """Why no difference decides.

    Args:
        tested: the scores with intervals.
        on_records: how many were compared, in words.
    """
    if any(line.within_seeds and line.difference and line.difference.verdict is ScoreVerdict.REAL for line in tested):
        return f"what moved is no more than another seed makes, {on_records}"
    seen = [
        f"{line.score.label} {value(line.difference.detectable, line.score)}"
        for line in tested
        if line.difference and line.score.headline
    ]
    could = f"; the smallest differences that would have shown: {', '.join(seen)}" if seen else ""
    return f"no difference that matters is more than chance {on_records}{could}"


def name_scores(lines: Sequence[ScoreLine]) -> str:
    """Some scores with their old and new values, those to decide by first, then by how far they moved.

    Args:
        lines: with differences.
    """
    ordered = sorted(
        lines, key=lambda line: (not line.score.headline, -abs(line.change or 0) / (line.score.matters or 1))
    )
    named = [describe_move(line) for line in ordered[:NAMED]]
    more = [f"and {len(lines) - NAMED} more"] if len(lines) > NAMED else []
    return ", ".join(named + more)


def describe_move(line: ScoreLine) -> str:
    """A score with its old and new value, and the difference."""
    old, new = value(line.old, line.score), value(line.new, line.score)
    return f"{line.score.label} {old} → {new} ({signed(line.change, line.score)})"
