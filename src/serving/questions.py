"""From what a person types to what the model reads: the title that is meant, and the records that answer for it.

Covers the choice of sources by the search for titles. Does not ask the model: model.py does.
"""

from typing import NamedTuple

from src.prompts.rendering import Turns
from src.serving.note import ServingNote
from src.serving.search import Hit, TitleIndex

ENOUGH = 60.0  # similarity of titles, 0 to 100, from which a record is named as a source
SOURCES = 3  # at most


class Passage(NamedTuple):
    """A sentence of a source that speaks to a question, word for word."""

    uid: str
    """Of the source."""
    text: str


class Question(NamedTuple):
    """A question that is ready to be asked."""

    title: str
    """What the model describes."""
    sources: list[Hit]
    """Records of the same or of a like title, the nearest first; empty where the answer comes from the title alone."""
    turns: Turns
    """What the model reads."""
    passages: list[Passage]
    """What the sources say to the question; empty for a mere title."""


def prepare_question(note: ServingNote, index: TitleIndex | None, text: str, limit: int = SOURCES) -> Question:
    """What the model reads about a title, or about the title that a question names.

    Args:
        note: how the model was trained to be asked.
        index: where sources are searched; None where there is no index, and so no source.
        text: as it was typed.
        limit: sources, at most.
    """
    title = text.strip()
    sources = [hit for hit in index.search(title, limit) if hit.score >= ENOUGH] if index else []
    return Question(title, sources, note.turns(title), [])
