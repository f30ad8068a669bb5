"""Parquet in batches: same batches, same bytes; what fails while a batch is written is told."""

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from src.errors import UserError
from src.records.parquet import RECORDS, count_rows, map_in_order, parquet_writer, read_batches

BATCHES = [
    pl.DataFrame({"uid": [f"{number}{row}" for row in range(rows)], "title": "Owl", "content": "Owls live in barns."})
    for number, rows in enumerate((3, 0, 1, 4))
]


def write(path: Path, batches: list[pl.DataFrame] = BATCHES) -> Path:
    with parquet_writer(path) as append:
        for batch in batches:
            append(batch)
    return path


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    assert pl.concat(read_batches(path)).equals(pl.concat(BATCHES))
    assert count_rows(path) == 8


def test_each_batch_with_rows_is_a_row_group(tmp_path: Path) -> None:
    groups = pq.read_metadata(write(tmp_path / "a.parquet"))
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [3, 1, 4]


def test_the_same_batches_give_the_same_bytes(tmp_path: Path) -> None:
    assert write(tmp_path / "a.parquet").read_bytes() == write(tmp_path / "b.parquet").read_bytes()


def test_without_rows_the_file_has_its_columns(tmp_path: Path) -> None:
    found = pl.read_parquet(write(tmp_path / "a.parquet", []))
    assert found.schema == RECORDS
    assert not found.height


@pytest.mark.parametrize("wrong", range(4))
def test_a_batch_that_cannot_be_written_ends_the_block_and_leaves_no_file(wrong: int, tmp_path: Path) -> None:
    batches = BATCHES * 2
    batches[wrong] = pl.DataFrame({"uid": ["1"], "title": [b"\xff"], "content": ["x"]})
    with pytest.raises(Exception, match=r"(?i)utf-?8"):
        write(tmp_path / "a.parquet", batches[: wrong + 1])
    with pytest.raises(Exception, match=r"(?i)utf-?8"):
        write(tmp_path / "a.parquet", batches)
    assert not list(tmp_path.iterdir())


def test_an_error_in_the_block_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    before = path.read_bytes()
    with pytest.raises(UserError, match="stop"), parquet_writer(path) as append:
        append(BATCHES[0])
        raise UserError("stop")
    assert path.read_bytes() == before
    assert [path] == list(tmp_path.iterdir())


def test_results_come_in_the_order_of_the_items() -> None:
    assert list(map_in_order(lambda item: -item, range(9))) == [-item for item in range(9)]
