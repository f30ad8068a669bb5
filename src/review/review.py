"""A review: what two revisions differ in, how their scores compare, and the verdict.

Covers gathering it. Its words are in review.md.jinja, its pictures in picture.py.
"""

from dataclasses import dataclass, field

from src.review.answers import Answers, SharedRecords, judged_answers, share_records
from src.review.changes import (
    Change,
    FileChange,
    StageChange,
    code_changes,
    data_changes,
    funnel_changes,
    stage_changes,
    value_changes,
)
from src.review.comparison import (
    ChangedAnswer,
    ScoreLine,
    changed_answers,
    committed_lines,
    score_lines,
    seed_differences,
)
from src.review.results import Results, flatten
from src.review.revisions import Revision
from src.review.safe_text import code_span
from src.review.staleness import describe_stale, stale_causes
from src.review.verdict import Kind, Verdict, judge_lines

TUNED = "tuned"  # what the verdict is on
ADAPTER = "models/adapter"
RUNTIME = "runtime.json"


@dataclass
class SystemReview:
    """One system's old and new scores.

    Attributes:
        name: the system's.
        lines: its scores.
        records: how many both revisions share, of how many each has; None where the answers cannot be had.
        missing: the revisions whose answers cannot be had; none for a baseline, whose answers are not kept.
        identical: whether all answers are the same, so that nothing had to be tested.
        answers: those that differ, most changed first.
    """

    name: str
    lines: list[ScoreLine] = field(default_factory=list)
    records: SharedRecords | None = None
    missing: list[str] = field(default_factory=list)
    identical: bool = False
    answers: list[ChangedAnswer] = field(default_factory=list)


@dataclass
class Review:
    """All that a review tells.

    Attributes:
        old, new: the revisions' results.
        verdict: on the tuned model.
        params, data, funnel, runtime: values that differ.
        code: files that differ.
        stages: entries of dvc.lock that differ.
        tuned: the tuned model's scores.
        others: those of other systems that changed.
        figures: committed scores that differ although the answers are the same.
    """

    old: Results
    new: Results
    verdict: Verdict
    params: list[Change]
    data: list[Change]
    funnel: list[Change]
    code: list[FileChange]
    stages: list[StageChange]
    tuned: SystemReview
    others: list[SystemReview]
    figures: list[Change]
    runtime: list[Change] | None


def review_revisions(old_revision: Revision, new_revision: Revision) -> Review:
    """Compares two revisions.

    Args:
        old_revision: what was.
        new_revision: what is proposed.

    Raises:
        UserError: if one of them has no results, or damaged ones.
    """
    old, new = Results(old_revision), Results(new_revision)
    before, after = Answers(old), Answers(new)
    systems = review_systems(before, after)
    tuned = systems.pop(TUNED, SystemReview(TUNED))
    return Review(
        old=old,
        new=new,
        verdict=find_verdict(before, after, tuned),
        params=value_changes(old.params, new.params),
        data=data_changes(old, new),
        funnel=funnel_changes(old, new),
        code=code_changes(old, new),
        stages=stage_changes(old, new),
        tuned=tuned,
        others=[system for system in systems.values() if not system.identical],
        figures=report_changes(old, new) if tuned.identical else [],
        runtime=runtime_changes(old, new),
    )


def review_systems(old: Answers, new: Answers) -> dict[str, SystemReview]:
    """The review of every system that both reports have, in the new one's order.

    Args:
        old: the one revision's answers.
        new: the other's.
    """
    before, after = old.results.report, new.results.report
    names = [name for name in after if name in before and is_system(new.results, name)]
    return {name: review_system(name, old, new) for name in names}


def is_system(results: Results, name: str) -> bool:
    """Whether a key of the report is a system's.

    Args:
        results: of a revision.
        name: the key.
    """
    return name in results.report.get("interval", {}) or name == TUNED


def review_system(name: str, old: Answers, new: Answers) -> SystemReview:
    """One system's scores, tested where both revisions' answers can be had.

    Args:
        name: the system's.
        old: the one revision's answers.
        new: the other's.
    """
    if same_file(name, old, new):
        return SystemReview(name, identical=True)
    before, after = old.rows(name), new.rows(name)
    if before is None or after is None:
        lines, model = committed_lines(old.results, new.results, name), is_model(name, old, new)
        missing = [side.results.name for side, rows in ((old, before), (new, after)) if rows is None and model]
        return SystemReview(name, lines, missing=missing, identical=not moved(lines) and not model)
    shared = share_records(before, after)
    if shared.identical or not shared.new:
        return SystemReview(name, records=shared, identical=shared.identical)
    pair = judged_answers(shared, old, new)
    seeds = {} if same_adapter(old.results, new.results) else seed_differences(new.results)
    return SystemReview(name, score_lines(*pair, seeds), shared, answers=changed_answers(*pair))


def same_file(name: str, old: Answers, new: Answers) -> bool:
    """Whether dvc.lock has the same answers of a system for both revisions.

    Args:
        name: the system's.
        old: the one revision's answers.
        new: the other's.
    """
    before, after = (answers.results.output_hash(answers.paths.get(name, "")) for answers in (old, new))
    return before is not None and before == after


def is_model(name: str, old: Answers, new: Answers) -> bool:
    """Whether a system answers from a file, rather than being a baseline.

    Args:
        name: the system's.
        old: the one revision's answers.
        new: the other's.
    """
    return name in old.paths or name in new.paths


def moved(lines: list[ScoreLine]) -> bool:
    """Whether a score differs."""
    return any(line.change for line in lines)


def same_adapter(old: Results, new: Results) -> bool:
    """Whether both revisions have the same weights, so that no seed of training comes in.

    Args:
        old: results of the one revision.
        new: of the other.
    """
    return old.output_hash(ADAPTER) == new.output_hash(ADAPTER)


def find_verdict(old: Answers, new: Answers, tuned: SystemReview) -> Verdict:
    """The verdict on the tuned model.

    Args:
        old: the one revision's answers.
        new: the other's.
        tuned: its scores.
    """
    for side, other in ((new, old), (old, new)):
        if causes := stale_causes(side.results, other.results):
            return Verdict(Kind.UNKNOWN, describe_stale(causes, side.results.name))
    if tuned.identical:
        return Verdict(Kind.SAME, "the tuned model gives the same answers")
    if tuned.records is None:
        return Verdict(Kind.UNKNOWN, missing_reason(tuned.missing))
    if not tuned.records.new:
        return Verdict(Kind.UNKNOWN, "the two revisions have no scored record in common")
    return judge_lines(tuned.lines, len(tuned.records.new))


def missing_reason(names: list[str]) -> str:
    """Why scores without answers decide nothing.

    Args:
        names: of the revisions whose answers cannot be had.
    """
    sides = " and ".join(map(code_span, names))
    return (
        f"the answers of {sides} cannot be had as dvc.lock has them, so no difference has an interval; "
        "`dvc pull data/generations` fetches them where a remote has them"
    )


def report_changes(old: Results, new: Results) -> list[Change]:
    """The committed scores of all systems that differ.

    Args:
        old: results of the one revision.
        new: of the other.
    """
    return value_changes(flatten(old.report), flatten(new.report))


def runtime_changes(old: Results, new: Results) -> list[Change] | None:
    """What differs in duration, memory and speed; None where one of the two was not kept.

    Args:
        old: results of the one revision.
        new: of the other.
    """
    before, after = (flatten(results.read_json(RUNTIME)) for results in (old, new))
    return value_changes(before, after) if before and after else None
