"""sample: data/clean.parquet -> data/split/{train,validation,test}.parquet, metrics/sample.json, plots/sample/

Draws a sample, stratified over topics and lengths, of one part of the cleaned records, and splits it. Records with an
equal title, an equal content or near contents stay on one side; the leak is measured on the files written.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.errors import UserError
from src.files import atomic_folder, write_json, write_tsv
from src.params import Params, SampleParams
from src.records import deduplication, split, topics
from src.records.near_duplicates import NearDuplicateFinder
from src.records.parquet import KEYS, RECORDS, map_in_order, parquet_writer, read_batches
from src.stages.runner import run_stage

CLEAN, SPLIT, METRICS = "data/clean.parquet", Path("data/split"), "metrics/sample.json"
STRATA_PLOT, FUNNEL_PLOT = "plots/sample/strata.tsv", "plots/sample/funnel.tsv"
OUTCOMES = {"train": "drawn for training", "validation": "drawn for validation", "test": "drawn for testing"}
TEXTS = ("title", "content")


def main(params: Params) -> None:
    """Plans on numbers alone, a few bytes a record, then writes the records drawn, batch by batch."""
    sample = params.sample
    index = read_index(sample.seed)
    available = index.height
    part = split.part_range(available, sample.part, sample.parts)
    check_size(sample, available, len(part))
    side = split.assign_splits(index, sample.seed, sample.validation_share, sample.test_share)[part.start : part.stop]
    lots = index["lot"][part.start : part.stop].to_numpy()
    del index
    dimensions = describe_strata(part, lots, sample)
    strata = split.stratum_ids(dimensions)
    drawn = split.draw_sample(strata, lots, sample.pool, sample.records)
    check_splits(side.filter(drawn), sample)
    plan = pl.DataFrame({"topic": dimensions["topic"], "side": side, "drawn": drawn})
    with atomic_folder(SPLIT) as folder:
        write_split(folder, plan, part)
        leak = measure_leak(folder, params.clean.near_threshold)
    held = count_splits(side.filter(drawn))
    metrics = {"available": available, "records": sum(held.values()), **held, **leak, **share_deviation(strata, drawn)}
    write_json(METRICS, metrics | {"topics": topic_shares(dimensions["topic"])})
    write_tsv(STRATA_PLOT, strata_shares(dimensions, drawn))
    write_tsv(FUNNEL_PLOT, funnel_rows(held, available))
    print(f"{metrics['records']} of {available} records drawn from {metrics['strata']} strata.")


def read_index(seed: int) -> pl.DataFrame:
    """The keys and the lot of each cleaned record, 32 bytes a record."""
    frames = (
        batch.select(*KEYS, split.sampling_keys(batch["uid"], seed)) for batch in read_batches(CLEAN, ("uid", *KEYS))
    )
    return pl.concat([pl.DataFrame(schema=dict.fromkeys((*KEYS, "lot"), pl.UInt64())), *frames])


def check_size(sample: SampleParams, available: int, in_part: int) -> None:
    """Refuses a selection of more than there is.

    Raises:
        UserError: naming the parameter and how many records there are.
    """
    if not available:
        raise UserError(f"{CLEAN} has no records: lower data.min_content_chars, or set clean.language to any.")
    if sample.parts > available:
        raise UserError(f"sample.parts is {sample.parts}, and {CLEAN} has {available} records: set fewer parts.")
    where = f"part {sample.part} of {sample.parts} of {CLEAN}" if sample.parts > 1 else CLEAN
    for key, fix in (("pool", "0 to draw once"), ("records", "0 for all"), ("topics", "1 for none")):
        if getattr(sample, key) > in_part:
            raise UserError(
                f"sample.{key} is {getattr(sample, key)}, and {where} has {in_part} records: "
                f"set {in_part} or less, or {fix}."
            )


def check_splits(drawn: pl.Series, sample: SampleParams) -> None:
    """Refuses a split without records on a side.

    Raises:
        UserError: naming the parameter.
    """
    shares = {"validation": sample.validation_share, "test": sample.test_share}
    for side, held in count_splits(drawn).items():
        if not held:
            reason = f"sample.{side}_share is {shares[side]}" if side in shares else "training needs records"
            fix = "raise sample.records" if sample.records else "set fewer sample.parts, or a larger share"
            raise UserError(
                f"no record of {drawn.len()} is on the {side} side ({reason}): {fix}, or change that share."
            )


def count_splits(sides: pl.Series) -> dict[str, int]:
    """How many records each side has."""
    return {side: int((sides == side).sum()) for side in split.SPLITS}


def describe_strata(part: range, lots: np.ndarray, sample: SampleParams) -> pl.DataFrame:
    """The topic, the title's length and the description's length of each record of the part, as names of strata."""
    found = find_topics(part, lots, sample) if sample.topics > 1 else None

    def measure(records: pl.DataFrame) -> pl.DataFrame:
        topic = pl.Series(found.of(records)) if found else pl.lit(0, pl.UInt8)
        return records.select(pl.col(TEXTS).str.len_chars(), topic=topic)

    measured = pl.concat(map_in_order(measure, split.rows_within(read_batches(CLEAN, TEXTS), part)))
    return pl.DataFrame(
        {
            "topic": topics.label_topics(measured["topic"].to_numpy(), found.words if found else ["everything"]),
            "title length": split.quantile_labels(measured["title"], sample.quantiles),
            "description length": split.quantile_labels(measured["content"], sample.quantiles),
        }
    )


def find_topics(part: range, lots: np.ndarray, sample: SampleParams) -> topics.Topics:
    """Topics of the part, found on those of its records that have the lowest lots."""
    in_subset = np.zeros(len(lots), bool)
    in_subset[np.argsort(lots, kind="stable")[: topics.SUBSET]] = True
    subset = drawn_records(pl.DataFrame({"drawn": in_subset}), part, TEXTS)
    # Rows are copied as Python's, since a filtered frame holds on to all texts of its batch.
    rows = [row for records in subset for row in records.select(TEXTS).iter_rows()]
    return topics.find_topics(pl.DataFrame(rows, schema=TEXTS, orient="row"), sample.topics, sample.seed)


def drawn_records(plan: pl.DataFrame, part: range, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The records of the part that the plan draws, in the order of the cleaned data, the plan's columns beside them."""
    start = 0
    for batch in split.rows_within(read_batches(CLEAN, columns), part):
        yield batch.hstack(plan[start : start + batch.height]).filter("drawn")
        start += batch.height


