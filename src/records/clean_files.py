"""Cleaning a whole file of records: their texts batch by batch, then duplicates among those that are left.

Covers the passes over Parquet files that the stages clean and score_cleaning have in common. Texts are cleaned in
threads and written as candidates; those are compared by numbers alone, so that no pass holds all texts at once. Does
not cover which duplicates are dropped (deduplication.py), nor what is counted and shown.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
import polars as pl

from src.params import CleanParams, Params
from src.records.cleaning import CleanedBatch, clean_batch
from src.records.deduplication import compared_positions, find_originals, mark_duplicates, tie_equal_contents
from src.records.filtering import kept_records
from src.records.near_duplicates import NearDuplicateFinder, ShingleSets, find_repeated
from src.records.parquet import TEXTS, map_in_order, parquet_writer, read_batches
from src.records.same_product import PRODUCT_KEYS, product_keys
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
    with parquet_writer(candidates, compression="none") as append:  # read three times, then deleted
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


def plan_duplicates(candidates: str | Path, index: pl.DataFrame, clean: CleanParams) -> pl.DataFrame:
    """Which candidates are dropped as duplicates, and why others near an earlier one stay.

    Args:
        candidates: the Parquet file that clean_texts wrote.
        index: of each candidate title_key and content_key.
        clean: the section clean.

    Returns:
        For each candidate what mark_duplicates tells.
    """
    clusters = tie_equal_contents(find_clusters(candidates, clean.near_threshold), index["content_key"])
    keyed = index.hstack(read_product_keys(candidates, clusters))
    compared = compared_positions(keyed, clusters)
    with TemporaryFile() as file:
        sets = ShingleSets(file, read_contents(candidates) if len(compared) else [], compared)
        originals = find_originals(
            keyed,
            clusters,
            lambda pairs: sets.similarities(np.searchsorted(compared, pairs)) >= clean.near_threshold,
        )
    return mark_duplicates(keyed, clusters, originals, clean.duplicates)


def read_product_keys(candidates: str | Path, clusters: np.ndarray) -> pl.DataFrame:
    """The product_keys of the candidates that have another one in their cluster, 0 for all others.

    Args:
        candidates: the Parquet file that clean_texts wrote.
        clusters: for each candidate the position of the first one of its cluster.
    """
    shared = pl.DataFrame({"shared": find_repeated(clusters.astype(np.uint64))})
    some = (batch.filter("shared").select(TEXTS) for batch in read_planned(candidates, shared, TEXTS))
    found = pl.concat([pl.DataFrame(schema=PRODUCT_KEYS), *map_in_order(product_keys, some)])
    keys = np.zeros((shared.height, len(PRODUCT_KEYS)), np.uint64)
    keys[shared["shared"].to_numpy()] = found.to_numpy()
    return pl.DataFrame(keys, schema=PRODUCT_KEYS)


def read_contents(candidates: str | Path) -> Iterator[pl.Series]:
    """The contents of the candidates, in order."""
    return (batch["content"] for batch in read_batches(candidates, ["content"], "Comparing"))


def read_planned(
    candidates: str | Path, plan: pl.DataFrame, columns: Sequence[str] | None = None
) -> Iterator[pl.DataFrame]:
    """The candidates in batches, in order, with the plan's columns beside them.

    Args:
        candidates: the Parquet file that clean_texts wrote.
        plan: of each candidate what was found by comparing them, `drop_reason` for one.
        columns: of the candidates, those to read; None for all.
    """
    start = 0
    label = "Comparing" if columns else "Writing"
    for batch in read_batches(candidates, columns, label):
        yield batch.hstack(plan.slice(start, batch.height))
        start += batch.height
