"""decompress: counts that add up, lines set aside, and refusals that leave the last good result standing."""

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from src.errors import UserError
from src.params import DataParams, Params
from src.stages import decompress


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def line(title: str, content: str = "owls live in trees") -> bytes:
    return json.dumps({"uid": "0001", "title": title, "content": content}).encode() + b"\n"


def params(raw: str = "raw.json", share: float = 0.5) -> Params:
    return Params.model_construct(
        data=DataParams(raw=raw, max_rejected_share=share, min_title_chars=3, min_content_chars=10)
    )


def run(data: bytes, share: float = 0.5) -> None:
    Path("raw.json").write_bytes(data)
    decompress.main(params(share=share))


def test_every_line_is_counted_once() -> None:
    run(line("An owl") * 2 + line("") + line("An owl", " ") + line("An", "owl") + b"\nbad\n")
    counts = json.loads(Path(decompress.METRICS).read_text())
    assert counts == {
        **{"lines": 7, "blank": 1, "rejected": 1, "empty_title": 1, "empty_content": 1, "too_short": 1, "kept": 2}
    }
    assert list(counts) == list(decompress.COUNTED)
    assert pl.read_parquet(decompress.RECORDS).rows() == [("0001", "An owl", "owls live in trees")] * 2
    assert json.loads(Path(decompress.REJECTED).read_text()) == {"line": 7, "reason": "not JSON", "text": "bad"}


def test_the_same_records_give_the_same_bytes_whatever_the_packing() -> None:
    run(line("An owl") * 9)
    first = Path(decompress.RECORDS).read_bytes()
    Path("raw.json.gz").write_bytes(gzip.compress(line("An owl") * 9))
    decompress.main(params("raw.json.gz"))
    assert Path(decompress.RECORDS).read_bytes() == first


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (line("An owl") + b"bad\n" * 3, r"raw\.json:2: not JSON; 3 of 4 .*data\.max_rejected_share = 0\.5"),
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (line("") * 3, r"none of the 3 records .*data\.min_title_chars"),
        (gzip.compress(line("An owl") * 99)[:-20], "damaged or cut short"),
    ],
)
def test_refusals_leave_the_last_good_result(data: bytes, said: str) -> None:
    run(line("An owl"))
    outputs = (decompress.RECORDS, decompress.REJECTED, decompress.METRICS)
    good = [Path(path).read_bytes() for path in outputs]
    with pytest.raises(UserError, match=said):
        run(data)
    assert [Path(path).read_bytes() for path in outputs] == good
    assert not list(Path().rglob("*.partial"))
