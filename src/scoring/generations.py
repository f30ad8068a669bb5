"""The rows of data/generations/*.jsonl: a model's answers to the held-out records.

Covers the one row type that the generate stage writes and evaluate reads, and both ways to and from the file. Scores
nothing: the generate stage depends on this module, and must not rerun because a score has changed.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from src.files import write_jsonl
from src.scoring.refusals import malformed_generation, no_generations


class Generation(BaseModel):
    """A model's answer to one title, the reference, and the reference's likelihood; fields in the file's order."""

    # Strict: a number written as text, or 1 for true, comes from a damaged file and is refused rather than converted.
    model_config = ConfigDict(strict=True, frozen=True)

    uid: str
    title: str
    prompt: str  # as the model read it, rendered; the messages as JSON where an endpoint renders them
    answer: str
    reference: str
    finish_reason: Literal["stop", "length"]  # ended by itself, or at the limit
    prompt_tokens: Annotated[int, Field(ge=0)]
    tokens: Annotated[int, Field(ge=0)]  # of the answer
    # The reference's likelihood: None of a model that tells none, as an endpoint.
    loss: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None  # nats, summed over loss_tokens
    loss_tokens: Annotated[int, Field(ge=1)] | None  # of the reference and its end-of-turn token


def write_generations(path: str | Path, generations: Iterable[Generation]) -> None:
    """Writes generations as JSON Lines, one in a line, in the order given.

    Args:
        path: the file; it appears when all are written, and an older one stays until then.
        generations: what a model answered.
    """
    write_jsonl(path, (generation.model_dump() for generation in generations))


def read_generations(path: str | Path) -> list[Generation]:
    """The generations of a JSON Lines file, in order.

    Raises:
        UserError: if the file is empty, or naming the first line that holds no generation.
    """
    # Read as bytes: split as text, an answer that holds U+2028 would become two lines.
    with Path(path).open("rb") as lines:
        generations = [parse_generation(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]
    if not generations:
        raise no_generations(path)
    return generations


def parse_generation(line: bytes, place: str) -> Generation:
    """The generation that a line of JSON holds.

    Args:
        line: a JSON object in UTF-8.
        place: the file and line that an error names.

    Raises:
        UserError: if the line is not a JSON object, or a field is missing or of another type.
    """
    try:
        return Generation.model_validate_json(line)
    except ValidationError as error:
        raise malformed_generation(place, error) from None
