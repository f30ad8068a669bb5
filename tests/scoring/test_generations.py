"""Generations: written and read back the same, in order; a malformed line is named."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.scoring.generations import parse_generation, read_generations, write_generations
from tests.scoring.rows import ROW, generation


def test_lines_are_read_in_order_and_line_separators_inside_text_split_nothing(tmp_path: Path) -> None:
    rows = [ROW | {"uid": "2", "answer": "one\u2028two\r\nthree"}, ROW | {"uid": "1"}]
    path = tmp_path / "base.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    assert [g.model_dump() for g in read_generations(path)] == rows


def test_what_is_written_is_read_and_its_bytes_are_those_of_the_rows(tmp_path: Path) -> None:
    rows = [generation(uid="2", title="Caf\u00e9", answer="one\u2028two\r\nthree", loss=0.1), generation(uid="1")]
    path = tmp_path / "generations/tuned.jsonl"
    write_generations(path, rows)
    assert read_generations(path) == rows
    assert path.read_text(encoding="utf-8").splitlines()[-1] == (
        '{"uid": "1", "title": "A lamp", "prompt": "Describe it.", "answer": "", "reference": "A lamp of brass.", '
        '"finish_reason": "stop", "prompt_tokens": 5, "tokens": 0, "loss": 6.0, "loss_tokens": 4}'
    )
    assert '"Caf\u00e9", "prompt": "Describe it.", "answer": "one\u2028two\\r\\nthree"' in path.read_text(
        encoding="utf-8"
    )


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
        (json.dumps(ROW | {"finish_reason": "yes"}).encode(), "finish_reason"),
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
