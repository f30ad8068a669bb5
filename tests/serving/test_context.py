"""The context of a prompt: near titles alone, none that is excluded, and the same in serving."""

import polars as pl
import pytest

from src.inference.engine import Sampling
from src.prompts.rendering import prompt_turns
from src.serving.context import ENOUGH, find_context
from src.serving.index import write_index
from src.serving.note import ServingNote
from src.serving.questions import prepare_question
from src.serving.search import TitleIndex

TITLES = ["Brass Desk Lamp, 30 cm", "Brass Desk Lamp, 40 cm", "Brass Desk Lamp", "Wool Scarf, Grey"]


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> TitleIndex:
    path = tmp_path_factory.mktemp("index") / "index.sqlite"
    uids = [f"u{number}" for number in range(len(TITLES))]
    write_index(path, [pl.DataFrame({"uid": uids, "title": TITLES, "content": [f"Text of {uid}." for uid in uids]})])
    return TitleIndex(path)


def found(index: TitleIndex, title: str, records: int = 3, excluded: tuple[str, ...] = ()) -> list[str]:
    return [hit.uid for hit in find_context(index, title, records, excluded)]


def test_near_titles_are_found_the_nearest_first(index: TitleIndex) -> None:
    assert found(index, "brass desk lamp 30 cm") == ["u0", "u1", "u2"]
    assert found(index, TITLES[0], records=1, excluded=("u0",)) == ["u1"]


def test_nothing_near_is_no_context(index: TitleIndex) -> None:
    title = "Grey Elephant of Lampsacus"
    assert found(index, title) == []
    nearest = index.search(title, 1)
    assert nearest and nearest[0].score < ENOUGH  # something is found, and not near enough


@pytest.mark.parametrize(("records", "shown"), [(0, []), (1, ["u0"]), (2, ["u0", "u1"]), (9, ["u0", "u1", "u2"])])
def test_a_server_shows_as_many_records_as_training_did(index: TitleIndex, records: int, shown: list[str]) -> None:
    note = ServingNote("Describe it.", "{title}", Sampling(1), [], records, 200)
    question = prepare_question(note, index, TITLES[0])
    context = [f"{TITLES[int(uid[1:])]}: Text of {uid}." for uid in shown]
    assert question.turns == prompt_turns("Describe it.", "{title}", TITLES[0], context)
    named = dict.fromkeys(["u0", *shown])  # the record that the title names, and what the model has read
    assert [hit.uid for hit in question.sources] == list(named)


def test_a_question_shows_the_context_of_the_title_that_it_names(index: TitleIndex) -> None:
    note = ServingNote("Describe it.", "{title}", Sampling(1), [], 3, 200)
    asked = prepare_question(note, index, f"Is the {TITLES[0]} waterproof, and what is it made of?")
    assert asked.title == TITLES[0]
    assert asked.turns == prepare_question(note, index, TITLES[0]).turns
