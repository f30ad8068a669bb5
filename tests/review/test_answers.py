"""Which answers of two revisions are compared, and how rows of an earlier layout are read."""

import json
from typing import Any

import pytest

from src.errors import UserError
from src.review.answers import MissingTexts, MissingTextsError, parse_row, share_records
from src.review.comparison import score_lines, value_of
from src.scoring.scores import SCORES, SystemAnswers
from tests.scoring.rows import ROW, generation

EARLIER = {name: value for name, value in ROW.items() if name not in ("prompt", "prompt_tokens", "finish_reason")}


@pytest.mark.parametrize(("stopped", "reason"), [(True, "stop"), (False, "length")])
def test_rows_of_the_earlier_layout_are_read(stopped: bool, reason: str) -> None:
    row = parse_row(json.dumps(EARLIER | {"stopped": stopped}).encode(), "old:1")
    assert (row.finish_reason, row.answer, row.loss) == (reason, ROW["answer"], ROW["loss"])


@pytest.mark.parametrize("line", [b"{", b"[1]", json.dumps(EARLIER).encode()])
def test_a_line_that_holds_no_answer_is_named(line: bytes) -> None:
    with pytest.raises(UserError, match=r"main:data/generations/tuned\.jsonl:3"):
        parse_row(line, "main:data/generations/tuned.jsonl:3")


def test_records_are_shared_by_uid_title_and_reference() -> None:
    old = [generation(uid="1"), generation(uid="2"), generation(uid="3", title="One lamp"), generation(uid="4")]
    new = [generation(uid="4"), generation(uid="3", title="Two lamps"), generation(uid="2", answer="new")]
    shared = share_records(old, new)
    assert [row.uid for row in shared.old] == [row.uid for row in shared.new] == ["4", "2"]
    assert (shared.old_total, shared.new_total, shared.identical) == (4, 3, False)


@pytest.mark.parametrize(
    ("changes", "identical"),
    [({}, True), ({"answer": "b"}, False), ({"loss": 7.0}, False), ({"finish_reason": "length"}, False)],
)
def test_answers_are_identical_where_no_score_can_differ(changes: dict[str, Any], identical: bool) -> None:
    assert share_records([generation(answer="a")], [generation(**{"answer": "a"} | changes)]).identical is identical


def test_a_loss_of_another_tokenizer_is_not_compared() -> None:
    shared = share_records([generation(loss_tokens=4)], [generation(loss_tokens=5)])
    assert [row.loss for row in (*shared.old, *shared.new)] == [None, None]


def test_scores_that_read_texts_which_cannot_be_had_are_left_out() -> None:
    rows = [generation(uid=str(number), answer=f"a lamp of {number} brass") for number in range(5)]
    answers = SystemAnswers([row.answer for row in rows], [row.reference for row in rows], MissingTexts(), rows)
    with pytest.raises(MissingTextsError):
        bool(answers.contents)
    copies = next(score for score in SCORES if score.name == "verbatim_copy_rate")
    assert value_of(copies, answers) is None
    names = {line.score.name for line in score_lines(answers, answers, {})}
    assert "verbatim_copy_rate" not in names
    assert {"bleu", "rougeL", "distinct_1"} <= names
