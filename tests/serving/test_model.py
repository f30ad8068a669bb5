"""The served model: its two sides, what keeps them apart, and what closing an answer frees."""

from src.serving.model import SCALES, ServedModel, Side
from tests.serving.conftest import TITLES


def text_of(model: ServedModel, title: str, side: Side) -> str:
    return "".join(piece.text for piece in model.stream(model.note.turns(title), side))


def test_both_sides_answer_and_differ(served_model: ServedModel) -> None:
    base, tuned = (text_of(served_model, TITLES[0], side) for side in SCALES)
    assert base
    assert base != tuned
