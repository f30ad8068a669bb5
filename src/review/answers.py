"""The answers of two revisions to the records that both have, ready to be scored by the same ruler.

Covers reading the systems' files, those of an earlier layout too, pairing them by record, and what both are judged
against: the facts, and each revision's own training texts. Scores nothing.
"""

import json
from collections.abc import Sequence
from functools import cached_property
from hashlib import md5
from io import BytesIO
from pathlib import PurePosixPath
from typing import NamedTuple

from src.files import parse_line, read_json
from src.review.results import Results
from src.review.staleness import GENERATIONS
from src.scoring.fact_counts import RecordFacts
from src.scoring.facts import facts_of_records
from src.scoring.generations import Generation, parse_generation
from src.scoring.scores import SystemAnswers

TRAIN = "data/split/train.parquet"
FACTS = "data/sample/facts.json.gz"
EARLIER = {"prompt": "", "prompt_tokens": 0}  # what rows lacked when they had `stopped`; no score reads it


class MissingTextsError(LookupError):
    """A score asked for training texts that neither DVC's cache nor a remote has."""


class MissingTexts(Sequence[str]):
    """Stands where training texts would: what reads them is found out by itself, and left out."""

    def __len__(self) -> int:
        """Never known."""
        raise MissingTextsError

    def __getitem__(self, index: object) -> str:
        """Never there."""
        raise MissingTextsError


class Answers:
    """What can be had of one revision's answers."""

    def __init__(self, results: Results) -> None:
        """Looks where the answers are; reads them when they are asked for.

        Args:
            results: of the revision.
        """
        self.results = results

    @cached_property
    def paths(self) -> dict[str, str]:
        """The systems' files by the systems' names."""
        listed = self.results.revision.find_tracked(GENERATIONS)
        files = [path for path in listed if path.endswith(".jsonl")] or sorted(self.results.outputs)
        names = [path for path in files if path.startswith(f"{GENERATIONS}/") and path.endswith(".jsonl")]
        return {PurePosixPath(path).stem: path for path in names}

    @cached_property
    def contents(self) -> dict[str, bytes]:
        """The files that can be had as dvc.lock has them, by the systems' names; another branch's may lie there."""
        read = self.results.revision.read_tracked
        found = {name: content for name, path in self.paths.items() if (content := read(path)) is not None}
        return {name: content for name, content in found.items() if self.is_locked(name, content)}

    def is_locked(self, system: str, content: bytes) -> bool:
        """Whether a file is the one of dvc.lock, where that tells it.

        Args:
            system: whose answers are in it.
            content: the file's.
        """
        return self.results.output_hash(self.paths[system]) in (None, md5(content).hexdigest())

    @cached_property
    def training_texts(self) -> Sequence[str]:
        """The training split's descriptions."""
        import polars as pl

        content = self.results.revision.read_tracked(TRAIN)
        return (
            MissingTexts()
            if content is None
            else pl.read_parquet(BytesIO(content), columns=["content"])["content"].to_list()
        )

    def rows(self, system: str) -> list[Generation] | None:
        """A system's answers, None where they cannot be had.

        Raises:
            UserError: naming the first line that holds no answer.
        """
        content, place = self.contents.get(system), f"{self.results.name}:{self.paths.get(system)}"
        if content is None:
            return None
        lines = enumerate(content.split(b"\n"), start=1)
        return [parse_row(line, f"{place}:{number}") for number, line in lines if line]


def parse_row(line: bytes, place: str) -> Generation:
    """The answer in a line, of this layout or of the one before.

    Args:
        line: a JSON object in UTF-8.
        place: the revision, file and line that an error names.

    Raises:
        UserError: if it holds none.
    """
    row = parse_line(line, place)
    if isinstance(row, dict) and "stopped" in row:
        finish = "stop" if row.pop("stopped") else "length"
        line = json.dumps(EARLIER | row | {"finish_reason": finish}).encode()
    return parse_generation(line, place)


class SharedRecords(NamedTuple):
    """Two revisions' answers to the records that both have, in the same order."""

    old: list[Generation]
    new: list[Generation]
    old_total: int
    new_total: int

    @property
    def identical(self) -> bool:
        """Whether both answered all records, and in the same way, with the same likelihoods."""
        same = [outcome(row) for row in self.old] == [outcome(row) for row in self.new]
        return same and len(self.new) == self.old_total == self.new_total


def outcome(row: Generation) -> tuple[object, ...]:
    """What scores see of an answer."""
    return row.answer, row.finish_reason, row.loss, row.loss_tokens


def share_records(old: Sequence[Generation], new: Sequence[Generation]) -> SharedRecords:
    """The answers to the records that both have: of the same uid, title and reference.

    Args:
        old: one revision's answers.
        new: the other's, whose order is kept.

    Returns:
        Without likelihoods where the references' tokens differ: a loss a token of another tokenizer does not compare.
    """
    before = {record_key(row): row for row in old}
    pairs = [(before[record_key(row)], row) for row in new if record_key(row) in before]
    if any(first.loss_tokens != second.loss_tokens for first, second in pairs):
        pairs = [(without_likelihood(first), without_likelihood(second)) for first, second in pairs]
    return SharedRecords([first for first, _ in pairs], [second for _, second in pairs], len(old), len(new))


def record_key(row: Generation) -> tuple[str, str, str]:
    """What makes a record the same one."""
    return row.uid, row.title, row.reference


def without_likelihood(row: Generation) -> Generation:
    """An answer whose reference's likelihood is not known."""
    return row.model_copy(update={"loss": None, "loss_tokens": None})


def judged_answers(shared: SharedRecords, old: Answers, new: Answers) -> tuple[SystemAnswers, SystemAnswers]:
    """One system's old and new answers with what they are scored against.

    Args:
        shared: the answers, at least one.
        old: where the old training texts are.
        new: where the new training texts are, which show what a name is.
    """
    facts = known_facts(shared.new, new)
    pairs = ((shared.old, old), (shared.new, new))
    first, second = (
        SystemAnswers(
            [row.answer for row in rows],
            [row.reference for row in rows],
            answers.training_texts,
            rows,
            facts,
            [row.title for row in rows],
        )
        for rows, answers in pairs
    )
    return first, second


def known_facts(rows: Sequence[Generation], new: Answers) -> list[RecordFacts] | None:
    """The facts of the records, None where telling names takes training texts that cannot be had.

    Args:
        rows: answers to the records.
        new: where the training texts are.
    """
    try:
        return facts_of_records(rows, read_json(FACTS), new.training_texts)
    except (MissingTextsError, FileNotFoundError):
        return None
