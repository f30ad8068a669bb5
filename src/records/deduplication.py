"""Duplicates: which records repeat an earlier one, exactly or nearly, which of those are dropped, and why others stay.

Covers the drop reasons that compare records with each other, and the reasons for which a record stays though it is near
an earlier one. How clusters of near contents are found is in near_duplicates.py, what counts as the same text in
text_keys.py, as the same product in same_product.py. Works on numbers alone, some bytes a record.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from src.records.filters import DUPLICATE, NEAR_DUPLICATE
from src.records.near_duplicates import Hashes, Integers, find_repeated

DuplicatePolicy = Literal["keep", "exact", "near"]
SimilarityTest = Callable[[Integers], NDArray[np.bool_]]

KEY_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # keeps keys apart when they are added up
DROP_REASON = pl.Enum([DUPLICATE.name, NEAR_DUPLICATE.name])  # one byte a record, where text would take sixteen
# Why a record stays that is near an earlier one, by name, as charts have it. Those of the last kind would be dropped if
# clean.duplicates said so.
TIES = {
    "other_title": "kept, near: other title",
    "other_numbers": "kept, near: other numbers",
    "other_text": "kept, near: other text",
    "same_product": "kept, near: same product",
}
TIE = pl.Enum(list(TIES))
ROUNDS = 32  # records of one product that stay, at most, that each further one is compared with


def tie_equal_contents(clusters: Integers, content_keys: pl.Series) -> Integers:
    """Clusters in which equal contents are together: those of equal letters need not have equal words, as BJs and BJ's.

    Args:
        clusters: of each record the position of some record of its cluster of near contents, the same for all of it.
        content_keys: of each record.

    Returns:
        For each record the position of the first one of its cluster.
    """
    position = np.arange(len(clusters))
    links = (np.concatenate([position, position]), np.concatenate([clusters, first_positions(content_keys.to_numpy())]))
    graph = coo_array((np.ones(2 * len(clusters), bool), links), shape=(len(clusters),) * 2)
    return first_positions(connected_components(graph, directed=False)[1])


def find_originals(index: pl.DataFrame, clusters: Integers, similar: SimilarityTest) -> pl.DataFrame:
    """For each record the one that it repeats, exactly and nearly; its own position where it repeats none.

    It repeats an earlier one nearly if that one stays, is of its cluster and, by form_key and numbers_key, the same
    product, and if the contents are equal or similar: compared themselves, not by way of a third.

    Args:
        index: title_key, content_key, form_key and numbers_key of each record, in file order.
        clusters: of each record the position of the first one of its cluster.
        similar: whether the contents of each pair of positions, shape (2, pairs), are near.

    Returns:
        The columns `exact` and `near`.
    """
    exact = first_positions(mix_keys(index.select("title_key", "content_key", "form_key", "numbers_key")))
    near, contents = exact.copy(), index["content_key"].to_numpy()
    left, groups = compared_positions(index, clusters), product_groups(index, clusters)
    left = left[exact[left] == left]
    for _ in range(ROUNDS):
        heads = left[first_positions(groups[left])]
        pairs = np.stack([heads, left])[:, heads < left]
        if not pairs.size:
            break
        repeats = contents[pairs[0]] == contents[pairs[1]]
        repeats[~repeats] = similar(pairs[:, ~repeats])
        near[pairs[1, repeats]] = pairs[0, repeats]
        left = pairs[1, ~repeats]
    return pl.DataFrame({"exact": exact, "near": near})


def product_groups(index: pl.DataFrame, clusters: Integers) -> Hashes:
    """A number for each record, equal for records of one cluster whose titles and numbers name one product.

    Args:
        index: form_key and numbers_key of each record.
        clusters: of each record the position of the first one of its cluster.
    """
    return mix_keys(index.select("form_key", "numbers_key", cluster=clusters.astype(np.uint64)))


def compared_positions(index: pl.DataFrame, clusters: Integers) -> Integers:
    """The positions of the records whose product has another record in its cluster, in order.

    Args:
        index: form_key and numbers_key of each record.
        clusters: of each record the position of the first one of its cluster.
    """
    return np.flatnonzero(find_repeated(product_groups(index, clusters)))


def mark_duplicates(
    index: pl.DataFrame, clusters: Integers, originals: pl.DataFrame, policy: DuplicatePolicy
) -> pl.DataFrame:
    """Which records are dropped for an earlier one, and why others near an earlier one stay.

    Args:
        index: content_key, form_key and numbers_key of each record, in file order.
        clusters: of each record the position of the first one of its cluster.
        originals: `exact` and `near`, what find_originals gave.
        policy: keep drops nothing; exact drops what repeats a record exactly; near what does so nearly as well.

    Returns:
        For each record its `drop_reason`, null where it stays; `tie`, the reason why it stays though it is near an
        earlier one that does, else null; `original`, the position of the record that it repeats or is near to, its own
        where there is none; and `near_key`, the smallest content_key of its cluster.
    """
    position, contents = np.arange(index.height), index["content_key"].to_numpy()
    exact, near = originals["exact"].to_numpy(), originals["near"].to_numpy()
    original = {"keep": position, "exact": exact, "near": near}[policy]
    stays = original == position
    reason = pl.Series(np.where(exact < position, 0, 1).astype(np.uint8)).set(pl.Series(stays), None)
    tie, tied_to = find_ties(index.filter(stays), clusters[stays], near[stays] < position[stays])
    ties = pl.Series([None], dtype=pl.UInt8).new_from_index(0, index.height).scatter(position[stays], tie)
    original = original.copy()
    original[stays] = position[stays][tied_to]
    smallest = np.full(index.height, np.iinfo(np.uint64).max)
    np.minimum.at(smallest, clusters, contents)
    return pl.DataFrame(
        {
            "drop_reason": reason.cat.to(DROP_REASON),
            "tie": ties.cat.to(TIE),
            "original": original,
            "near_key": smallest[clusters],
        }
    )


def find_ties(index: pl.DataFrame, clusters: Integers, repeating: NDArray[np.bool_]) -> tuple[pl.Series, Integers]:
    """Why each of the records that stay does so, as a number of TIE, null for the first of a cluster; what it is near.

    Args:
        index: form_key and numbers_key of the records that stay.
        clusters: of each of them the number of its cluster.
        repeating: which of them repeat an earlier record, exactly or nearly.
    """
    position = np.arange(index.height)
    cluster = pl.Series("cluster", clusters.astype(np.uint64))
    form = first_positions(mix_keys(index.select("form_key", cluster)))
    product = first_positions(mix_keys(index.select("form_key", "numbers_key", cluster)))
    first = first_positions(clusters)
    code = np.select([repeating, product < position, form < position], [3, 2, 1], 0).astype(np.uint8)
    nearest = np.where(product < position, product, np.where(form < position, form, first))
    return pl.Series(code).set(pl.Series(first == position), None), nearest


def mix_keys(keys: pl.DataFrame) -> Hashes:
    """A number for each row, equal where all columns, numbers of 64 bits, are equal."""
    mixed = np.zeros(keys.height, np.uint64)
    for column in keys:
        mixed = (mixed ^ mixed >> np.uint64(32)) * KEY_FACTOR + column.to_numpy()
    return mixed


def first_positions(numbers: np.ndarray) -> np.ndarray:
    """For each number the position of the first one that equals it."""
    _, positions, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return positions[inverse]


def count_near_clusters(index: pl.DataFrame) -> int:
    """How many clusters of near contents, by `near_key`, have more than one record, equal records counted once."""
    keys = mix_keys(index.select("title_key", "content_key"))
    unequal = first_positions(keys) == np.arange(index.height)
    _, sizes = np.unique(index["near_key"].to_numpy()[unequal], return_counts=True)
    return int((sizes > 1).sum())


def count_ties(ties: pl.Series) -> dict[str, int]:
    """How many records stay for each reason of TIES, though they are near an earlier one."""
    return {name: int((ties == name).sum()) for name in TIES}
