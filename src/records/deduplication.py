"""Duplicates: which records repeat an earlier one, exactly or nearly, and which of those are dropped.

Covers the drop reasons that compare records with each other. How clusters of near contents are found is in
near_duplicates.py, what counts as the same text in text_keys.py. Works on numbers alone, some bytes a record.
"""

from typing import Literal

import numpy as np
import polars as pl

from src.records.filters import DUPLICATE, NEAR_DUPLICATE

DuplicatePolicy = Literal["keep", "exact", "near"]

TITLE_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # keeps a title's key apart from its content's when they are added up
DROP_REASON = pl.Enum([DUPLICATE.name, NEAR_DUPLICATE.name])  # one byte a record, where text would take sixteen


def mark_duplicates(index: pl.DataFrame, clusters: np.ndarray, policy: DuplicatePolicy) -> pl.DataFrame:
    """Which records repeat an earlier one, and which of those are dropped.

    The first of equal records stays; of a cluster the first that is not an exact duplicate, with any titles.

    Args:
        index: title_key and content_key of each record, in file order.
        clusters: of each record the position of some record of its cluster of near contents, the same for all of it.
        policy: keep drops nothing; exact drops records equal in title and content; near drops near contents as well.

    Returns:
        For each record its `drop_reason`, null where it stays; `original`, the position of the record that it repeats,
        its own where it stays; and `near_key`, the smallest content_key of its cluster.
    """
    position, contents = np.arange(index.height), index["content_key"].to_numpy()
    exact = first_exact_duplicates(index)
    unequal = np.flatnonzero(exact == position)
    near = exact.copy()
    near[unequal] = unequal[first_positions(clusters[unequal])]
    original = {"keep": position, "exact": exact, "near": near}[policy]
    code = pl.Series(np.where(exact < position, 0, 1).astype(np.uint8)).set(pl.Series(original == position), None)
    smallest = np.full(index.height, np.iinfo(np.uint64).max)
    np.minimum.at(smallest, clusters, contents)
    return pl.DataFrame({"drop_reason": code.cat.to(DROP_REASON), "original": original, "near_key": smallest[clusters]})


def first_exact_duplicates(index: pl.DataFrame) -> np.ndarray:
    """For each record the position of the first one with its title_key and content_key."""
    return first_positions(index["title_key"].to_numpy() * TITLE_FACTOR + index["content_key"].to_numpy())


def first_positions(numbers: np.ndarray) -> np.ndarray:
    """For each number the position of the first one that equals it."""
    _, positions, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return positions[inverse]


def count_near_clusters(index: pl.DataFrame) -> int:
    """How many clusters of near contents, by `near_key`, have more than one record, equal records counted once."""
    unequal = first_exact_duplicates(index) == np.arange(index.height)
    _, sizes = np.unique(index["near_key"].to_numpy()[unequal], return_counts=True)
    return int((sizes > 1).sum())
