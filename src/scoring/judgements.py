"""What a language model is asked as a judge of two answers, how its verdict is read, and the file of its verdicts.

Every pair is asked about in both orders: a judge that prefers what stands first (Zheng et al. 2023) then contradicts
itself, and a contradiction is a tie. Does not ask: the judge stage does, by an engine of src/inference.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from src.files import read_json, write_json
from src.scoring.refusals import malformed_judgements

Verdict = Literal["first", "second", "tie"]

TASK = (
    "Two shops describe the same product. Only its title is known. Which description would serve a customer better: "
    "true to the title, specific, and well written? Length alone is no merit."
)
REQUEST = "Answer with one word: A, B or tie."

# What may stand around the one word; anything longer is not guessed at.
DECORATION = " \t\n.\"'*`()[]"
LETTERS: dict[str, Verdict] = {"a": "first", "b": "second", "tie": "tie"}
SWAPPED: dict[Verdict, Verdict] = {"first": "second", "second": "first", "tie": "tie"}


class Judgement(BaseModel):
    """A judge's verdict on the answers of two systems to one title, in both orders; fields in the file's order."""

    model_config = ConfigDict(strict=True, frozen=True)

    uid: str
    first: str  # systems
    second: str
    forward: Verdict | None  # where the first system's answer was A; None where the words are no verdict
    backward: Verdict | None  # where it was B
    forward_words: str  # as the judge said it
    backward_words: str


class Judgements(BaseModel):
    """A file of verdicts, and whose they are."""

    model_config = ConfigDict(strict=True, frozen=True)

    judge: str  # the endpoint's name, "" without one
    model: str
    judgements: list[Judgement]


def judge_question(title: str, shown_a: str, shown_b: str) -> str:
    """What a judge is asked.

    Args:
        title: the product's.
        shown_a: the answer that stands first.
        shown_b: the other.
    """
    shown = f"Title: {title}\n\nDescription A:\n{shown_a}\n\nDescription B:\n{shown_b}"
    return f"{TASK}\n\n{shown}\n\n{REQUEST}"


def read_verdict(words: str) -> Verdict | None:
    """Which of A and B a judge prefers, as first and second; None where it says anything but one of the three words."""
    return LETTERS.get(words.strip(DECORATION).lower())


def make_judgement(uid: str, pair: tuple[str, str], forward_words: str, backward_words: str) -> Judgement:
    """A judgement from what the judge said.

    Args:
        uid: the record's.
        pair: the names of the two systems.
        forward_words: what it said where the first system's answer was A.
        backward_words: what it said where that was B.
    """
    backward = read_verdict(backward_words)
    return Judgement(
        uid=uid,
        first=pair[0],
        second=pair[1],
        forward=read_verdict(forward_words),
        backward=SWAPPED[backward] if backward else None,
        forward_words=forward_words,
        backward_words=backward_words,
    )


def agreed(judgement: Judgement) -> Verdict | None:
    """A judge's verdict in both orders together: a contradiction is a tie, words that are no verdict are none."""
    if judgement.forward is None or judgement.backward is None:
        return None
    return judgement.forward if judgement.forward == judgement.backward else "tie"


def write_judgements(path: str | Path, found: Judgements) -> None:
    """Writes a file of verdicts.

    Args:
        path: the file.
        found: what it is to hold.
    """
    write_json(path, found.model_dump())


def read_judgements(path: str | Path) -> Sequence[Judgement]:
    """The verdicts in a file.

    Raises:
        UserError: if it holds anything else.
    """
    try:
        return Judgements.model_validate(read_json(path)).judgements
    except ValidationError as error:
        raise malformed_judgements(path, error) from None
