"""clean: what is written and counted, batch by batch, with and without ASCII."""

import json
from pathlib import Path

import polars as pl
import pytest

from src.errors import UserError
from src.params import CleanParams, DataParams, Params
from src.records import tables
from src.stages import clean

LONG = "owls live in trees &amp; barns"


def run(rows: list[tuple[str, str, str]], ascii_only: bool = False) -> list[tuple[str, ...]]:
    data = DataParams(raw="-", max_rejected_share=0.0, min_title_chars=3, min_content_chars=10)
    with tables.parquet_writer(clean.RECORDS) as append:
        append(pl.DataFrame(rows, schema=list(tables.FIELDS), orient="row"))
    clean.main(Params.model_construct(data=data, clean=CleanParams(ascii=ascii_only)))
    return pl.read_parquet(clean.CLEAN).rows()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_records_are_mended_dropped_and_counted_over_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 2)
    rows = [("1", "An&nbsp;owl", LONG), ("2", "Barns", "barns"), ("3", "AN OWL", LONG), ("4", "Café", LONG)]
    assert run(rows) == [("1", "An owl", "owls live in trees & barns"), ("4", "Café", "owls live in trees & barns")]
    metrics = json.loads(Path(clean.METRICS).read_text())
    assert (metrics["records"], metrics["content_is_title"], metrics["duplicate"], metrics["kept"]) == (4, 1, 1, 2)
    assert metrics["records"] == sum(metrics[name] for name in clean.VERDICTS)
    assert metrics["changed_entities"] == 3
    assert "entities\t1\t3\n" in Path(clean.RULES_PLOT).read_text()
    assert "duplicate\t1\n" in Path(clean.FUNNEL_PLOT).read_text()


def test_ascii_is_an_option() -> None:
    assert run([("1", "Café", LONG)], ascii_only=True)[0][1] == "Cafe"
    assert "changed_ascii" in json.loads(Path(clean.METRICS).read_text())


def test_no_record_left_is_a_user_error() -> None:
    with pytest.raises(UserError, match="1 too_short"):
        run([("1", "An owl", "<b>owls</b>")])
