"""sample: every selection, a split without leak in which no record moves, shares that are kept, and its refusals."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.errors import UserError
from src.files import read_json, read_tsv
from src.params import CleanParams, Params, SampleParams
from src.records import parquet, split
from src.records.near_duplicates import NearDuplicateFinder
from src.records.text_keys import text_keys
from src.stages import sample
from src.synthetic.catalogue import generate_products

ROOT = Path(__file__).parents[2]
NUMBER = 900
DEFAULTS = {"parts": 1, "part": 1, "pool": 0, "records": 0, "quantiles": 2, "topics": 3, "seed": 13}
SHARES = {"validation_share": 0.2, "test_share": 0.2}


def chosen(**selection: float) -> Params:
    sampled = SampleParams.model_validate(DEFAULTS | SHARES | selection)
    return Params.model_construct(sample=sampled, clean=CleanParams.model_construct(near_threshold=0.8))


def write_clean(records: pl.DataFrame) -> None:
    keys = {f"{field}_key": text_keys(records[field]) for field in parquet.TEXTS}
    near = NearDuplicateFinder(0.8)
    near.add(near.signatures(records["content"]))
    cluster = pl.Series("cluster", near.clusters(lambda: [records["content"]]))
    keyed = records.with_columns(**keys).with_columns(near_key=pl.col("content_key").min().over(cluster))
    with parquet.parquet_writer(sample.CLEAN, parquet.KEYED_RECORDS) as append:
        append(keyed)


@pytest.fixture(scope="module")
def records() -> pl.DataFrame:
    """Products, every tenth with another's title, every eleventh with another's content, one word changed."""
    rows = [
        (str(n), product.title, product.content) for n, product in enumerate(generate_products(seed=3, count=NUMBER))
    ]
    for n in range(0, NUMBER - 20, 10):
        rows[n + 10] = (rows[n + 10][0], rows[n][1].upper(), rows[n + 10][2])
    long = [n for n in range(0, NUMBER - 20, 11) if len(rows[n][2]) > 300]
    for n in long:
        rows[n + 11] = (rows[n + 11][0], rows[n + 11][1], rows[n][2] + " Indeed.")
    return pl.DataFrame(rows, schema=list(parquet.FIELDS), orient="row")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, records: pl.DataFrame) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(parquet, "BATCH_ROWS", 70)
    write_clean(records)
    return tmp_path


def run(**selection: float) -> dict[str, list[str]]:
    sample.main(chosen(**selection))
    return {name: pl.read_parquet(sample.SPLIT / f"{name}.parquet")["uid"].to_list() for name in split.SPLITS}


def every(splits: dict[str, list[str]]) -> set[str]:
    return {uid for uids in splits.values() for uid in uids}


def in_the_same_splits(small: dict[str, list[str]], large: dict[str, list[str]]) -> bool:
    return all(set(small[name]) <= set(large[name]) for name in small)


def test_another_size_moves_no_record_across() -> None:
    small, whole = run(records=320), run(records=0)
    assert (len(every(small)), len(every(whole))) == (320, NUMBER)
    assert in_the_same_splits(small, whole)


def test_parts_hold_each_record_once_in_order_in_its_split() -> None:
    whole = run()
    parts = [run(parts=7, part=part, topics=1) for part in range(1, 8)]
    numbers = [sorted(map(int, every(part))) for part in parts]
    assert [number for part in numbers for number in part] == list(range(NUMBER))
    assert all(in_the_same_splits(part, whole) for part in parts)


def test_records_are_drawn_from_the_pool() -> None:
    assert len(every(run(pool=400, records=200)) & every(run(records=400, pool=400))) == 200
    assert len(every(run(pool=400, records=0))) == 400


def test_a_random_draw_has_one_stratum() -> None:
    assert len(every(run(records=300, quantiles=1, topics=1))) == 300
    assert read_json(sample.REPORT)["strata"] == 1
    assert {(row["stratum"], row["found"]) for row in read_tsv(sample.STRATA_PLOT) if row["dimension"] == "topic"} == {
        ("1", "everything")
    }


def test_metrics_are_those_of_the_files() -> None:
    splits = run(records=500)
    metrics = read_json(sample.REPORT)
    assert {name: metrics[name] for name in split.SPLITS} == {name: len(uids) for name, uids in splits.items()}
    assert (metrics["available"], metrics["records"]) == (NUMBER, 500)
    assert [metrics[f"shared_{what}"] for what in ("titles", "contents", "near_duplicates")] == [0, 0, 0]
    assert metrics["max_share_deviation"] < 1 / 500


def test_records_are_written_as_they_were_in_their_order(records: pl.DataFrame) -> None:
    run(records=500)
    written = [pl.read_parquet(sample.SPLIT / f"{name}.parquet") for name in split.SPLITS]
    texts = {row[0]: row for row in records.iter_rows()}
    for part in written:
        assert part.columns == ["uid", "title", "content", "topic"]
        assert list(part.select(parquet.FIELDS).iter_rows()) == [texts[uid] for uid in sorted(part["uid"], key=int)]
    topics_shown = {row["found"] for row in read_tsv(sample.STRATA_PLOT) if row["dimension"] == "topic"}
    assert {name.split(": ")[-1] for name in pl.concat(written)["topic"]} == topics_shown


def test_the_leak_is_measured_on_the_files() -> None:
    run()
    train = pl.read_parquet(sample.SPLIT / "train.parquet")
    long = train.filter(pl.col("content").str.len_chars() > 300).unique("content", maintain_order=True).head(4)
    leaked = long.with_columns(
        title=pl.when(pl.int_range(4) < 3).then(pl.col("title").str.to_uppercase()).otherwise(pl.lit("Brand new")),
        content=pl.when(pl.int_range(4) < 2).then("content").otherwise(pl.col("content") + " Indeed."),
    )
    leaked.write_parquet(sample.SPLIT / "test.parquet")
    pl.DataFrame(schema=train.schema).write_parquet(sample.SPLIT / "validation.parquet")
    assert sample.measure_leak(sample.SPLIT, 0.8) == {
        "shared_titles": 3,
        "shared_contents": 2,
        "shared_near_duplicates": 4,
    }


def test_near_duplicates_leak_where_their_keys_do_not_tie_them() -> None:
    apart = pl.read_parquet(sample.CLEAN).with_columns(near_key="content_key")
    with parquet.parquet_writer(sample.CLEAN, parquet.KEYED_RECORDS) as append:
        append(apart)
    run()
    assert read_json(sample.REPORT)["shared_near_duplicates"] > 0


def test_plots_show_each_share_and_each_step() -> None:
    splits = run(records=500)
    strata = pl.read_csv(sample.STRATA_PLOT, separator="\t")
    assert strata.columns == ["dimension", "stratum", "found", "of", "share"]
    assert strata.group_by("dimension", maintain_order=True).len().rows() == [
        ("topic", 6),
        ("title length", 4),
        ("description length", 4),
    ]
    assert strata.group_by("dimension", "of").agg(pl.sum("share"))["share"].to_list() == pytest.approx(
        [1] * 6, abs=1e-5
    )
    assert (strata["stratum"][0], strata["stratum"][-1]) == (1, 2)
    assert ": " not in strata["found"][0] and strata["found"][-1].endswith(" characters")
    funnel = dict(pl.read_csv(sample.FUNNEL_PLOT, separator="\t").iter_rows())
    assert list(funnel.values()) == [*map(len, splits.values()), NUMBER - 500]


def test_deviation_is_the_largest_difference_of_a_share() -> None:
    strata, drawn = np.array([0, 0, 2, 3]), np.array([True, False, True, True])
    assert sample.share_deviation(strata, drawn) == {"strata": 3, "max_share_deviation": 0.166667}


def test_shares_are_those_of_all_records_and_of_the_sample() -> None:
    topic = pl.Series("topic", ["2: a", "1: b", "2: a", "2: a"], dtype=pl.Enum(["1: b", "2: a"]))
    shares = sample.strata_shares(topic.to_frame(), np.array([True, True, False, False]))
    assert [tuple(row.values()) for row in shares] == [
        ("topic", 1, "b", "all records", 0.25),
        ("topic", 1, "b", "sample", 0.5),
        ("topic", 2, "a", "all records", 0.75),
        ("topic", 2, "a", "sample", 0.5),
    ]


def test_strata_of_any_data_have_the_same_names() -> None:
    def names(*lengths: int) -> list[int]:
        quantiles = split.quantile_labels(pl.Series(lengths, dtype=pl.UInt32), 2).alias("length")
        return [row["stratum"] for row in sample.strata_shares(quantiles.to_frame(), np.ones(len(lengths), bool))]

    assert names(1, 2, 3, 4) == names(50, 60, 70, 999)


def test_strata_keep_their_shares(records: pl.DataFrame) -> None:
    drawn = every(run(records=450, topics=1, quantiles=3))
    lengths = records.with_columns(
        title=split.quantile_labels(records["title"].str.len_chars(), 3),
        content=split.quantile_labels(records["content"].str.len_chars(), 3),
    )
    for _, stratum in lengths.group_by("title", "content"):
        assert abs(len(drawn & set(stratum["uid"])) - stratum.height / 2) < 1


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"records": 901}, r"sample\.records is 901, and data/clean.parquet has 900 records: set 900 or less, or 0"),
        ({"pool": 901}, r"sample\.pool is 901, .* 900 records"),
        ({"parts": 30, "part": 2, "records": 31}, r"sample\.records is 31, and part 2 of 30 of .* has 30 records"),
        ({"parts": 30, "part": 2, "topics": 31}, r"sample\.topics is 31, .* has 30 records"),
        ({"parts": 901}, r"sample\.parts is 901, and .* has 900 records: set fewer parts"),
        ({"records": 2}, r"in the .* split .*raise sample\.records"),
    ],
)
def test_a_selection_of_more_than_there_is_is_refused(selection: dict[str, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        run(**selection)
    assert not sample.SPLIT.exists()


def test_no_records_are_refused(records: pl.DataFrame) -> None:
    write_clean(records.clear())
    with pytest.raises(UserError, match=r"data/clean.parquet has no records"):
        run()


def test_outputs_are_the_same_bytes_by_any_number_of_threads(folder: Path) -> None:
    assert outputs(folder, threads=1) == outputs(folder, threads=4)


def outputs(folder: Path, threads: int) -> dict[str, bytes]:
    """What a process with so many threads writes; with one thread, it has one core as well."""
    program = f"""
import json, os
if {threads} == 1 and hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from src.params import CleanParams, Params, SampleParams
from src.records import topics
from src.stages import sample
topics.SUBSET = 300
chosen = SampleParams.model_validate({DEFAULTS | SHARES | {"records": 500}!r})
sample.main(Params.model_construct(sample=chosen, clean=CleanParams.model_construct(near_threshold=0.8)))
"""
    names = ("OMP", "MKL", "OPENBLAS", "POLARS_MAX", "RAYON")
    environment = {f"{name}_NUM_THREADS": str(threads) for name in names} | {"POLARS_MAX_THREADS": str(threads)}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": str(threads)}
    subprocess.run([sys.executable, "-c", program], cwd=folder, env=os.environ | environment, check=True)
    files = [*sample.SPLIT.iterdir(), Path(sample.REPORT), Path(sample.STRATA_PLOT), Path(sample.FUNNEL_PLOT)]
    return {str(file): file.read_bytes() for file in sorted(files)}
