"""What is wrong with a file of generations, in a sentence each."""

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


def name_taken(path: Path) -> UserError:
    """The error for an endpoint, or an exported file, that has the name of another system."""
    return UserError(
        f"{path}: {path.stem} is another system's name already: give the endpoint, or the exported file, another one."
    )
