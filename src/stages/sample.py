"""Draws a sample of data/clean.parquet, stratified over topics and lengths, and splits it into data/split.

Records with an equal title, an equal content or near contents stay in one split: train, validation or test. The leak
between the splits is measured on the files written.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.files import atomic_folder, write_json, write_tsv
from src.params import Params, SampleParams
from src.records import split, topics
from src.records.parquet import KEYS, RECORDS, SPLITS, TEXTS, map_in_order, parquet_writer, read_batches
from src.records.refusals import check_sample_size, check_splits
from src.records.ties import key_records
from src.stages.runner import Outcome, run_stage

CLEAN, SPLIT, REPORT = "data/clean.parquet", Path("data/split"), "data/reports/sample.json"
STRATA_PLOT, FUNNEL_PLOT = "data/tables/sample/strata.tsv", "data/tables/sample/funnel.tsv"
OUTCOMES = {"train": "drawn for training", "validation": "drawn for validation", "test": "drawn for testing"}


def main(params: Params) -> Outcome:
    """Plans on numbers alone, a few bytes a record, then writes the records drawn, batch by batch."""
    sample = params.sample
    index = read_index(sample.seed)
    available = index.height
    part = split.part_range(available, sample.part, sample.parts)
    check_sample_size(CLEAN, sample, available, len(part))
    # Of all records, not of the part alone: so a record's split is the same in every part and size of sample.
    splits = split.assign_splits(index, sample.seed, sample.validation_share, sample.test_share)[part.start : part.stop]
    sampling_keys = index["sampling_key"][part.start : part.stop].to_numpy()
    del index  # 32 bytes a record, and nothing below reads it
    dimensions = describe_strata(part, sampling_keys, sample)
    strata = split.stratum_ids(dimensions)
    drawn = split.draw_sample(strata, sampling_keys, sample.pool, sample.records)
    counts = count_splits(splits.filter(drawn))
    check_splits(counts, sample)
    plan = pl.DataFrame({"topic": dimensions["topic"], "split": splits, "drawn": drawn})
    with atomic_folder(SPLIT) as folder:
        write_split(folder, plan, part)
        leak = measure_leak(folder, params.clean.near_threshold)
    metrics = {"available": available, "records": sum(counts.values()), **counts, **leak}
    metrics |= share_deviation(strata, drawn)
    write_json(REPORT, metrics)
    write_tsv(STRATA_PLOT, strata_shares(dimensions, drawn))
    write_tsv(FUNNEL_PLOT, draw_funnel_rows(counts, available))
    drawn_for = ", ".join(f"{counts[name]:,} {OUTCOMES[name]}" for name in SPLITS)
    return Outcome(f"{metrics['records']:,} of {available:,} records from {metrics['strata']} strata: {drawn_for}")


def read_index(seed: int) -> pl.DataFrame:
    """The keys and the sampling key of each clean record, 32 bytes a record."""
    frames = (
        batch.select(*KEYS, split.sampling_keys(batch["uid"], seed)) for batch in read_batches(CLEAN, ("uid", *KEYS))
    )
    return pl.concat([pl.DataFrame(schema=dict.fromkeys((*KEYS, "sampling_key"), pl.UInt64())), *frames])


def count_splits(splits: pl.Series) -> dict[str, int]:
    """How many records each split has."""
    return {name: int((splits == name).sum()) for name in SPLITS}


def describe_strata(part: range, sampling_keys: np.ndarray, sample: SampleParams) -> pl.DataFrame:
    """The topic, the title's length and the content's length of each record of the part, as names of strata.

    Args:
        part: the positions of its records.
        sampling_keys: of each record of the part.
        sample: the section sample.
    """
    found = part_topics(part, sampling_keys, sample) if sample.topics > 1 else None

    def measure(records: pl.DataFrame) -> pl.DataFrame:
        topic = pl.Series(found.assign_topics(records)) if found else pl.lit(0, pl.UInt8)
        return records.select(pl.col(TEXTS).str.len_chars(), topic=topic)

    measured = pl.concat(map_in_order(measure, split.rows_within(read_batches(CLEAN, TEXTS), part)))
    return pl.DataFrame(
        {
            "topic": topics.label_topics(measured["topic"].to_numpy(), found.words if found else ["everything"]),
            "title length": split.quantile_labels(measured["title"], sample.quantiles),
            "description length": split.quantile_labels(measured["content"], sample.quantiles),
        }
    )


def part_topics(part: range, sampling_keys: np.ndarray, sample: SampleParams) -> topics.Topics:
    """Topics of the part, found on those of its records that have the lowest sampling keys.

    Args:
        part: the positions of its records.
        sampling_keys: of each record of the part.
        sample: the section sample.
    """
    in_subset = np.zeros(len(sampling_keys), bool)
    in_subset[np.argsort(sampling_keys, kind="stable")[: topics.SUBSET]] = True
    subset = drawn_records(pl.DataFrame({"drawn": in_subset}), part, TEXTS)
    # Rows are copied as Python's, since a filtered frame holds on to all texts of its batch.
    rows = [row for records in subset for row in records.select(TEXTS).iter_rows()]
    return topics.find_topics(pl.DataFrame(rows, schema=TEXTS, orient="row"), sample.topics, sample.seed)


def drawn_records(plan: pl.DataFrame, part: range, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The records of the part that the plan draws, in their order, the plan's columns beside them.

    Args:
        plan: of each record of the part whether it is `drawn`.
        part: the positions of its records.
        columns: those to read.
    """
    start = 0
    for batch in split.rows_within(read_batches(CLEAN, columns), part):
        yield batch.hstack(plan[start : start + batch.height]).filter("drawn")
        start += batch.height


