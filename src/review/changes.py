"""What was changed between two revisions: parameters, data, code and what the stages read and wrote.

Covers the differences of what is committed. What they did to the answers is comparison.py's.
"""

import ast
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from src.review.results import Results, Values, flatten
from src.review.revisions import changed_files

RAW = "data.raw"
SOURCES = ("src", "dvc.yaml", "requirements.txt", "requirements-gpu.txt")


class Change(NamedTuple):
    """A named value that differs."""

    name: str
    old: Any
    new: Any


class FileChange(NamedTuple):
    """A file that differs."""

    path: str
    how: str
    """added, removed, changed, or `comments or layout`: then the code is the same."""
    stages: list[str]
    """Those that depend on it, in the order of dvc.yaml."""


class StageChange(NamedTuple):
    """A stage whose entry in dvc.lock differs."""

    name: str
    causes: list[str]
    """What it reads that differs: parameters and paths."""
    results: list[str]
    """The outputs whose bytes differ."""


def value_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Change]:
    """The values that differ, in the old one's order, new ones last.

    Args:
        old: by name.
        new: by name; a name that one of the two lacks counts as a difference.
    """
    names = dict.fromkeys([*old, *new])
    return [Change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def data_changes(old: Results, new: Results) -> list[Change]:
    """What differs in the data: the raw file, the records of each split, and which of them are scored.

    Args:
        old: results of the one revision.
        new: of the other.
    """
    return value_changes(data_facts(old), data_facts(new))


def data_facts(results: Results) -> Values:
    """What tells one revision's data from another's."""
    raw, sizes = raw_file(results), results.read_json("reports/sample.json")
    splits = {f"{split} records": sizes.get(split) for split in ("train", "validation", "test")}
    return {
        "raw file": raw.get("path"),
        "raw file's hash": raw.get("md5"),
        "raw file's bytes": raw.get("size"),
        **splits,
        "scored records": results.report.get("records"),
        "scored records' digest": results.read_json("metrics/evaluate.json").get("test_records"),
    }


def raw_file(results: Results) -> Values:
    """What the lock knows of the raw file."""
    read = results.lock.get("decompress", {}).get("deps", [])
    return next((entry for entry in read if entry["path"] == results.params.get(RAW)), {})


def funnel_changes(old: Results, new: Results) -> list[Change]:
    """The steps of the data's way at which another number of records was counted.

    Args:
        old: results of the one revision.
        new: of the other.
    """
    return value_changes(old.funnel, new.funnel)


def code_changes(old: Results, new: Results) -> list[FileChange]:
    """The files of the code that differ, with the stages that depend on them.

    Args:
        old: results of the one revision.
        new: of the other.
    """
    found = changed_files(old.revision, new.revision, SOURCES)
    return [
        FileChange(path, "comments or layout" if same_code(old, new, path) else how, stages_reading(path, old, new))
        for path, how in found.items()
    ]


def same_code(old: Results, new: Results, path: str) -> bool:
    """Whether a Python file says the same in both revisions, comments and layout aside.

    Args:
        old: results of the one revision.
        new: of the other.
        path: the file's.
    """
    before, after = (results.revision.read(path) for results in (old, new))
    if not path.endswith(".py") or before is None or after is None:
        return False
    try:
        return ast.dump(ast.parse(before)) == ast.dump(ast.parse(after))
    except (SyntaxError, ValueError):
        return False


def stages_reading(path: str, old: Results, new: Results) -> list[str]:
    """The stages of either revision that depend on a file, or on a folder that it is in.

    Args:
        path: the file's.
        old: results of the one revision.
        new: of the other.
    """
    stages = [(name, stage) for results in (new, old) for name, stage in results.pipeline.items()]
    return list(dict.fromkeys(name for name, stage in stages if any(covers(dep, path) for dep in named_deps(stage))))


def named_deps(stage: Values) -> Iterator[str]:
    """The paths that a stage of dvc.yaml depends on."""
    for dep in stage.get("deps") or []:
        yield str(next(iter(dep)) if isinstance(dep, dict) else dep)


def covers(dependency: str, path: str) -> bool:
    """Whether a path is a dependency or lies in it.

    Args:
        dependency: a file or folder.
        path: a file.
    """
    return path == dependency or path.startswith(f"{dependency}/")


def stage_changes(old: Results, new: Results) -> list[StageChange]:
    """The stages whose entry in dvc.lock differs: because of what, and with which results.

    Args:
        old: results of the one revision.
        new: of the other.
    """
    names = dict.fromkeys([*new.lock, *old.lock])
    stages = ((name, old.lock.get(name, {}), new.lock.get(name, {})) for name in names)
    return [stage_change(name, before, after) for name, before, after in stages if before != after]


def stage_change(name: str, old: Values, new: Values) -> StageChange:
    """How two entries of dvc.lock differ.

    Args:
        name: the stage's.
        old: the one revision's entry, empty where it has no such stage.
        new: the other's.
    """
    causes = value_changes(locked_params(old), locked_params(new))
    causes += value_changes(hashes(old, "deps"), hashes(new, "deps"))
    results = value_changes(hashes(old, "outs"), hashes(new, "outs"))
    return StageChange(name, [change.name for change in causes], [change.name for change in results])


def locked_params(stage: Values) -> Values:
    """The parameters that a stage's results were made with, by their full names."""
    return flatten({key: value for values in stage.get("params", {}).values() for key, value in values.items()})


def hashes(stage: Values, kind: str) -> dict[str, str]:
    """The hashes of what a stage read or wrote, by path.

    Args:
        stage: an entry of dvc.lock.
        kind: deps or outs.
    """
    return {entry["path"]: entry.get("md5") or str(entry) for entry in stage.get(kind, [])}
