"""Where two runs part: the first stage that gave other results of the same inputs, code and parameters.

Covers telling it from the stages that were given something else, and from those that only follow. Does not read runs.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from src.certificate.environment import Environment
from src.certificate.runs import Run, StageRun, overlaps
from src.review.changes import Change, value_changes
from src.review.results import flatten

Kind = Literal["parted", "changed", "follows", "missing", "same"]
EQUAL, OTHER, PARTED = 0, 3, 4  # exit statuses; 1 is a refusal


class Difference(NamedTuple):
    """How a stage of two runs differs.

    parted: the same inputs, code and parameters gave other results. changed: it was given something else of its own.
    follows: only what an earlier stage wrote is another. missing: one run lacks it. same: it was given something else,
    and gave the same.
    """

    stage: str
    kind: Kind
    causes: list[str]
    """What it was given that differs, less what earlier stages wrote; of a missing one which run lacks it."""
    outputs: list[str]
    """The results that differ."""
    environment: list[str]
    """What differs in where it was computed, or that it is not known."""


class Comparison(NamedTuple):
    """Two runs compared."""

    old: Run
    new: Run
    differences: list[Difference]
    """Of the stages that differ, in DVC's order."""

    def of_kind(self, *kinds: Kind) -> list[Difference]:
        """The differences of some kinds."""
        return [one for one in self.differences if one.kind in kinds]

    @property
    def status(self) -> int:
        """The exit status: 0 the same results, 3 other results of something else, 4 of the same."""
        if self.of_kind("parted"):
            return PARTED
        return OTHER if self.of_kind("changed", "follows", "missing") else EQUAL


def compare_runs(old: Run, new: Run) -> Comparison:
    """What differs between two runs, stage by stage.

    Args:
        old: one of them.
        new: the other.
    """
    written = {path for run in (old, new) for stage in run.stages.values() for path in stage.outputs}
    names = [*old.stages, *(name for name in new.stages if name not in old.stages)]
    return Comparison(old, new, [found for name in names if (found := difference(name, old, new, written))])


def difference(name: str, old: Run, new: Run, written: set[str]) -> Difference | None:
    """How a stage differs, None where it was given and gave the same.

    Args:
        name: the stage's.
        old: one run.
        new: the other.
        written: the paths of all stages' results.
    """
    before, after = old.stages.get(name), new.stages.get(name)
    if before is None or after is None:
        return Difference(name, "missing", [f"not in {(new if after is None else old).name}"], [], [])
    outputs = [change.name for change in value_changes(before.outputs, after.outputs)]
    inputs = [change.name for change in value_changes(before.inputs, after.inputs)]
    inherited = {path for path in inputs if overlaps([path], written)}
    causes = [
        *map(describe_change, value_changes(before.parameters, after.parameters)),
        *code_changes(before, after),
        *(path for path in inputs if path not in inherited),
    ]
    kind = kind_of(bool(outputs), bool(causes), bool(inherited))
    environment = [*environment_changes(before, after, old.name, new.name)] if kind == "parted" else []
    return Difference(name, kind, causes, outputs, environment) if outputs or causes else None


def kind_of(other_outputs: bool, own_causes: bool, inherited: bool) -> Kind:
    """What kind of difference a stage's is.

    Args:
        other_outputs: whether its results differ.
        own_causes: whether something that no other stage wrote differs.
        inherited: whether what an earlier stage wrote differs.
    """
    if not other_outputs:
        return "same"
    return "changed" if own_causes else "follows" if inherited else "parted"


def code_changes(old: StageRun, new: StageRun) -> list[str]:
    """The source files that differ, or `its code` where one of the runs tells no more.

    Args:
        old: a stage in one run.
        new: in the other.
    """
    if old.code == new.code:
        return []
    if not (old.sources and new.sources):
        return ["its code"]
    return [change.name for change in value_changes(old.sources, new.sources)]


def describe_change(change: Change) -> str:
    """A parameter with both values."""
    return f"{change.name}: {change.old} / {change.new}"


def environment_changes(old: StageRun, new: StageRun, old_name: str, new_name: str) -> Iterator[str]:
    """What differs in where a stage was computed, and why equal bytes cannot be expected there.

    Args:
        old: the stage in one run.
        new: in the other.
        old_name: of the one run.
        new_name: of the other.
    """
    places: list[tuple[str, Environment | None]] = [(old_name, old.environment), (new_name, new.environment)]
    unknown = [f"where {name} computed it is not known" for name, place in places if not place]
    yield from unknown
    changes = value_changes(flatten(old.environment or {}), flatten(new.environment or {})) if not unknown else []
    yield from (
        describe_change(change) for change in changes if not change.name.startswith(("deterministic", "because"))
    )
    yield from (
        f"not deterministic in {name}: {place['because']}"
        for name, place in places
        if place and not place["deterministic"]
    )
    if not unknown and not changes:
        yield "computed in equal environments, as far as they are recorded"


def describe_comparison(comparison: Comparison) -> Iterator[str]:
    """The comparison in lines, what matters most first."""
    names = f"{comparison.old.name} and {comparison.new.name}"
    parted, changed = comparison.of_kind("parted"), comparison.of_kind("changed")
    if parted:
        yield f"{names} part in {parted[0].stage}: the same inputs, code and parameters gave other results."
        yield from described(parted[0])
    elif comparison.status:
        yield f"{names} have other results, and were given something else, first in {first_given(comparison)}."
    else:
        yield f"{names} have the same results in all {len(comparison.new.stages)} stages."
    for one in parted[1:]:
        yield f"{one.stage} parts as well:"
        yield from described(one)
    for one in changed:
        yield f"{one.stage} was given something else: {', '.join(one.causes)}."
    for one in comparison.of_kind("missing"):
        yield f"{one.stage}: {one.causes[0]}."
    for one in comparison.of_kind("same"):
        yield f"{one.stage} gave the same with something else: {', '.join(one.causes)}."
    following = [one.stage for one in comparison.of_kind("follows")]
    if following:
        yield f"These only follow: {', '.join(following)}."
    yield from (describe_uncertified(run) for run in (comparison.old, comparison.new) if run.uncertified)


def describe_uncertified(run: Run) -> str:
    """That dvc.lock is ahead of the certificate beside it."""
    names = "any stage" if len(run.uncertified) == len(run.stages) else ", ".join(run.uncertified)
    return f"{run.name}'s certificate is not of its results in {names}: `python -m src.certificate write` renews it."


def described(parted: Difference) -> Iterator[str]:
    """The results of a stage that parted, and where it was computed."""
    yield f"  other results: {', '.join(parted.outputs)}"
    yield from (f"  {line}" for line in parted.environment)


def first_given(comparison: Comparison) -> str:
    """The first stage that was given something else, or that one run lacks; else the first that differs."""
    found = comparison.of_kind("changed", "missing") or comparison.of_kind("follows")
    return found[0].stage
