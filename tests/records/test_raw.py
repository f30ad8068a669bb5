"""The raw reader: every packing, every kind of malformed line, every kind of damage."""

import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.records import raw

GOOD = {"uid": "0001360000", "title": "Two owls", "content": "Owls in a tree", "target_ind": [1], "target_rel": [1.0]}
LINE = json.dumps(GOOD).encode() + b"\n"
ROW = ("0001360000", "Two owls", "Owls in a tree")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def zipped(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def rows(path: Path) -> list[tuple[str, ...]]:
    return [row for block in raw.read(path) for row in block.records.iter_rows()]


def rejected(path: Path) -> list[dict[str, Any]]:
    return [line for block in raw.read(path) for line in block.rejected]


def test_every_packing_is_told_by_its_content(tmp_path: Path) -> None:
    packed = gzip.compress(LINE * 2)
    paths = [
        write(tmp_path / "a.json", LINE * 2),
        write(tmp_path / "b.json", packed),
        write(tmp_path / "c.json.gz", packed),
        zipped(tmp_path / "d.zip", {"deep/er/trn.json.gz": packed, "deep/er/tst.json.gz": b"", "x/._trn.json.gz": b""}),
        zipped(tmp_path / "e.gz", {"trn.json": LINE * 2}),
    ]
    assert [rows(path) for path in paths] == [[ROW, ROW]] * 5


def test_mark_crlf_and_blank_lines_are_borne(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + LINE.replace(b"\n", b"\r\n") + b"\r\n  \n" + LINE.rstrip()
    path = write(tmp_path / "a.json", data)
    assert [sum(counts) for counts in zip(*((block.lines, block.blank) for block in raw.read(path)), strict=True)] == [
        4,
        2,
    ]
    assert (rows(path), rejected(path)) == ([ROW, ROW], [])


MALFORMED = {
    b"nonsense": "not JSON",
    b"[1]": "not an object",
    b"null": "not an object",
    b"[" * 100_000: "not JSON",
    b'{"uid": "1", "title": "a"}': "content is missing",
    b'{"uid": 1360000, "title": "a", "content": "b"}': "uid is no text",
    b'{"uid": "1", "title": 5, "content": "b"}': "title is no text",
    b'{"uid": "1", "title": "a", "content": ["b"]}': "content is no text",
    b'{"uid": "1", "title": "a", "content": null}': "content is no text",
    b'{"uid": "1", "title": "\xff", "content": "b"}': "invalid UTF-8",
    b'{"uid": "1", "title": "\\ud83d", "content": "b"}': "title holds half a surrogate pair",
}


@pytest.mark.parametrize("line", MALFORMED)
def test_malformed_lines_are_set_aside(line: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", LINE + line + b"\n" + LINE)
    assert rows(path) == [ROW, ROW]
    shown = line.decode("utf-8", "replace")[:200]
    assert rejected(path) == [{"line": 2, "reason": MALFORMED[line], "text": shown}]


def test_the_end_in_mid_line_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", LINE + LINE[:30])
    assert [line["reason"] for line in rejected(path)] == ["not JSON: the file ends in mid-line"]


def test_line_numbers_go_on_over_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "BLOCK_BYTES", 3 * len(LINE))
    path = write(tmp_path / "a.json", LINE * 5 + b"bad\n" + LINE)
    assert [line["line"] for line in rejected(path)] == [6]
    assert rows(path) == [ROW] * 6


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.zip", b"<html>not found", "neither a zip nor gzip"),
        ("a.json.gz", b"<html>not found", "neither a zip nor gzip"),
        ("a.json.gz", gzip.compress(LINE * 99)[:-30], "damaged or cut short"),
        ("a.json.gz", gzip.compress(LINE)[:-8] + b"\0" * 8, "damaged or cut short"),
        ("a.zip", b"PK\x03\x04" + b"\0" * 50, "damaged or cut short"),
    ],
)
def test_damage_is_a_user_error(name: str, data: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=said):
        rows(write(tmp_path / name, data))


def test_a_cut_off_member_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cut short"):
        rows(zipped(tmp_path / "a.zip", {"trn.json.gz": gzip.compress(LINE * 99)[:-20]}))


def test_archives_without_the_file_say_what_they_hold(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds tst\.json\.gz"):
        rows(zipped(tmp_path / "a.zip", {"tst.json.gz": b""}))
    with pytest.raises(UserError, match="just one"):
        rows(zipped(tmp_path / "b.zip", {"a/trn.json.gz": b"", "b/trn.json": b""}))


def test_a_missing_file_names_the_parameter(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.raw is .*none\.json"):
        rows(tmp_path / "none.json")


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "BLOCK_BYTES", 10)
    monkeypatch.setattr(raw, "LONGEST_LINE_BYTES", 40)
    with pytest.raises(UserError, match="no JSON Lines"):
        rows(write(tmp_path / "a.json", b"x" * 100))


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.tuples(texts, texts, texts), min_size=1, max_size=5), st.booleans(), st.booleans())
def test_fast_and_slow_reading_agree(records: list[tuple[str, str, str]], escaped: bool, compact: bool) -> None:
    separators = (",", ":") if compact else None
    lines = [
        json.dumps(dict(zip(raw.FIELDS, record, strict=True)), ensure_ascii=escaped, separators=separators)
        for record in records
    ]
    block = "".join(line + "\n" for line in lines).encode()
    fast, slow = raw.parse_fast(block, len(lines)), raw.parse_lines(block, 1)
    assert slow.records.rows() == records
    assert fast is None or fast.equals(slow.records)
    assert fast is not None or any("\0" in text for record in records for text in record)


def test_triage_names_the_first_reason() -> None:
    records = pl.DataFrame({"title": [" ", "ab", " abc ", "abc"], "content": ["", " \n", "short", "long enough"]})
    assert raw.triage(records, 3, 6)["verdict"].to_list() == ["empty_title", "empty_content", "too_short", "kept"]
