"""Cleaning a whole file of records: their texts batch by batch, then near contents among those that are left.

Covers the passes over Parquet files that the stages clean and score_cleaning have in common. Texts are cleaned in
threads and written as candidates; those are compared by numbers alone, so that no pass holds all texts at once. Does
not cover which duplicates are dropped (deduplication.py), nor what is counted and shown.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from src.params import Params
from src.records.cleaning import CleanedBatch, clean_batch
from src.records.filtering import kept_records
from src.records.near_duplicates import NearDuplicateFinder
from src.records.parquet import map_in_order, parquet_writer, read_batches
from src.records.text_keys import uid_keys


def clean_texts(
    source: str | Path, candidates: str | Path, params: Params, on_batch: Callable[[CleanedBatch], None]
) -> pl.DataFrame:
    """Cleans all records and writes the candidates: those that no filter drops, duplicates still among them.

    Args:
        source: the Parquet file of the raw records.
        candidates: the Parquet file to write.
        params: the sections clean and data.
        on_batch: called with every batch, in order.

    Returns:
        Of each candidate title_key, content_key and uid_key, 24 bytes a record.
    """
    # An empty frame first, so that the index has its columns where no record is left.
    index = [pl.DataFrame(schema=dict.fromkeys(("title_key", "content_key", "uid_key"), pl.UInt64()))]
    with parquet_writer(candidates) as append:
        for cleaned in map_in_order(partial(clean_batch, params=params), read_batches(source, label="Cleaning")):
            on_batch(cleaned)
            kept = kept_records(cleaned.after)
            append(kept)
            index.append(kept.select("title_key", "content_key", uid_keys(kept["uid"])))
    return pl.concat(index)


def find_clusters(candidates: str | Path, threshold: float) -> np.ndarray:
    """For each candidate the position of the first one of its cluster of near contents.

    Args:
        candidates: the Parquet file that clean_texts wrote.
        threshold: the share of three-word shingles that near contents have in common, 0.5 to 1.
    """
    finder = NearDuplicateFinder(threshold)
    for signatures in map_in_order(finder.signatures, read_contents(candidates)):
        finder.add(signatures)
    return finder.clusters(partial(read_contents, candidates))


def read_contents(candidates: str | Path) -> Iterator[pl.Series]:
    """The contents of the candidates, in order."""
    return (batch["content"] for batch in read_batches(candidates, ["content"], "Comparing"))


def read_planned(candidates: str | Path, plan: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The candidates in batches, in order, with the plan's columns beside them.

    Args:
        candidates: the Parquet file that clean_texts wrote.
        plan: of each candidate what was found by comparing them, `drop_reason` for one.
    """
    start = 0
    for batch in read_batches(candidates, label="Writing"):
        yield batch.hstack(plan.slice(start, batch.height))
        start += batch.height
