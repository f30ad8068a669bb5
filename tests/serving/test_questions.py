"""From what is typed to title, sources and passages: which record is named, and what is no record."""

from typing import Any

import pytest

from src.errors import UserError
from src.serving.mentions import find_mention, is_alike, is_question
from src.serving.note import ServingNote, read_note
from src.serving.questions import MOST_SOURCES, SOURCES, Question, prepare_question, tidy
from src.serving.search import Hit, TitleIndex
from tests.serving.conftest import PRODUCTS, TITLES

LAMP = "Tumblewright Bamboo Desk Lamp, Olive, 45 cm high"
CLOCK = "Grumblefoo Steel Wall Clock, Red, 30 cm wide"
TEXTS = {
    LAMP: "The lamp is made of bamboo. It weighs 2 kg. Its shade is olive, and it is waterproof!",
    CLOCK: "Made of steel. It ticks.",
    "Who Walks There?": "A ghost story.",
    "36 Winter Walks": "Walks.",
    "24 Winter Walks": "More walks.",
}


class FewRecords:
    """An index of TEXTS, all of which every search finds, the longest title first."""

    def search(self, query: str, limit: int = 5, excluded: Any = ()) -> list[Hit]:
        hits = [Hit(f"u{number}", title, 50.0, text) for number, (title, text) in enumerate(TEXTS.items())]
        return sorted(hits, key=lambda hit: -len(hit.title))[:limit]


@pytest.fixture(scope="module")
def note(export_folder: Any) -> ServingNote:
    return read_note(export_folder)


def asked(note: ServingNote, text: str) -> Question:
    return prepare_question(note, FewRecords(), text)  # type: ignore[arg-type]


def titles_of(question: Question) -> list[str]:
    return [hit.title for hit in question.sources]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (LAMP, LAMP),
        (LAMP.upper(), LAMP),
        ("tumblewright bambo desk lampp olive", LAMP),
        ("Bamboo Desk Lamp by Tumblewright", LAMP),
        ("What is the Tumblewright Bamboo Desk Lamp made of?", LAMP),
        ("Is the tumblewright bamboo desk lamp waterproof", LAMP),
        ("WHAT IS THE TUMBLEWRIGHT BAMBOO DESK LAMP MADE OF", LAMP),
        ("tell me about the bamboo lamp by tumblewright", LAMP),
        ("How many pages does Who Walks There? have?", "Who Walks There?"),
        ("Who Walks There?", "Who Walks There?"),
        ("36 winter walks", "36 Winter Walks"),
        ("Steel Desk Lamp, Olive, 45 cm high", None),
        ("What is the Grumblefoo Bamboo Desk Lamp, Olive, 45 cm high made of?", None),
        ("What colour is the Tumblewright Bamboo Desk Clock, Mauve?", None),
        ("37 Winter Walks", None),
        ("Is the Titanium Sledge waterproof?", None),
        ("?", None),
        ("Is it?", None),
    ],
)
def test_a_text_names_a_record_or_none(note: ServingNote, text: str, title: str | None) -> None:
    assert titles_of(asked(note, text)) == ([title] if title else [])


def test_a_question_is_asked_about_the_title_of_its_record(note: ServingNote) -> None:
    question = asked(note, "Is the Tumblewright Bamboo Desk Lamp waterproof?")
    assert question.title == LAMP
    assert question.turns == note.turns(LAMP)


@pytest.mark.parametrize("text", ["tumblewright bambo desk lamp, olive", "Is the Titanium Sledge waterproof?"])
def test_a_title_and_a_question_about_no_record_are_asked_as_they_were_typed(note: ServingNote, text: str) -> None:
    question = asked(note, f" {text}\n")
    assert (question.title, question.turns, question.passages) == (text, note.turns(text), [])


