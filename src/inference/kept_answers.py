"""Answers kept as they come, so that an interrupted stage goes on where it was.

Covers the files below .answers/, which are no output of DVC's: it removes those of a stage before it runs. Each line
holds one answer; a line that was cut off by the end of its process counts as not there.
"""

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from src.fingerprints import stage_fingerprint
from src.inference.engine import Answer
from src.params import Params
from src.progress import print_line

FOLDER = Path(".answers")  # a folder in there for each stage that has not finished, by its fingerprint


class KeptAnswers(NamedTuple):
    """The finished answers of one system, in a file that outlives the process."""

    path: Path

    def read(self) -> dict[int, Answer]:
        """The answers by the number of their prompts; none where no earlier run was interrupted."""
        lines = self.path.read_bytes().splitlines() if self.path.is_file() else []
        kept = dict(read_lines(lines))
        if kept:
            print_line(f"Goes on after {len(kept):,} answers of an earlier run, in {self.path}.")
        return kept

    def add(self, answers: Mapping[int, Answer]) -> None:
        """Writes answers, by the number of their prompts, through to the disk."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        rows = (json.dumps({"number": number, **answer._asdict()}) for number, answer in answers.items())
        with self.path.open("a", encoding="utf-8") as lines:
            lines.write("".join(f"\n{row}" for row in rows))  # a break in front: the last line may be cut off
            lines.flush()
            os.fsync(lines.fileno())


def read_lines(lines: Iterable[bytes]) -> Iterable[tuple[int, Answer]]:
    """The numbers and answers in those lines that are complete."""
    for line in lines:
        try:
            row = json.loads(line)
            yield row.pop("number"), Answer(**row)
        except (ValueError, TypeError, AttributeError, KeyError):
            continue


class KeptFolder:
    """The kept answers of one stage, under all that they depend on."""

    def __init__(self, stage: str, params: Params, variant: str | None = None) -> None:
        """Finds the stage's folder.

        Args:
            stage: its name in dvc.yaml.
            params: its parameters.
            variant: a key under its `foreach`, where it has one.
        """
        self.path = FOLDER / stage_fingerprint(stage, params, variant)

    def answers_of(self, system: str) -> KeptAnswers:
        """What is kept of a system's answers."""
        return KeptAnswers(self.path / f"{system}.jsonl")

    def remove(self) -> None:
        """Removes it all: the stage is done."""
        shutil.rmtree(self.path, ignore_errors=True)
        if FOLDER.is_dir() and not any(FOLDER.iterdir()):
            FOLDER.rmdir()
