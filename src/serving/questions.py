"""From what a person types to what the model reads: the title that is meant, and the records that answer for it.

Covers the choice of sources by the search for titles. Does not ask the model: model.py does.
"""

from typing import NamedTuple

from src.prompts.rendering import Turns
from src.serving.context import ENOUGH, find_context
from src.serving.note import ServingNote
from src.serving.search import Hit, TitleIndex

SOURCES = 3  # at most


class Question(NamedTuple):
    """A question that is ready to be asked."""

    title: str
    """What the model describes."""
    sources: list[Hit]
    """Records of the same or of a like title, the nearest first; empty where the answer comes from the title alone."""
    turns: Turns
    """What the model reads."""


def prepare_question(note: ServingNote, index: TitleIndex, text: str) -> Question:
    """What the model reads about a title, or about the title that a question names.

    Args:
        note: how the model was trained to be asked.
        index: where sources are searched.
        text: as it was typed.
    """
    title = text.strip()
    sources = [hit for hit in index.search(title, SOURCES) if hit.score >= ENOUGH]
    context = find_context(index, title, note.context_records)
    return Question(title, sources, note.turns(title, context))
