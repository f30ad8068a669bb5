"""The table of compared systems: one row for each, from which evaluate, its report, plots and the model card follow.

To add a system, add its row to SYSTEMS; one that reviewers decide by also needs its name in .dvc/plots/facts.json (a
test compares). One without a baseline is a model: its generations belong among evaluate's deps in dvc.yaml. Exported
models and endpoints need no row: each file in a folder of FOUND is a system.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from src.scoring.fact_counts import RecordFacts
from src.scoring.generations import Generation
from src.scoring.nearest import nearest_titles
from src.scoring.refusals import name_taken
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
        baseline: answers to held-out titles from the training records; None for a model, which a stage asks.
        headline: whether its scores are among DVC's metrics, and in the plot of facts.
    """

    name: str
    label: str
    baseline: Callable[[Sequence[str], TrainingRecords], Sequence[str]] | None = None
    headline: bool = False


def nearest_contents(titles: Sequence[str], training: TrainingRecords) -> list[str]:
    """For each title the content of the training record whose title is nearest.

    Args:
        titles: the held-out ones.
        training: what is copied from.
    """
    return [training.contents[position] for position in nearest_titles(titles, training.titles)]


def repeat_titles(titles: Sequence[str], training: TrainingRecords) -> list[str]:
    """Each title itself.

    Args:
        titles: the held-out ones.
        training: not used.
    """
    return list(titles)


BASE = "base"  # what the verdict in words is about
TUNED = "tuned"  # what all others are compared with

SYSTEMS = (
    System(BASE, "base model", headline=True),
    System("few_shot", "base model, few-shot"),
    System(TUNED, "this model", headline=True),
    System("nearest", "nearest-title copy", nearest_contents, headline=True),
    System("title", "title repeated", repeat_titles),
)

# Folders beside the models' generations, each file in which holds a system's: what its label tells beside its name.
FOUND = {"exports": "exported GGUF", "endpoints": "endpoint"}


def generation_files(folder: Path, systems: Sequence[System] = SYSTEMS) -> dict[System, Path]:
    """The models that have answered, with the files of their answers: those of the table, then those that are found.

    Args:
        folder: with a file for each model of the table, and the folders of FOUND, which may be missing.
        systems: the rows of the table.

    Raises:
        UserError: if a file that is found has the name of another system.
    """
    files = {system: folder / f"{system.name}.jsonl" for system in systems if not system.baseline}
    names = {system.name for system in systems}
    for subfolder, kind in FOUND.items():
        for path in sorted((folder / subfolder).glob("*.jsonl")):
            if path.stem in names:
                raise name_taken(path)
            names.add(path.stem)
            files[System(path.stem, f"{kind} {path.stem}")] = path
    return files


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
