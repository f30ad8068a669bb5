"""What is wrong with a file of generations, in a sentence each."""

from collections.abc import Collection
from pathlib import Path

from pydantic import ValidationError

from src.errors import UserError


def malformed_generation(place: str, error: ValidationError) -> UserError:
    """The error for a line that holds no generation.

    Args:
        place: its file and line.
        error: pydantic's, of which the first fault is told.
    """
    fault = error.errors()[0]
    field = ".".join(map(str, fault["loc"])) or "the line"
    return UserError(f"{place}: {field}: {fault['msg']}: run the generate stage again.")


def no_generations(path: str | Path) -> UserError:
    """The error for a file without a line."""
    return UserError(f"{path} holds no answers, so there is nothing to score: run the generate stage again.")


def malformed_judgements(path: str | Path, error: ValidationError) -> UserError:
    """The error for a file that holds no judgements.

    Args:
        path: the file.
        error: pydantic's, of which the first fault is told.
    """
    fault = error.errors()[0]
    field = ".".join(map(str, fault["loc"])) or "the file"
    return UserError(f"{path}: {field}: {fault['msg']}: run the judge stage again.")


def malformed_vote(place: str, error: ValidationError) -> UserError:
    """The error for a line that holds no vote.

    Args:
        place: its file and line.
        error: pydantic's, of which the first fault is told.
    """
    fault = error.errors()[0]
    field = ".".join(map(str, fault["loc"])) or "the line"
    return UserError(f"{place}: {field}: {fault['msg']}: correct that line, or remove it.")


def missing_generations(system: str, known: Collection[str]) -> UserError:
    """The error for a system without a file of answers.

    Args:
        system: its name.
        known: the systems that have one.
    """
    others = f"Answers are there of {', '.join(sorted(known))}." if known else "There are none of any system."
    return UserError(
        f"data/generations has no answers of {system}: run `dvc pull` or, where there is no remote storage, "
        f"`dvc repro`. {others}"
    )


def too_few_systems() -> UserError:
    """The error for a blind test that compares a system with nothing."""
    return UserError("--systems needs two or more different names, such as --systems base tuned.")


def no_votes(path: str | Path) -> UserError:
    """The error for a report on nothing."""
    return UserError(
        f"{path} holds no vote on these systems' present answers: vote first, by the same command without --report."
    )


def name_taken(path: Path) -> UserError:
    """The error for an endpoint, or an exported file, that has the name of another system."""
    return UserError(
        f"{path}: {path.stem} is another system's name already: give the endpoint, or the exported file, another one."
    )
