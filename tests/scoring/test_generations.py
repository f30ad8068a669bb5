import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.scoring.generations import Generation, check_paired, likelihood_scores, parse_generation, read_generations

ROW = {
    "uid": "0001360000",
    "title": "A lamp",
    "answer": "",
    "reference": "A lamp of brass.",
    "tokens": 0,
    "stopped": True,
    "loss": 6.0,
    "loss_tokens": 4,
}


def generation(**changes: Any) -> Generation:
    return Generation(**{**ROW, **changes})


def test_lines_are_read_in_order_and_line_separators_inside_text_split_nothing(tmp_path: Path) -> None:
    rows = [ROW | {"uid": "2", "answer": "one\u2028two\r\nthree"}, ROW | {"uid": "1"}]
    path = tmp_path / "base.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    assert [g.model_dump() for g in read_generations(path)] == rows


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "base.jsonl"
    path.touch()
    with pytest.raises(UserError, match=r"base\.jsonl holds no answers"):
        read_generations(path)


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{", "the line"),
        (b"\n", "the line"),
        (b"[1]\n", "the line"),
        (b'{"uid": "\xff"}\n', "the line"),
        (json.dumps({k: v for k, v in ROW.items() if k != "answer"}).encode(), "answer"),
        (json.dumps(ROW | {"stopped": "yes"}).encode(), "stopped"),
        (json.dumps(ROW | {"loss": math.nan}).encode(), "loss"),
        (json.dumps(ROW | {"loss": math.inf}).encode(), "loss"),
        (json.dumps(ROW | {"loss_tokens": 0}).encode(), "loss_tokens"),
    ],
)
def test_a_malformed_line_is_named_with_its_number_and_field(tmp_path: Path, line: bytes, fault: str) -> None:
    path = tmp_path / "tuned.jsonl"
    path.write_bytes(json.dumps(ROW).encode() + b"\n" + line)
    with pytest.raises(UserError, match=rf"tuned\.jsonl:2: {fault}: "):
        read_generations(path)


@given(st.binary(max_size=40))
def test_no_line_ends_in_a_traceback(line: bytes) -> None:
    with pytest.raises(UserError):
        parse_generation(line, "base.jsonl:1")


def test_pairs_may_differ_in_answer_and_loss_alone() -> None:
    check_paired([generation()], [generation(answer="A lamp.", loss=1.0, tokens=3, stopped=False)])


@pytest.mark.parametrize("field", ["uid", "title", "reference"])
def test_the_first_line_that_differs_is_named(field: str) -> None:
    base, tuned = [generation(), generation()], [generation(), generation(**{field: "another"})]
    with pytest.raises(UserError, match=f"Line 2 of the generations: {field} is .* 'another' for tuned"):
        check_paired(base, tuned)


def test_another_tokenizer_is_no_pair() -> None:
    with pytest.raises(UserError, match="loss_tokens is 4 for base and 5 for tuned"):
        check_paired([generation()], [generation(loss_tokens=5)])


def test_another_number_of_answers_is_no_pair() -> None:
    with pytest.raises(UserError, match="Base answered 1 records and tuned 2"):
        check_paired([generation()], [generation(), generation()])


def test_loss_is_a_mean_over_tokens_not_over_records() -> None:
    scores = likelihood_scores(
        [generation(loss=6.0, loss_tokens=4), generation(loss=0.0, loss_tokens=2, stopped=False)]
    )
    assert scores == {"answer_loss": 1.0, "perplexity": math.e, "stop_rate": 0.5}


def test_a_perplexity_beyond_floats_is_none() -> None:
    assert likelihood_scores([generation(loss=4000.0)])["perplexity"] is None
