"""Whether a revision's answers were made by its own parameters and code; a review of others would judge another change.

Covers what git can tell: dvc.lock has the parameters and the hashes of the code that the results were made with.
`dvc status` tells it of the workspace alone.
"""

import json
from collections.abc import Mapping
from hashlib import md5
from typing import Any

from src.review.changes import covers, hashes, locked_params, named_deps, same_code, value_changes
from src.review.results import LOCK, Results, Values
from src.review.safe_text import code_span

GENERATIONS = "data/generations"
CODE = "src"


def stale_causes(results: Results, other: Results) -> dict[str, list[str]]:
    """What was changed after the answers were made, by the stage that has to run again.

    Args:
        results: of the revision in question.
        other: those it is compared with, whose files tell whether a change is one of comments alone.

    Returns:
        Parameters and files by stage; nothing where the answers belong to the revision.
    """
    found = {name: stage_causes(name, results, other) for name in answering_stages(results.lock)}
    return {name: causes for name, causes in found.items() if causes}


def answering_stages(lock: Mapping[str, Values]) -> list[str]:
    """The stages that the answers come from, in the lock's order.

    Args:
        lock: the stages of dvc.lock by name.
    """
    needed, wanted = set[str](), {GENERATIONS}
    while found := {name for name, stage in lock.items() if name not in needed and writes(stage, wanted)}:
        needed |= found
        wanted |= {path for name in found for path in hashes(lock[name], "deps")}
    return [name for name in lock if name in needed]


def writes(stage: Values, wanted: set[str]) -> bool:
    """Whether a stage writes one of the wanted files, or a folder with one, or a file in one.

    Args:
        stage: an entry of dvc.lock.
        wanted: files and folders.
    """
    return any(covers(path, out) or covers(out, path) for out in hashes(stage, "outs") for path in wanted)


def stage_causes(name: str, results: Results, other: Results) -> list[str]:
    """The parameters and files of a stage that are no longer those of its results.

    Args:
        name: the stage's, in dvc.lock.
        results: of the revision in question.
        other: those it is compared with.
    """
    locked, declared = results.lock[name], results.pipeline.get(name.split("@")[0])
    if declared is None:
        return [f"{name} is no longer in dvc.yaml"]
    params = value_changes(locked_params(locked), declared_params(declared, results.params))
    return [change.name for change in params] + changed_code(locked, declared, results, other)


def declared_params(stage: Values, params: Mapping[str, Any]) -> Values:
    """The parameters that a stage reads, with their values.

    Args:
        stage: an entry of dvc.yaml.
        params: all of them by full name.
    """
    names = [str(name) for name in stage.get("params") or []]
    return {
        key: value for key, value in params.items() if any(key == name or key.startswith(f"{name}.") for name in names)
    }


def changed_code(locked: Values, declared: Values, results: Results, other: Results) -> list[str]:
    """The files and folders of the code that a stage depends on and that are not those it ran with.

    Args:
        locked: the stage's entry in dvc.lock.
        declared: in dvc.yaml.
        results: of the revision in question.
        other: those it is compared with.
    """
    ran_with = {path: value for path, value in hashes(locked, "deps").items() if covers(CODE, path)}
    paths = sorted({path for path in named_deps(declared) if covers(CODE, path)} | set(ran_with))
    return [path for path in paths if not unchanged(path, ran_with.get(path), results, other)]


def unchanged(path: str, locked: str | None, results: Results, other: Results) -> bool:
    """Whether a file or folder is the one that a stage ran with, or differs from it in comments and layout alone.

    Args:
        path: of the code.
        locked: its hash in dvc.lock, None where the stage did not depend on it.
        results: of the revision in question.
        other: those it is compared with.
    """
    if locked is None or code_hash(results, path) == locked:
        return locked is not None
    return code_hash(other, path) == locked and same_code(other, results, path)


def code_hash(results: Results, path: str) -> str:
    """The hash of a file or folder as dvc.lock has it.

    Args:
        results: of the revision whose file it is.
        path: of the code.
    """
    content = results.revision.read(path)
    return md5(content).hexdigest() if content is not None else folder_hash(results, path)


def folder_hash(results: Results, folder: str) -> str:
    """The hash of a folder of the code: DVC's digest of its files' hashes, in the order of their names.

    Args:
        results: of the revision whose folder it is.
        folder: of the code.
    """
    files = results.revision.files(folder)
    rows = [{"md5": code_hash(results, file), "relpath": file.removeprefix(f"{folder}/")} for file in files]
    return f"{md5(json.dumps(rows, sort_keys=True).encode()).hexdigest()}.dir"


def describe_stale(causes: Mapping[str, list[str]], name: str) -> str:
    """The reason in a sentence why the answers of a revision cannot be judged.

    Args:
        causes: by stage, as `stale_causes` gives them.
        name: the revision's.
    """
    stage, (first, *others) = next(iter(causes.items()))
    more = f" and {len(others)} more" if others else ""
    return (
        f"{code_span(name)}'s answers were made before {code_span(first)}{more} changed ({code_span(stage)} in {LOCK} "
        "has another); run `dvc repro` and commit what it writes"
    )
