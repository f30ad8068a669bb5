"""From what a person types to what the model reads: the title that is meant, and the records that answer for it.

Covers the choice of sources by the search for titles, and of their sentences that speak to a question: the model writes
descriptions, and does not converse. Does not ask the model: model.py does.
"""

import re
from typing import NamedTuple
from unicodedata import category

from src.prompts.rendering import Turns
from src.serving import refusals
from src.serving.mentions import content_words, find_mention, has_alike, is_question
from src.serving.note import ServingNote
from src.serving.search import Hit, TitleIndex
from src.serving.trigrams import fold_title

SOURCES, MOST_SOURCES = 3, 10  # as a rule, and what a search looks at
PASSAGES = 2  # at most
SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)]*\s+")
ASKS_NUMBER = re.compile(r"\bhow (big|deep|far|heavy|high|large|long|many|much|old|small|tall|thick|wide)\b", re.I)


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
    """Records of that title, the nearest first; empty where the answer comes from the title alone."""
    turns: Turns
    """What the model reads."""
    passages: list[Passage]
    """What the first source says to the question; empty for a mere title."""


def prepare_question(note: ServingNote, index: TitleIndex | None, text: str, limit: int = SOURCES) -> Question:
    """What the model reads about a title, or about the title that a question names.

    Args:
        note: how the model was trained to be asked.
        index: where sources are searched; None where there is no index, and so no source.
        text: as it was typed.
        limit: sources, at most.

    Raises:
        UserError: if the text is empty, or the index damaged.
    """
    typed = tidy(text)
    if not typed:
        raise refusals.empty_question()
    if index is None:
        return Question(typed, [], note.turns(typed), [])
    if is_question(typed):
        return ask_about_record(note, index, typed, limit)
    return Question(typed, find_sources(index, typed, limit), note.turns(typed), [])


def tidy(text: str) -> str:
    """A text on one line, without characters that nobody sees."""
    spaced = "".join(" " if category(sign) == "Cc" else sign for sign in text)
    return " ".join("".join(sign for sign in spaced if not category(sign).startswith("C")).split())


def find_sources(index: TitleIndex, title: str, limit: int) -> list[Hit]:
    """The records that a title names, the nearest first.

    Args:
        index: where they are searched.
        title: as it was typed.
        limit: how many, at most.
    """
    return [hit for hit in index.search(title, MOST_SOURCES) if find_mention(title, hit.title, whole=True).is_near()][:limit]


def ask_about_record(note: ServingNote, index: TitleIndex, typed: str, limit: int) -> Question:
    """A question with the title that it names, or as it was typed where it names none.

    Args:
        note: how the model was trained to be asked.
        index: where the title is searched.
        typed: the question.
        limit: sources, at most.
    """
    for hit in index.search(" ".join(content_words(fold_title(typed).split())), MOST_SOURCES):
        mention = find_mention(typed, hit.title, whole=False)
        if mention.is_near() and (sources := find_sources(index, mention.subject, limit)):
            title = sources[0].title
            return Question(title, sources, note.turns(title), find_passages(typed, mention.rest, sources[0]))
    return Question(typed, [], note.turns(typed), [])


def find_passages(question: str, rest: list[str], source: Hit) -> list[Passage]:
    """The sentences of a record that share most words with a question, if they share any.

    Args:
        question: as it was typed.
        rest: its words beside the title.
        source: the record.
    """
    sentences = SENTENCE_END.split(source.text)
    shared = [shared_words(sentence, rest, bool(ASKS_NUMBER.search(question))) for sentence in sentences]
    found = [sentence for sentence, words in zip(sentences, shared, strict=True) if words and words == max(shared)]
    return [Passage(source.uid, sentence) for sentence in found[:PASSAGES]]


def shared_words(sentence: str, rest: list[str], number: bool) -> int:
    """How much of a question a sentence has.

    Args:
        sentence: of a record.
        rest: the question's words beside the title.
        number: whether the question asks for one, which counts as a word.
    """
    words = fold_title(sentence).split()
    return sum(has_alike(word, words) for word in rest) + (number and any(map(str.isdigit, sentence)))
