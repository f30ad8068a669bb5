"""The raw reader: every packing, every kind of malformed line, every kind of damage, one law for any mix of lines."""

import gzip
import io
import json
import os
import re
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.records import raw

GOOD = {"uid": "0001360000", "title": "Two owls", "content": "Owls in a tree", "target_ind": [1], "target_rel": [1.0]}
LINE = json.dumps(GOOD).encode() + b"\n"
ROW = ("0001360000", "Two owls", "Owls in a tree")
MANY = b"".join(LINE.replace(b"Two", str(number).encode()) for number in range(1000))


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def zipped(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def rows(path: Path, lines: int = 0) -> list[tuple[str, ...]]:
    return [row for block in raw.read_raw(path, lines) for row in block.records.iter_rows()]


def rejected(path: Path) -> list[dict[str, Any]]:
    return [line for block in raw.read_raw(path) for line in block.rejected]


def test_every_packing_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    packed = gzip.compress(LINE * 2)
    paths = [
        write(tmp_path / "a.json", LINE * 2),
        write(tmp_path / "b.json", packed),
        write(tmp_path / "c.json.gz", packed),
        zipped(tmp_path / "d.zip", {"deep/er/trn.json.gz": packed, "deep/er/tst.json.gz": b"", "x/._trn.json.gz": b""}),
        zipped(tmp_path / "e.zip", {"trn.json.gz": packed}, zipfile.ZIP_STORED),
        zipped(tmp_path / "f.gz", {"trn.json": LINE * 2}),
    ]
    assert [rows(path) for path in paths] == [[ROW, ROW]] * 6


def test_gzip_may_have_members_and_padding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "PIECE_BYTES", 7)  # every part begins and ends within a piece somewhere
    middle = len(LINE) // 2
    data = gzip.compress(LINE[:middle]) + bytes(20) + gzip.compress(LINE[middle:]) + gzip.compress(b"") + bytes(512)
    parsed = list(raw.read_raw(write(tmp_path / "a.json.gz", data)))
    assert [block.records.rows() for block in parsed] == [[ROW]]
    assert not parsed[-1].cut_off


