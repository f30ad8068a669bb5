"""Rows that are kept as they come: on the disk at once, and what a killed process left of its last one is removed."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from src.errors import UserError
from src.journal import Journal


def test_rows_are_there_for_the_next_reader_at_once(tmp_path: Path) -> None:
    path = tmp_path / "new/rows.jsonl"
    journal = Journal(path)
    assert not path.exists()
    for row in ({"text": "é\u2028\n"}, [1], None):
        journal.append(row)
        assert Journal(path).rows == journal.rows
    assert journal.rows == [{"text": "é\u2028\n"}, [1], None]


@pytest.mark.parametrize("left", ["", '{"ro', '{"row": 3}', "\0\0"])
def test_a_torn_last_row_is_removed(tmp_path: Path, left: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(f'{{"row": 1}}\n{{"row": 2}}\n{left}')
    journal = Journal(path)
    journal.append({"row": 4})
    assert Journal(path).rows == journal.rows == [{"row": 1}, {"row": 2}, {"row": 4}]


def test_a_damaged_row_is_refused_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"row": 1}\n{"ro\n{"row": 3}\n')
    with pytest.raises(UserError, match=r"rows\.jsonl:2 is damaged: correct that line"):
        Journal(path)


def test_threads_do_not_mix_their_rows(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "rows.jsonl")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: journal.append("x" * number), range(100)))
    assert sorted(map(len, Journal(journal.path).rows)) == list(range(100))
