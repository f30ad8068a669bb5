"""What a visitor of the page asks for, on a model that tells how it is asked: whose answer is whose, and the vote."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.inference.engine import Sampling
from src.inference.llama_cpp import Piece
from src.journal import Journal
from src.scoring.votes import digest
from src.serving.app_page import render_record
from src.serving.app_session import Choice, Desk, Shown
from src.serving.note import ServingNote
from src.serving.questions import Passage, Question
from src.serving.search import Hit

DRAWN = Sampling(4, temperature=1.0, top_k=3, seed=7)


class Telling:
    """A model whose answer is how it was asked."""

    note = ServingNote("Describe it.", "{title}", Sampling(1), [])

    def stream(self, turns: Any, side: str, sampling: Sampling | None = None) -> Iterator[Piece]:
        yield Piece(f"{side}, ")
        yield Piece(str(sampling))


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk whose model is loaded."""
    desk = Desk(tmp_path, tmp_path / "index.sqlite", Journal(tmp_path / "votes.jsonl"))
    desk.model, desk.adapter = Telling(), "ad1"  # type: ignore[assignment]
    return desk


def complete(source: Hit | None = None, hidden: bool = False) -> Shown:
    """Two answers, the tuned model's first."""
    question = Question("Lamp", [source] if source else [], [], [])
    return Shown(question, ("tuned", "base"), hidden, ("Brass.", "Oak."), complete=True)


def test_each_answer_is_of_its_side_and_both_are_drawn_alike(desk: Desk) -> None:
    orders = set()
    for _ in range(64):  # one order alone comes up once in 2**63 times
        *_, shown = desk.answer(desk.prepare("Lamp", hidden=True), DRAWN)
        assert shown.complete and shown.answers == tuple(f"{side}, {DRAWN}" for side in shown.sides)
        orders.add(shown.sides)
    assert orders == {("base", "tuned"), ("tuned", "base")}


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("choice", ["first", "second", "tie"])
def test_a_vote_is_kept_as_it_was_given_and_once(desk: Desk, choice: Choice, hidden: bool) -> None:
    desk.vote(complete(hidden=hidden)._replace(complete=False), choice)
    assert not desk.votes.rows
    voted = desk.vote(complete(hidden=hidden), choice)
    assert desk.vote(voted, "tie") == voted
    [row] = desk.votes.rows
    assert (row["first"], row["second"], row["choice"], row["hidden"]) == ("tuned", "base", choice, hidden)
    assert (row["adapter"], row["answers"]) == ("ad1", digest("Lamp", "Brass.", "Oak."))


@pytest.mark.parametrize(("score", "uid"), [(100.0, "u1"), (99.9, "")])
def test_a_vote_names_the_record_of_the_same_title_alone(desk: Desk, score: float, uid: str) -> None:
    desk.vote(complete(Hit("u1", "Lamp", score, "A lamp.")), "tie")
    assert desk.votes.rows[0]["uid"] == uid


def test_what_the_nearest_record_says_to_a_question_is_shown() -> None:
    passages = [Passage("u1", "Of <b>brass</b>."), Passage("u2", "Of oak.")]
    question = Question("Lamp", [Hit("u1", "Lamp", 90.0, "A lamp.")], [], passages)
    shown = render_record(Shown(question))
    assert "<blockquote>Of &lt;b&gt;brass&lt;/b&gt;.</blockquote>" in shown
    assert "oak" not in shown


def test_answers_that_a_visitor_leaves_are_closed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = []

    def stream(turns: Any, side: str, sampling: Sampling) -> Iterator[Piece]:
        streams.append(Piece(f"{side} ") for _ in range(99))
        return streams[-1]

    monkeypatch.setattr(desk.model, "stream", stream)
    answers = desk.answer(desk.prepare("Lamp", hidden=False), DRAWN)
    next(answers)
    answers.close()  # type: ignore[attr-defined]
    assert [list(one) for one in streams] == [[], []]