def test_mark_crlf_and_blank_lines_are_borne(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + LINE.replace(b"\n", b"\r\n") + b"\r\n  \n" + LINE.rstrip()
    (parsed,) = raw.read_raw(write(tmp_path / "a.json", data))
    assert (parsed.lines, parsed.blank, parsed.rejected, parsed.cut_off) == (4, 2, [], False)
    assert parsed.records.rows() == [ROW, ROW]


ACCEPTED = {
    b'{"uid": "1", "title": null, "content": "b"}': ("1", "", "b"),
    b'{"uid": "1", "title": "a", "content": null, "target_ind": [], "target_rel": []}': ("1", "a", ""),
    b'{"uid": "1", "title": "a", "extra": null, "content": null}': ("1", "a", ""),
    b'{"uid":"1","title":"a","content":"b"}': ("1", "a", "b"),
    b'{"content": "b", "title": "a", "uid": "1"}': ("1", "a", "b"),
    b'{"title": 5, "uid": "1", "content": "b", "title": "a"}': ("1", "a", "b"),
    b'{"uid": "1", "title": "a", "content": "b", "title": "c"}': ("1", "c", "b"),
    b'{"uid": "1", "x": {"title": "no", "content": 5}, "title": "a", "content": "b"}': ("1", "a", "b"),
    b'{"uid": "1", "title": "a\\u0000", "content": "\\ud83d\\ude00\\n"}': ("1", "a\0", "\U0001f600\n"),
    rb'{"uid": "1", "title": "a", "content": ", \"target_ind\": [1]}"}': ("1", "a", ', "target_ind": [1]}'),
    b'{"uid": "1", "\\u0074itle": "a", "content": "}\xe2\x80\xa8\x7f"}': ("1", "a", "}\u2028\x7f"),
    b'{"uid": "1", "title": "a", "content": "%s"}' % (b"x" * 300_000): ("1", "a", "x" * 300_000),
}


@pytest.mark.parametrize("line", ACCEPTED, ids=lambda line: line[:60])
def test_odd_but_good_lines_are_read(line: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", LINE + line + b"\n" + LINE)
    assert (rows(path), rejected(path)) == ([ROW, ACCEPTED[line], ROW], [])


MALFORMED = {
    b"nonsense": "not JSON",
    LINE.rstrip() * 2: "not JSON",
    b'{"uid": "1", "title": "a\x01", "content": "b"}': "not JSON",
    b'{"uid": "1", "title": "a\0", "content": "b"}': "not JSON",
    b'{"uid": "1", "title": "a", "content": "b", "target_ind": [1,], "target_rel": []}': "not JSON",
    b'{"uid": "1", "title": "a", "content": "b", "target_ind": [01], "target_rel": []}': "not JSON",
    b"[" * 100_000: "not JSON",
    b"\xef\xbb\xbf" + LINE.rstrip(): "not JSON",
    b"[1]": "not an object",
    b"null": "not an object",
    b"{}": "uid is missing",
    b'{"uid": "1", "title": "a"}': "content is missing",
    b'{"uid": "1", "content": "a", "x": {"title": "b"}}': "title is missing",
    b'{"uid": 1360000, "title": "a", "content": "b"}': "uid is no text",
    b'{"uid": null, "title": "a", "content": "b"}': "uid is no text",
    b'{"uid": "1", "title": 5, "content": "b"}': "title is no text",
    b'{"uid": "1", "title": "a", "content": "b", "title": 5}': "title is no text",
    b'{"uid": "1", "title": "a", "content": ["b"]}': "content is no text",
    b'{"uid": "1", "title": "a", "content": true}': "content is no text",
    b'{"uid": "1", "title": "\xff", "content": "b"}': "invalid UTF-8",
    b'{"uid": "1", "title": "\xed\xa0\xbd", "content": "b"}': "invalid UTF-8",
    b'{"uid": "1", "title": "\\ud83d", "content": "b"}': "unpaired surrogate",
    b'{"uid": "1", "title": "a", "content": "\\ude00\\ud83d"}': "unpaired surrogate",
}


@pytest.mark.parametrize("line", MALFORMED, ids=lambda line: line[:60])
def test_malformed_lines_are_set_aside(line: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", LINE + line + b"\n" + LINE)
    assert rows(path) == [ROW, ROW]
    shown = line.decode("utf-8", "replace")[:200]
    assert rejected(path) == [{"line": 2, "reason": MALFORMED[line], "text": shown}]
    assert MALFORMED[line] in raw.REASONS


def test_an_uneven_sum_does_not_hide_a_wrong_type(tmp_path: Path) -> None:
    """As many texts called title as there are lines, and yet one title is a number."""
    number, nested = b'{"uid": "1", "title": 5, "content": "b"}\n', LINE[:-2] + b', "x": {"title": "more"}}\n'
    path = write(tmp_path / "a.json", number + nested)
    assert (rows(path), [line["line"] for line in rejected(path)]) == ([ROW], [1])


@pytest.mark.parametrize("end", [LINE[:30], b'{"uid": "1", "title": "caf\xc3'])
def test_the_end_in_mid_line_is_named(end: bytes, tmp_path: Path) -> None:
    (parsed,) = raw.read_raw(write(tmp_path / "a.json", LINE + end))
    shown = end.decode("utf-8", "replace")
    assert parsed.rejected == [{"line": 2, "reason": "the file ends in mid-line", "text": shown}]
    assert parsed.cut_off


@pytest.mark.parametrize("pack", [gzip.compress, lambda data: gzip.compress(LINE) + gzip.compress(data)])
def test_truncated_gzip_is_read_as_far_as_it_goes(pack: Any, tmp_path: Path) -> None:
    whole = pack(MANY)
    for size in [len(whole) - 1, len(whole) - 8, len(whole) - 30, len(whole) // 2]:
        path = write(tmp_path / "a.json.gz", whole[:size])
        (parsed,) = raw.read_raw(path)
        there = parsed.records.height
        assert parsed.cut_off and there > 100
        assert parsed.records.rows() == rows(write(tmp_path / "b.json.gz", whole), there)
        assert [(row["line"], row["reason"]) for row in parsed.rejected] in ([], [(there + 1, raw.MID_GZIP)])
    assert parsed.rejected[0]["text"].startswith('{"uid": "000136')  # the last size ends within a line


def test_a_truncated_member_of_a_zip_is_read_as_well(tmp_path: Path) -> None:
    (parsed,) = raw.read_raw(zipped(tmp_path / "a.zip", {"trn.json.gz": gzip.compress(MANY)[:-20]}))
    assert parsed.cut_off and parsed.records.height > 900


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


PACKED = gzip.compress(MANY)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.zip", b"<html>not found", "neither a zip nor gzip"),
        ("a.json.gz", b"<html>not found", "neither a zip nor gzip"),
        ("a.json.gz", flipped(PACKED, -8), r"a\.json\.gz is damaged \(.*checksum"),
        ("a.json.gz", flipped(PACKED, -4), r"damaged \(.*checksum"),
        ("a.json.gz", flipped(PACKED, len(PACKED) // 2), "damaged"),
        ("a.json.gz", PACKED + b"garbage, not a member", "damaged"),
        ("a.json.gz", PACKED + bytes(99) + b"garbage, not a member", "damaged"),
        ("a.zip", b"PK\x03\x04" + bytes(50), "damaged"),
    ],
)
def test_damage_is_a_user_error(name: str, data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        rows(write(tmp_path / name, data))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damage_inside_a_zip_is_a_user_error(method: int, tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", {"trn.json": MANY}, method)
    data = path.read_bytes()
    for broken in (data[:-10], data[: len(data) // 2], flipped(data, len(data) // 3)):
        with pytest.raises(UserError, match=r"a\.zip is damaged"):
            rows(write(path, broken))


def test_a_zip_that_promises_more_than_it_holds_is_a_user_error(tmp_path: Path) -> None:
    data = zipped(tmp_path / "a.zip", {"trn.json": MANY}, zipfile.ZIP_STORED).read_bytes()
    sizes, more = (struct.pack("<LL", size, size) for size in (len(MANY), 2 * len(MANY)))
    with pytest.raises(UserError, match=r"it holds less than its header states|Overlapped entries"):
        rows(write(tmp_path / "a.zip", more.join(data.rsplit(sizes, 1))))


def test_archives_without_the_file_say_what_they_hold(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds tst\.json\.gz"):
        rows(zipped(tmp_path / "a.zip", {"tst.json.gz": b""}))
    with pytest.raises(UserError, match="just one"):
        rows(zipped(tmp_path / "b.zip", {"a/trn.json.gz": b"", "b/trn.json": b""}))


def test_a_missing_file_names_the_parameter(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.raw is .*none\.json"):
        rows(tmp_path / "none.json")


@pytest.mark.parametrize("pieces", [1, 7, 1000])
def test_a_block_is_as_many_whole_lines_as_fit_or_one_longer_line(
    pieces: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(raw, "BLOCK_BYTES", 10)
    data = b"aaa\nbbb\ncccccccccccccccc\nd\neeeeeee\nffff"
    found = raw.line_blocks((data[start : start + pieces] for start in range(0, len(data), pieces)), tmp_path)
    assert [block.text for block in found] == [b"aaa\nbbb\n", b"cccccccccccccccc\n", b"d\neeeeeee\n", b"ffff"]


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "BLOCK_BYTES", 10)
    monkeypatch.setattr(raw, "LONGEST_LINE_BYTES", 40)
    with pytest.raises(UserError, match="not a JSON Lines"):
        rows(write(tmp_path / "a.json", b"x" * 100))


@pytest.mark.parametrize("size", [1, len(LINE), 3 * len(LINE) + 5, 10**6])
@pytest.mark.parametrize("lines", [1, 3, 4, 6, 7, 8, 99])
def test_only_the_first_lines_are_read(size: int, lines: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "BLOCK_BYTES", size)
    data = LINE * 3 + b"\nbad\n" + LINE + LINE.rstrip()
    parsed = list(raw.read_raw(write(tmp_path / "a.json", data), lines))
    assert sum(block.lines for block in parsed) == min(lines, 7)
    assert sum(block.records.height for block in parsed) == {1: 1, 3: 3, 4: 3, 6: 4}.get(lines, 5)
    assert [row["line"] for block in parsed for row in block.rejected] == [5] * (lines >= 5)
    assert not any(block.cut_off for block in parsed)


def test_what_lies_behind_the_first_lines_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(raw, "PIECE_BYTES", 1000)
    assert len(rows(write(tmp_path / "a.json.gz", flipped(PACKED, -8)), 150)) == 150


# One law for any mix of lines: reading them at once, in blocks and threads, gives what one by one gives.

TEXTS = st.text(st.one_of(st.characters(), st.sampled_from('"\\/\b\n\r{}[],:0é\u2028\ud83d\ude00')), max_size=12)
VALUES = st.one_of(TEXTS, st.none(), st.integers(), st.floats(), st.lists(TEXTS, max_size=2), st.sampled_from([GOOD]))
NUMBERS = st.lists(st.integers(0, 10**7) | st.floats(0, 99, width=16), max_size=3)
NAMED = st.tuples(TEXTS, TEXTS | st.none(), TEXTS | st.none()).map(
    lambda texts: dict(zip(raw.FIELDS, texts, strict=True))
)
TARGETS = st.tuples(NUMBERS, NUMBERS).map(lambda lists: dict(zip(["target_ind", "target_rel"], lists, strict=True)))
PUBLISHED = st.builds(dict.__or__, NAMED, TARGETS | st.just({}))
OTHERS = st.dictionaries(st.sampled_from([*GOOD, "x"]), VALUES)


@st.composite
def json_lines(draw: st.DrawFn) -> bytes:
    separators = draw(st.sampled_from([(", ", ": "), (",", ":")]))
    text = json.dumps(draw(PUBLISHED | OTHERS), ensure_ascii=draw(st.booleans()), separators=separators)
    return text.encode("utf-8", "surrogatepass")


@st.composite
def mutated_lines(draw: st.DrawFn) -> bytes:
    line = draw(json_lines() | st.just(LINE.rstrip()))
    start, end = sorted(draw(st.integers(0, len(line))) for _ in range(2))
    patch = draw(st.sampled_from([b"", b"\xff", b"\r", b"}", b'"', b"\\", b"\0", b', "title": 5', b"01", b"1.", b"[]"]))
    return line[:start] + patch + line[draw(st.sampled_from([start, min(start + 1, end), end])) :]


MARKED = raw.BYTE_ORDER_MARK + LINE.rstrip()
LINES = st.one_of(
    json_lines(), mutated_lines(), st.sampled_from([b"", b"  ", b"bad", LINE.rstrip(), LINE[:-1] + b"\r", MARKED])
)


def one_by_one(data: bytes) -> tuple[list[tuple[str, ...]], list[tuple[int, str]], int]:
    """Records, malformed lines and the number of blank lines, by Python's JSON reader alone."""
    records, malformed, blank = [], [], 0
    for number, line in enumerate(io.BytesIO(data.removeprefix(raw.BYTE_ORDER_MARK)), 1):
        if not line.strip():
            blank += 1
            continue
        try:
            records.append(tuple(json.loads(raw.normalise_line(line, raw.MID_LINE)).values()))
        except ValueError as error:
            malformed.append((number, str(error)))
    return records, malformed, blank


def at_once(parsed: Iterable[raw.Parsed]) -> tuple[list[tuple[str, ...]], list[tuple[int, str]], int]:
    blocks = list(parsed)
    assert sum(block.lines - block.blank - block.records.height - len(block.rejected) for block in blocks) == 0
    return (
        [row for block in blocks for row in block.records.rows()],
        [(row["line"], row["reason"]) for block in blocks for row in block.rejected],
        sum(block.blank for block in blocks),
    )


@given(st.lists(LINES, max_size=8), st.integers(1, 300), st.booleans(), st.booleans(), st.sampled_from([1, 3]))
def test_any_mix_of_lines_in_any_blocks_reads_as_line_by_line(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], size: int, ended: bool, marked: bool, threads: int
) -> None:
    data = raw.BYTE_ORDER_MARK * marked + b"\n".join(lines) + b"\n" * ended
    path = write(tmp_path_factory.getbasetemp() / "mix.json", data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(raw, "BLOCK_BYTES", size)
        patch.setattr(os, "sched_getaffinity", lambda _: range(threads))
        assert at_once(raw.read_raw(path)) == one_by_one(data)


@given(PUBLISHED, st.booleans())
def test_the_published_form_takes_the_fast_path(record: dict[str, Any], escaped: bool) -> None:
    """Whole surrogate pairs written as escapes, and numbers with exponents, are rare enough for the slow one."""
    line = json.dumps(record, ensure_ascii=escaped).encode("utf-8", "surrogatepass") + b"\n"
    rare = re.search(rb"\\ud[89a-f]|\xed[\xa0-\xbf]|\de-\d", line)
    assert raw.unpublished_lines([line]).is_empty() or rare
