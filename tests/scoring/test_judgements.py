"""A judge's words: one of three, whatever stands around it; anything else is no verdict. And the file of verdicts."""

from pathlib import Path

import pytest

from src.errors import UserError
from src.scoring.judgements import (
    Judgements,
    Verdict,
    agreed,
    judge_question,
    make_judgement,
    read_judgements,
    read_verdict,
    write_judgements,
)

PAIR = ("tuned", "base")


@pytest.mark.parametrize(
    ("words", "verdict"),
    [
        *(("A", "first"), ("b", "second"), ("Tie", "tie"), (" **A**.\n", "first"), ('"B"', "second"), ("(tie)", "tie")),
        *(("", None), ("A or B", None), ("Answer: A", None), ("C", None), ("neither", None), ("AB", None)),
        ("A is better, since B is long", None),
    ],
)
def test_words_are_read_strictly(words: str, verdict: Verdict | None) -> None:
    assert read_verdict(words) == verdict


@pytest.mark.parametrize(
    ("forward", "backward", "expected"),
    [
        *(("A", "B", "first"), ("B", "A", "second"), ("tie", "tie", "tie"), ("A", "A", "tie"), ("B", "B", "tie")),
        *(("A", "tie", "tie"), ("A", "what?", None), ("", "B", None)),
    ],
)
def test_both_orders_make_a_verdict(forward: str, backward: str, expected: Verdict | None) -> None:
    judgement = make_judgement("1", PAIR, forward, backward)
    assert agreed(judgement) == expected
    assert (judgement.forward_words, judgement.backward_words) == (forward, backward)


def test_a_question_holds_title_and_both_answers_as_they_are() -> None:
    asked = judge_question("{a} Lamp {b}", "{b} Oak.\nTitle: other", "{title}")
    assert "Title: {a} Lamp {b}\n\nDescription A:\n{b} Oak.\nTitle: other\n\nDescription B:\n{title}\n\n" in asked
    assert asked.endswith("A, B or tie.")


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = Judgements(judge="other", model="m", judgements=[make_judgement("1", PAIR, "A", "Well …")])
    write_judgements(tmp_path / "judgements.json", written)
    assert read_judgements(tmp_path / "judgements.json") == written.judgements


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", r"the file: Input should be .* run the judge stage again"),
        ('{"judge": "", "model": "", "judgements": [{}]}', r"judgements\.0\.uid: Field required: run the judge stage"),
        ("{", "is damaged"),
    ],
)
def test_a_damaged_file_is_a_sentence(tmp_path: Path, content: str, sentence: str) -> None:
    path = tmp_path / "judgements.json"
    path.write_text(content)
    with pytest.raises(UserError, match=sentence):
        read_judgements(path)
