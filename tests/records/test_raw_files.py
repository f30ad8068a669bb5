"""CSV and Parquet are read as JSON Lines are: the same records, malformed rows set aside, columns by their names."""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.errors import UserError
from src.params import ColumnParams, DataParams
from src.records import tables
from src.records.raw_files import REASONS, read_records

NAMES = {"uid": "asin", "title": "name", "content": "about"}
ROWS = [("0001", "Two owls", "Owls, in a tree"), ("0002", 'A "red" fox', "Foxes\nat night"), ("0003", "Kerr’s jar", "")]
TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), max_size=12)


def read(path: Path, columns: dict[str, str] = NAMES, lines: int = 0) -> list[Any]:
    """What decompress reads of a file."""
    data = DataParams(
        raw=str(path),
        columns=ColumnParams(**columns),
        lines=lines,
        max_rejected_share=1.0,
        min_title_chars=1,
        min_content_chars=1,
    )
    return list(read_records(data))


def records(path: Path, **chosen: Any) -> list[tuple[str, ...]]:
    return [row for batch in read(path, **chosen) for row in batch.records.iter_rows()]


def rejected(path: Path, **chosen: Any) -> list[tuple[int, str]]:
    return [(row["line"], row["reason"]) for batch in read(path, **chosen) for row in batch.rejected]


def as_csv(
    rows: Sequence[tuple[str, ...]], delimiter: str = ",", names: tuple[str, ...] = ("asin", "name", "about")
) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows([names, *rows])
    return text.getvalue().encode()


def as_parquet(path: Path, rows: Sequence[tuple[Any, ...]], kind: Any = None) -> Path:
    columns = zip(*rows, strict=True)
    pq.write_table(
        pa.table({name: pa.array(values, kind) for name, values in zip(NAMES.values(), columns, strict=True)}), path
    )
    return path


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_every_kind_of_file_gives_the_same_records(tmp_path: Path) -> None:
    lines = [json.dumps(dict(zip(NAMES.values(), row, strict=True))).encode() + b"\n" for row in ROWS]
    paths = [
        write(tmp_path / "a.json", b"".join(lines)),
        write(tmp_path / "a.csv", as_csv(ROWS)),
        write(
            tmp_path / "b.csv", b"\xef\xbb\xbf" + as_csv(ROWS, ";").replace(b"\n", b"\r\n").replace(b"s\r\na", b"s\na")
        ),
        write(tmp_path / "a.TSV", as_csv(ROWS, "\t")),
        write(tmp_path / "a.csv.gz", gzip.compress(as_csv(ROWS))),
        as_parquet(tmp_path / "a.parquet", ROWS),
        as_parquet(tmp_path / "b.parquet", ROWS, pa.large_string()),
        as_parquet(tmp_path / "c.parquet", ROWS, pa.dictionary(pa.int32(), pa.string())),
    ]
    assert [records(path) for path in paths] == [ROWS] * len(paths)
    assert [records(path, lines=2) for path in paths] == [ROWS[:2]] * len(paths)


def test_records_without_a_uid_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 2)  # the numbers go on from batch to batch
    wanted = [(f"{number:010}", *row[1:]) for number, row in enumerate(ROWS, start=1)]
    lines = [json.dumps({"name": title, "about": content}).encode() + b"\n" for _, title, content in ROWS]
    for path in (
        write(tmp_path / "a.json", b"".join(lines)),
        write(tmp_path / "a.csv", as_csv([row[1:] for row in ROWS], names=("name", "about"))),
        as_parquet(tmp_path / "a.parquet", ROWS),
    ):
        assert records(path, columns=NAMES | {"uid": ""}) == wanted


def test_columns_may_be_in_any_order_among_others(tmp_path: Path) -> None:
    rows = [("x", content, uid, title) for uid, title, content in ROWS]
    path = write(tmp_path / "a.csv", as_csv(rows, names=("price", "about", "asin", "name")))
    assert records(path) == ROWS


def test_malformed_rows_are_set_aside_with_their_lines(tmp_path: Path) -> None:
    body = b'1,a,b\n2,"a"x,b\n3,a\n\n,a,b\n4,"two\nlines",b\n5,\xff,b\n6,a,b\n'
    path = write(tmp_path / "a.csv", b"asin,name,about\n" + body)
    assert records(path) == [("1", "a", "b"), ("4", "two\nlines", "b"), ("6", "a", "b")]
    reasons = [(3, tables.NOT_CSV), (4, tables.OTHER_FIELDS), (6, "uid is missing"), (9, "invalid UTF-8")]
    assert rejected(path) == reasons
    (batch,) = read(path)
    assert (batch.lines, batch.blank) == (8, 1)
    assert {reason for _, reason in reasons} <= set(REASONS)


