"""decompress: counts that add up, lines set aside, truncated files, refusals that leave the last good result."""

import gzip
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.errors import UserError
from src.params import ColumnParams, DataParams, Params
from src.records import parquet, raw
from src.records.raw_files import REASONS
from src.stages import decompress

AS_PUBLISHED = ColumnParams(uid="uid", title="title", content="content")
OUTPUTS = (decompress.RECORDS, decompress.REJECTED, decompress.REPORT, decompress.FUNNEL_PLOT)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def line(title: str | None, content: str | None = "owls live in trees") -> bytes:
    return json.dumps({"uid": "0001", "title": title, "content": content}).encode() + b"\n"


def run(data: bytes, share: float = 0.5, lines: int = 0, name: str = "raw.json") -> dict[str, Any]:
    """The metrics of a run."""
    Path(name).write_bytes(data)
    data_params = DataParams(
        raw=name, columns=AS_PUBLISHED, lines=lines, max_rejected_share=share, min_title_chars=3, min_content_chars=10
    )
    decompress.main(Params.model_construct(data=data_params))
    return json.loads(Path(decompress.REPORT).read_text())


def written() -> list[bytes]:
    return [Path(path).read_bytes() for path in OUTPUTS]


MIX = line("An owl") * 2 + line("") + line("An owl", None) + line("An", "owl") + b"\nbad\n" + b'{"uid": 5}\n' + b"bad\n"


def test_every_line_is_counted_once() -> None:
    counts = run(MIX)
    by_reason = counts.pop("rejected_by_reason")
    assert counts == {
        **{"lines": 8, "blank": 1, "rejected": 3, "empty_title": 1, "empty_content": 1, "too_short": 1, "kept": 2},
        "cut_off": 0,
    }
    assert list(counts) == list(decompress.COUNTED)
    assert list(by_reason) == list(REASONS)
    assert {reason: count for reason, count in by_reason.items() if count} == {"not JSON": 2, "uid is no text": 1}
    assert pl.read_parquet(decompress.RECORDS).rows() == [("0001", "An owl", "owls live in trees")] * 2
    aside = [json.loads(row) for row in Path(decompress.REJECTED).read_text().splitlines()]
    assert [(row["line"], row["text"]) for row in aside] == [(7, "bad"), (8, '{"uid": 5}'), (9, "bad")]


def test_the_funnel_has_a_row_for_each_fate() -> None:
    run(MIX)
    assert Path(decompress.FUNNEL_PLOT).read_text() == (
        "step\trecords\nmalformed\t3\nempty title\t1\nempty description\t1\ntoo short\t1\nkept\t2\n"
    )


def test_packing_and_threads_do_not_change_a_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "BLOCK_BYTES", 100)
    monkeypatch.setattr(raw, "PIECE_BYTES", 30)
    outputs = []
    for threads, name, data in [(1, "a.json", MIX * 9), (7, "a.json", MIX * 9), (3, "b.gz", gzip.compress(MIX * 9))]:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, threads=threads: range(threads))
        run(data, name=name)
        outputs.append(written())
    assert outputs[0] == outputs[1] == outputs[2]


def test_only_the_first_lines_count() -> None:
    counts = run(MIX, lines=4)
    assert (counts["lines"], counts["kept"], counts["rejected"]) == (4, 2, 0)


def test_a_truncated_file_is_read_with_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    whole = gzip.compress(b"".join(line(f"Owl {number}") for number in range(500)))
    counts = run(whole[: len(whole) // 2], name="raw.json.gz")
    assert counts["cut_off"] == 1 and 0 < counts["kept"] < 500
    assert counts["rejected_by_reason"]["the file ends in mid-gzip"] == counts["rejected"] == 1
    assert f"raw.json.gz ends in the middle of line {counts['lines']}" in capsys.readouterr().out
    assert run(line("An owl") * 9 + line("An owl")[:20])["cut_off"] == 1
    assert run(line("An owl") * 9)["cut_off"] == 0
    assert capsys.readouterr().out.count("ends in the middle") == 1


def test_progress_is_shown_on_a_terminal_alone(capsys: pytest.CaptureFixture[str]) -> None:
    run(MIX)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (line("An owl") + b"bad\n" * 3, r"raw\.json:2: not JSON; 3 of 4 .*data\.max_rejected_share = 0\.5"),
        (line("An owl") + b"\n" + line("An owl")[:20] + b"\n" + b"[]\n", r"raw\.json:3: not JSON; 2 of 3 lines"),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (gzip.compress(b"")[:12], "truncated before its first line"),
        (gzip.compress(line("An owl"))[:30], r"raw\.json:1: the file ends in mid-gzip; 1 of 1 lines"),
        (line("") * 3, r"none of the 3 records .*data\.min_title_chars"),
        (line("") * 3, r"none of the 3 records .*\(3 empty title\): set a file whose records have titles\."),
        (
            line("") + line("An") * 2,
            r"\(1 empty title, 2 too short\): lower data\.min_title_chars or data\.min_content",
        ),
        (gzip.compress(line("An owl") * 99)[:-8] + b"checksum", "damaged"),
    ],
)
def test_refusals_leave_the_last_good_result(data: bytes, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw, "BLOCK_BYTES", 1)
    run(line("An owl"))
    good = written()
    with pytest.raises(UserError, match=message):
        run(data)
    assert written() == good
    assert not list(Path().rglob("*.partial"))


def test_a_full_disk_leaves_the_last_good_result(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    run(line("owl"))
    good = written()
    monkeypatch.setattr(parquet.pq.ParquetWriter, "write_table", write)  # of the last batch, so that none follows it
    with pytest.raises(OSError, match="No space left"):
        run(line("tawny owl") + b"no JSON\n")
    assert written() == good
