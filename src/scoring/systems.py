"""The table of compared systems: one row for each, from which evaluate, its report, plots and the model card follow.

To add a system, add its row to SYSTEMS and its name to .dvc/plots/scores.json and facts.json (a test compares). One
without a baseline is a model: it also needs its key under `generate` in dvc.yaml, and its generations among evaluate's
deps.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from src.scoring.fact_counts import RecordFacts
from src.scoring.generations import Generation
from src.scoring.nearest import nearest_titles
from src.scoring.scores import SystemAnswers


class TrainingRecords(NamedTuple):
    """What a baseline may know: titles and contents of the training split, in the same order."""

    titles: Sequence[str]
    contents: Sequence[str]


@dataclass(frozen=True)
class System:
    """A row of the table.

    Attributes:
        name: its key in reports/evaluate.json, and of a model the name of its file in data/generations/.
        label: what a table calls it.
        baseline: answers to held-out titles from the training records; None for a model, which the generate stage asks.
    """

    name: str
    label: str
    baseline: Callable[[Sequence[str], TrainingRecords], Sequence[str]] | None = None


def nearest_contents(titles: Sequence[str], training: TrainingRecords) -> list[str]:
    """For each title the content of the training record whose title is nearest.

    Args:
        titles: the held-out ones.
        training: what is copied from.
    """
    return [training.contents[position] for position in nearest_titles(titles, training.titles)]


BASE = "base"  # what the verdict in words is about
TUNED = "tuned"  # what all others are compared with

SYSTEMS = (
    System(BASE, "base model"),
    System(TUNED, "this model"),
    System("nearest", "nearest-title copy", nearest_contents),
)


def system_answers(
    systems: Sequence[System],
    generations: Mapping[str, Sequence[Generation]],
    training: TrainingRecords,
    facts: Sequence[RecordFacts],
) -> dict[str, SystemAnswers]:
    """The answers of every system to the same records.

    Args:
        systems: rows of the table, at least one of them a model.
        generations: of every model by its name; paired (see check_paired).
        training: what baselines answer from.
        facts: of the records, in the same order.

    Returns:
        By name, in the order of `systems`.
    """
    records = next(iter(generations.values()))  # paired, so any model's rows hold the titles and references
    titles, references = [row.title for row in records], [row.reference for row in records]

    def answers_of(system: System) -> SystemAnswers:
        if system.baseline:
            answers = system.baseline(titles, training)
            return SystemAnswers(answers, references, training.contents, facts=facts, titles=titles)
        rows = generations[system.name]
        return SystemAnswers([row.answer for row in rows], references, training.contents, rows, facts, titles)

    return {system.name: answers_of(system) for system in systems}
