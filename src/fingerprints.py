"""Names for all that a stage's result depends on, by which a stage that was interrupted finds what it had finished.

Covers what dvc.yaml declares for a stage: its parameters' values and its files' contents. So work is used again exactly
where DVC finds the stage unchanged.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from src.params import PIPELINE, Params, declared_params, read_yaml

DIGITS = 16


def stage_fingerprint(
    stage: str,
    params: Params,
    variant: str | None = None,
    without_effect: Collection[tuple[str, str]] = (),
    further: Mapping[str, Any] | None = None,
) -> str:
    """A name for everything that a stage's result depends on.

    Args:
        stage: its name in dvc.yaml.
        params: its parameters.
        variant: a key under its `foreach`, where it has one.
        without_effect: declared parameters, as section and key, that change no result.
        further: what counts beside what is declared, as JSON can hold it.
    """
    values = {**(further or {}), **declared_values(stage, params, without_effect)}
    digest = sha256(json.dumps(values, sort_keys=True, default=dict).encode())  # dict: of parameters with keys
    for path in declared_files(stage, variant):
        digest.update(path.as_posix().encode() + hash_file(path).encode())
    return digest.hexdigest()[:DIGITS]


def declared_values(stage: str, params: Params, without_effect: Collection[tuple[str, str]]) -> dict[str, Any]:
    """The parameters that dvc.yaml declares for a stage, by section.key; arguments as of `stage_fingerprint`."""
    keys = [key for key in declared_params(stage) if key not in without_effect]
    return {f"{section}.{key}": getattr(getattr(params, section), key) for section, key in keys}


def declared_files(stage: str, variant: str | None = None) -> list[Path]:
    """The files that dvc.yaml declares as a stage's inputs, those of folders one by one.

    Args:
        stage: its name in dvc.yaml.
        variant: a key under its `foreach`, where it has one.
    """
    definition = read_yaml(PIPELINE)["stages"][stage]
    items = {f"${{item.{key}}}": value for key, value in definition["foreach"][variant].items()} if variant else {}
    deps = (Path(items.get(dep, dep)) for dep in definition.get("do", definition)["deps"])
    files = (path for dep in deps for path in (list_files(dep) if dep.is_dir() else [dep]))
    return sorted({path for path in files if "__pycache__" not in path.parts})  # which importing a file changes


def list_files(folder: Path) -> Iterator[Path]:
    """All files of a folder and its subfolders."""
    return (path for path in folder.rglob("*") if path.is_file())


def hash_file(path: Path) -> str:
    """A file's SHA-256."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()