def write_split(folder: Path, plan: pl.DataFrame, part: range) -> None:
    """Writes the records drawn to the files of their splits, each with its topic.

    Args:
        folder: where the files go.
        plan: `topic`, `split` and `drawn` of each record of the part.
        part: the positions of its records.
    """
    schema = RECORDS | {"topic": pl.String()}
    with ExitStack() as files:
        append = {name: files.enter_context(parquet_writer(folder / f"{name}.parquet", schema)) for name in SPLITS}
        for records in drawn_records(plan, part, tuple(RECORDS)):
            for name in SPLITS:
                append[name](records.filter(split=name).cast({"topic": pl.String}))


def measure_leak(folder: Path, threshold: float) -> dict[str, int]:
    """How many titles, contents and clusters of near contents are in more than one of the files written.

    Args:
        folder: where the files are.
        threshold: the share of three-word shingles that near contents have in common, 0.5 to 1.
    """
    index = key_records(partial(written_records, folder), "split", threshold)
    return {
        "shared_titles": split.count_shared(index, "title_key"),
        "shared_contents": split.count_shared(index, "content_key"),
        "shared_near_duplicates": split.count_shared(index, "near_key"),
    }


def written_records(folder: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The records of the files written, in batches, with their split.

    Args:
        folder: where the files are.
        columns: those to give; `split` is in no file.
    """
    for name in SPLITS:
        for batch in read_batches(folder / f"{name}.parquet", [column for column in columns if column != "split"]):
            yield batch.with_columns(split=pl.lit(name, split.SPLIT))


def share_deviation(strata: np.ndarray, drawn: np.ndarray) -> dict[str, Any]:
    """How many strata there are, and by how much a stratum's share of the sample differs at most from its share of all.

    Args:
        strata: the number of each record's stratum.
        drawn: whether each record is drawn.
    """
    everywhere, in_sample = np.bincount(strata), np.bincount(strata[drawn], minlength=strata.max() + 1)
    difference = np.abs(everywhere / everywhere.sum() - in_sample / in_sample.sum()).max()
    return {"strata": int(np.count_nonzero(everywhere)), "max_share_deviation": round(float(difference), 6)}


def strata_shares(dimensions: pl.DataFrame, drawn: np.ndarray) -> list[dict[str, Any]]:
    """For each topic and each quantile of the lengths its share of all records and of the sample, in long form.

    A stratum is called by its place, so that those of two revisions are beside each other in a plot, whatever words or
    lengths each found.

    Args:
        dimensions: of each record the names of its strata.
        drawn: whether each record is drawn.
    """
    records = {"all records": dimensions, "sample": dimensions.filter(drawn)}
    strata = {dimension: dimensions[dimension].unique().sort() for dimension in dimensions.columns}
    return [
        {
            "dimension": dimension,
            "stratum": place,
            "found": name.split(": ")[-1],  # a topic's name begins with its place
            "of": of,
            "share": round(float((frame[dimension] == name).mean()), 6),
        }
        for dimension, names in strata.items()
        for place, name in enumerate(names, start=1)
        for of, frame in records.items()
    ]


def draw_funnel_rows(counts: Mapping[str, int], available: int) -> list[dict[str, Any]]:
    """What became of the clean records, one row a step.

    Args:
        counts: the records drawn for each split.
        available: how many clean records there are.
    """
    drawn = [{"step": OUTCOMES[name], "records": counts[name]} for name in SPLITS]
    return [*drawn, {"step": "not drawn", "records": available - sum(counts.values())}]


if __name__ == "__main__":
    run_stage(main)