def test_a_csv_file_that_ends_in_quotes_is_cut_off(tmp_path: Path) -> None:
    (batch,) = read(write(tmp_path / "a.csv", as_csv(ROWS) + b'4,"never clos'))
    assert batch.cut_off and batch.records.height == len(ROWS)


def test_whole_numbers_are_uids_in_parquet_and_null_is_none(tmp_path: Path) -> None:
    table = pa.table({"asin": pa.array([7, None]), "name": ["a", "b"], "about": pa.array([None, "c"])})
    pq.write_table(table, tmp_path / "a.parquet")
    assert records(tmp_path / "a.parquet") == [("7", "a", "")]
    assert rejected(tmp_path / "a.parquet") == [(2, "uid is missing")]


def test_a_missing_column_is_named_beside_those_that_are_there(tmp_path: Path) -> None:
    for path in (write(tmp_path / "a.csv", as_csv(ROWS, ";")), as_parquet(tmp_path / "a.parquet", ROWS)):
        with pytest.raises(UserError, match=r"data.columns.title is 'titel', and .* 'asin', 'name', 'about': name"):
            read(path, columns=NAMES | {"title": "titel"})


def test_a_column_of_another_type_is_refused(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "a.parquet", [("1", 5, "b")])
    with pytest.raises(UserError, match=r"data.columns.title is 'name', which holds int64 in .*: name another"):
        read(path)


@pytest.mark.parametrize("damage", [lambda data: data[:-40], lambda data: data[:4] + bytes(60) + data[64:]])
def test_damaged_parquet_is_refused(damage: Any, tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "a.parquet", ROWS)
    with pytest.raises(UserError, match="is missing or damaged"):
        read(write(path, damage(path.read_bytes())))


def test_text_in_parquet_that_is_no_utf_8_is_refused(tmp_path: Path) -> None:
    path = as_parquet(tmp_path / "a.parquet", [("1", "aaaa", "b")])
    with pytest.raises(UserError, match=r"damaged .*UTF8"):
        read(write(path, path.read_bytes().replace(b"aaaa", b"a\xffaa")))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for name in ("a.csv", "a.parquet"):
        with pytest.raises(UserError, match="there is no such file"):
            read(tmp_path / name)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(TEXTS.filter(len), TEXTS, TEXTS), min_size=1, max_size=5))
def test_any_texts_go_through_csv_and_parquet(rows: list[tuple[str, ...]], tmp_path: Path) -> None:
    assert records(write(tmp_path / "a.csv", as_csv(rows))) == rows
    assert records(as_parquet(tmp_path / "a.parquet", rows)) == rows


def test_a_folder_of_shards_is_read_as_one_file(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    as_parquet(tmp_path / "shards/00000.parquet", ROWS[:1])
    write(tmp_path / "shards/00001.csv", as_csv([*ROWS[1:2], ("", "No uid", "")]))
    as_parquet(tmp_path / "shards/00002.parquet", [*ROWS[2:], (None, "None either", "")])
    write(tmp_path / "shards/.gitignore", b"*")
    assert records(tmp_path / "shards") == ROWS
    missing = "uid is missing"
    assert rejected(tmp_path / "shards")[-1] == (1 + 2 + 2, missing) and len(rejected(tmp_path / "shards")) == 2
    assert [records(tmp_path / "shards", lines=lines) for lines in (1, 2, 3, 4)] == [ROWS[:1], ROWS[:2], ROWS[:2], ROWS]
    assert [len(rejected(tmp_path / "shards", lines=lines)) for lines in (2, 3, 5)] == [0, 1, 2]


def test_records_are_numbered_over_all_shards(tmp_path: Path) -> None:
    for number, row in enumerate(ROWS):
        as_parquet(tmp_path / f"{number}.parquet", [row])
    found = records(tmp_path, columns=NAMES | {"uid": ""})
    assert [uid for uid, *_ in found] == ["0000000001", "0000000002", "0000000003"]


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is no folder, or has no files"):
        records(tmp_path)