@pytest.mark.parametrize(
    ("text", "passages"),
    [
        ("What is the Tumblewright Bamboo Desk Lamp made of?", ["The lamp is made of bamboo."]),
        ("How heavy is the Tumblewright Bamboo Desk Lamp?", ["It weighs 2 kg."]),
        ("Is the Tumblewright Bamboo Desk Lamp waterproof?", ["Its shade is olive, and it is waterproof!"]),
        ("Who sells the Tumblewright Bamboo Desk Lamp?", []),
        ("tell me about the Tumblewright Bamboo Desk Lamp", []),
        (LAMP, []),
    ],
)
def test_the_source_speaks_to_a_question_in_its_own_words(note: ServingNote, text: str, passages: list[str]) -> None:
    found = asked(note, text).passages
    assert [passage.text for passage in found] == passages
    assert {passage.uid for passage in found} <= {"u0"}


def test_without_an_index_there_is_no_source(note: ServingNote) -> None:
    for text in (LAMP, f"What is the {LAMP} made of?"):
        assert prepare_question(note, None, text) == Question(text, [], note.turns(text), [])


def test_every_title_of_an_index_is_its_own_source(note: ServingNote, title_index: TitleIndex) -> None:
    for title in TITLES[:40]:
        for text in (title, f"What is the {title} made of?"):
            question = prepare_question(note, title_index, text)
            assert (question.sources[0].title, question.sources[0].text) == (title, PRODUCTS[title])
            assert question.title == title
            assert len(question.sources) <= SOURCES


@pytest.mark.parametrize("limit", [0, 1, MOST_SOURCES])
def test_so_many_sources_are_named_as_wanted(note: ServingNote, title_index: TitleIndex, limit: int) -> None:
    for text in ("desk lamp", "Tell me about a desk lamp"):
        assert len(prepare_question(note, title_index, text, limit).sources) <= limit


@pytest.mark.parametrize("text", ["", " \n\t", "\0", "\u200b\ud800"])
def test_an_empty_text_is_refused(note: ServingNote, text: str) -> None:
    with pytest.raises(UserError, match="TITLE is empty: write a product's title"):
        prepare_question(note, None, text)


@pytest.mark.parametrize("text", ["lamp " * 2_000, "x" * 10_000, "<b>Lamp</b>" * 900, "? " * 5_000, "é\x1b[0m" * 2_000])
def test_long_and_odd_texts_are_questions_too(note: ServingNote, title_index: TitleIndex, text: str) -> None:
    assert prepare_question(note, title_index, text).title


def test_a_text_is_shown_on_one_line_and_without_what_nobody_sees() -> None:
    assert tidy(" Oak\r\nDesk\x00Lamp\u200b,\ud800 <b>é</b>\x1b[31m 30 cm ") == "Oak Desk Lamp, <b>é</b> [31m 30 cm"


@pytest.mark.parametrize(
    ("text", "question"),
    [(LAMP, False), ("What is it", True), (f"{LAMP}?", True), ("Whatnot, Oak", False), ("", False), ("…", False)],
)
def test_questions_are_told_from_titles(text: str, question: bool) -> None:
    assert is_question(text) == question


@pytest.mark.parametrize(
    ("word", "other", "alike"),
    [
        ("lamp", "lamp", True),
        ("lamp", "lampp", True),
        ("bamboo", "bambo", True),
        ("grumbledale", "grumbeldale", True),
        ("lamp", "clock", False),
        ("oak", "oat", False),
        ("1982", "1983", False),
        ("45", "45", True),
    ],
)
def test_words_are_alike_in_spite_of_a_typo(word: str, other: str, alike: bool) -> None:
    assert is_alike(word, other) == is_alike(other, word) == alike


def test_a_mention_tells_what_is_asked_beside_the_title() -> None:
    mention = find_mention("Does the Tumblewright Desk Lamp come with a cable?", LAMP, whole=False)
    assert mention.subject == "tumblewright desk lamp"
    assert mention.rest == ["come", "cable"]