def write_split(folder: Path, plan: pl.DataFrame, part: range) -> None:
    """Writes the records drawn to their sides' files, each with its topic."""
    schema = RECORDS | {"topic": pl.String()}
    with ExitStack() as files:
        append = {
            side: files.enter_context(parquet_writer(folder / f"{side}.parquet", schema)) for side in split.SPLITS
        }
        for records in drawn_records(plan, part, tuple(RECORDS)):
            for side in split.SPLITS:
                append[side](records.filter(side=side).cast({"topic": pl.String}))


def measure_leak(folder: Path, threshold: float) -> dict[str, int]:
    """How many titles, contents and clusters of near contents the files written have on more than one side."""
    near = NearDuplicateFinder(threshold)

    def sign(records: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray]:
        keys = {f"{field}_key": deduplication.text_keys(records[field]) for field in TEXTS}
        return records.select("side", **keys), near.signatures(records["content"])

    keyed = []
    for keys, signatures in map_in_order(sign, written_records(folder, TEXTS)):
        near.add(signatures)
        keyed.append(keys)
    clusters = near.clusters(lambda: (records["content"] for records in written_records(folder, ("content",))))
    index = pl.concat(keyed).with_columns(near_key=clusters)
    return {
        "shared_titles": split.count_shared(index, "title_key"),
        "shared_contents": split.count_shared(index, "content_key"),
        "shared_near_duplicates": split.count_shared(index, "near_key"),
    }


def written_records(folder: Path, columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """The records of the files written, in batches, with their side."""
    for side in split.SPLITS:
        for batch in read_batches(folder / f"{side}.parquet", columns):
            yield batch.with_columns(side=pl.lit(side, split.SPLIT))


def share_deviation(strata: np.ndarray, drawn: np.ndarray) -> dict[str, Any]:
    """How many strata there are, and by how much a stratum's share of the sample differs from its share of all."""
    everywhere, in_sample = np.bincount(strata), np.bincount(strata[drawn], minlength=strata.max() + 1)
    difference = np.abs(everywhere / everywhere.sum() - in_sample / in_sample.sum()).max()
    return {"strata": int(np.count_nonzero(everywhere)), "max_share_deviation": round(float(difference), 6)}


def topic_shares(topic: pl.Series) -> dict[str, float]:
    """The share of each topic, the largest first."""
    return {name: round(count / topic.len(), 6) for name, count in topic.value_counts().sort("topic").iter_rows()}


def strata_shares(dimensions: pl.DataFrame, drawn: np.ndarray) -> list[dict[str, Any]]:
    """For each topic and each quantile of the lengths its share of all records and of the sample, in long form."""
    records = {"all records": dimensions, "sample": dimensions.filter(drawn)}
    return [
        {
            "dimension": dimension,
            "stratum": stratum,
            "of": of,
            "share": round(float((frame[dimension] == stratum).mean()), 6),
        }
        for dimension in dimensions.columns
        for stratum in dimensions[dimension].unique().sort()
        for of, frame in records.items()
    ]


def funnel_rows(held: dict[str, int], available: int) -> list[dict[str, Any]]:
    """What became of the cleaned records, one row a fate."""
    drawn = [{"step": OUTCOMES[side], "records": held[side]} for side in split.SPLITS]
    return [*drawn, {"step": "not drawn", "records": available - sum(held.values())}]


if __name__ == "__main__":
    run_stage(main)
