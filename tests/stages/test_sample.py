"""sample: a split without leak in which no record moves, and its refusals."""

import json
from pathlib import Path

import polars as pl
import pytest

from src.errors import UserError
from src.params import Params, SampleParams
from src.records import tables
from src.stages import sample


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [(str(n), f"Title {n % 270} {'x' * (n % 37)}", f"Content {n % 290} {'y' * (n % 83)}") for n in range(300)]
    with tables.parquet_writer(sample.CLEAN) as append:
        append(pl.DataFrame(rows, schema=list(tables.FIELDS), orient="row"))


def run(records: int, share: float = 0.2) -> dict[str, set[str]]:
    chosen = SampleParams(records=records, quantiles=2, validation_share=share, test_share=0.2, seed=13)
    sample.main(Params.model_construct(sample=chosen))
    return {side: set(pl.read_parquet(path)["uid"]) for side, path in sample.SPLIT.items()}


def test_a_larger_sample_moves_no_record_across() -> None:
    small, whole = run(120), run(0)
    assert (sum(map(len, small.values())), sum(map(len, whole.values()))) == (120, 300)
    assert all(small[side] <= whole[side] for side in small)


def test_metrics_are_those_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "BATCH_ROWS", 70)
    split = run(200)
    metrics = json.loads(Path(sample.METRICS).read_text())
    assert {side: metrics[side] for side in split} == {side: len(uids) for side, uids in split.items()}
    assert (metrics["available"], metrics["records"], metrics["strata"]) == (300, 200, 4)
    assert (metrics["shared_titles"], metrics["shared_contents"]) == (0, 0)
    assert metrics["max_share_deviation"] < 0.01
    written = pl.read_parquet(sample.SPLIT["train"])
    assert written.columns == ["uid", "title", "content", "stratum"]
    assert (
        dict(pl.read_parquet(sample.CLEAN).select("uid", "title").iter_rows()).items()
        >= dict(written.select("uid", "title").iter_rows()).items()
    )
    assert (
        Path(sample.STRATA_PLOT).read_text().startswith("stratum\tshare\tshare_drawn\ttrain\tvalidation\ttest\nt1-c1\t")
    )


def test_the_leak_is_measured_on_the_files() -> None:
    run(0)
    train = pl.read_parquet(sample.SPLIT["train"])
    train.head(3).write_parquet(sample.SPLIT["test"])
    assert sample.leak() == {"shared_titles": 3, "shared_contents": 3}


def test_too_many_records_are_refused() -> None:
    with pytest.raises(UserError, match=r"sample\.records is 301, .* 300 records"):
        run(301)


def test_an_empty_side_is_refused() -> None:
    with pytest.raises(UserError, match=r"side .*raise sample\.records"):
        run(2)
