"""What the tables of faults share: a row, and a stage that is run as its command runs it, in this process.

A table is a list of `Fault`s. Its test breaks something in a project, runs the stage, and finds the row's sentence, no
traceback, and the last good result as it was. Another stage joins by rows, or by a table beside these.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from src.stages.runner import run_stage


@dataclass(frozen=True)
class Fault:
    """One way in which something is broken.

    Attributes:
        name: what is broken, for the test's name.
        breaks: breaks it, in the project that is the current folder.
        sentence: what the refusal has to say; a part of it.
    """

    name: str
    breaks: Callable[[], object]
    sentence: str


def each_fault(table: Sequence[Fault]) -> pytest.MarkDecorator:
    """Runs a test for every row of a table."""
    names = [fault.name for fault in table]
    assert len(set(names)) == len(names)
    return pytest.mark.parametrize("fault", table, ids=names)


def run_command(stage: str, monkeypatch: pytest.MonkeyPatch, *variant: str) -> None:
    """Runs a stage as `python -m src.stages.STAGE` does; SystemExit holds what it is refused with.

    Args:
        stage: its name.
        monkeypatch: which sets the command line back.
        variant: which one, for a stage that has variants.
    """
    module: Any = importlib.import_module(f"src.stages.{stage}")
    monkeypatch.setattr(sys, "argv", [stage, *variant])
    run_stage(module.main, variants=variant)


def refusal(stage: str, monkeypatch: pytest.MonkeyPatch, *variant: str) -> str:
    """The sentence that a stage is refused with; any other error is a traceback, and fails the test.

    Args:
        stage: its name.
        monkeypatch: which sets the command line back.
        variant: which one, for a stage that has variants.
    """
    with pytest.raises(SystemExit) as stopped:
        run_command(stage, monkeypatch, *variant)
    assert isinstance(stopped.value.code, str)
    return stopped.value.code


def contents(*folders: str) -> dict[str, bytes]:
    """Every file below some folders, by its path; a last good result is compared by it."""
    return {str(path): path.read_bytes() for name in folders for path in Path(name).rglob("*") if path.is_file()}


def set_param(key: str, value: str) -> None:
    """Puts a value in place of that of section.key in ./params.yaml.

    Args:
        key: section.key.
        value: as YAML writes it.
    """
    path, (section, own) = Path("params.yaml"), key.split(".")
    lines = path.read_text(encoding="utf-8").splitlines()
    start = next(at for at, line in enumerate(lines) if line.startswith(f"{section}:"))
    number = next(at for at in range(start, len(lines)) if lines[at].startswith(f"  {own}:"))
    lines[number] = f"  {own}: {value}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
