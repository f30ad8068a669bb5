"""Which records are drawn, and on which side of the split each one is.

Covers the part of the records that is sampled, the quantiles of their lengths, the stratified draw, the groups of
records that are tied by an equal title, an equal content or near contents, and the side of each group. Works on columns
of numbers alone, some bytes a record. Sides follow from the seed and the keys of all records, before any draw: another
part or another size of sample moves no record across. Does not cover what a record is about: topics.py does.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl
from xxhash import xxh3_64_intdigest

from src.records.parquet import KEYS

SPLITS = ("train", "validation", "test")
SPLIT = pl.Enum(SPLITS)
NUMBERS = 2**64  # how many there are of 64 bits


def part_range(records: int, part: int, parts: int) -> range:
    """The positions of the `part`-th of so many consecutive parts, counted from 1; sizes differ by one at most."""
    return range(records * (part - 1) // parts, records * part // parts)


def rows_within(frames: Iterable[pl.DataFrame], part: range) -> Iterator[pl.DataFrame]:
    """The rows of consecutive frames whose positions, counted over all frames, lie in `part`."""
    start = 0
    for frame in frames:
        inside = frame[max(part.start - start, 0) : max(part.stop - start, 0)]
        start += frame.height
        if inside.height:
            yield inside
        if start >= part.stop:
            return


def mix_bits(numbers: np.ndarray, seed: int) -> np.ndarray:
    """A number of 64 bits, spread evenly, for each number of 64 bits; the same on every machine.

    The generator SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014) after
    `seed` steps. Sums and products wrap around at 64 bits.
    """
    state = numbers + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % NUMBERS)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def sampling_keys(uids: pl.Series, seed: int) -> pl.Series:
    """The lot of each record, from seed and uid alone; low lots are drawn."""
    digests = np.fromiter(map(xxh3_64_intdigest, uids.cast(pl.Binary).to_list()), np.uint64, len(uids))
    return pl.Series("lot", mix_bits(digests, seed))


def group_ids(index: pl.DataFrame) -> np.ndarray:
    """The number of each record's group: those that share one of the KEYS with it, or with one that does.

    Args:
        index: holds the columns KEYS.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    first, second = np.hstack([equal_pairs(index[key].to_numpy()) for key in KEYS])
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(index.height, index.height))
    return connected_components(graph, directed=False)[1]


def equal_pairs(keys: np.ndarray) -> np.ndarray:
    """Pairs of positions with equal keys, as two rows; enough of them to link all that are equal."""
    order = np.argsort(keys, kind="stable")
    equal = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    return np.stack([order[equal], order[equal + 1]])


def assign_splits(index: pl.DataFrame, seed: int, validation_share: float, test_share: float) -> pl.Series:
    """The side of each record: that of its group, which the seed and the group's smallest key decide.

    Args:
        index: holds the columns KEYS of all records.
    """
    group = group_ids(index)
    smallest = np.full(group.max(initial=-1) + 1, NUMBERS - 1, np.uint64)
    np.minimum.at(smallest, group, index.select(pl.min_horizontal(KEYS)).to_series().to_numpy())
    place = mix_bits(smallest, seed) / NUMBERS
    from_test = np.searchsorted([test_share, test_share + validation_share], place, side="right")
    return pl.Series("side", (2 - from_test).astype(np.uint8)[group]).cat.to(SPLIT)


def quantile_labels(lengths: pl.Series, number: int) -> pl.Series:
    """The quantile that each length falls in, named by the lengths found in it, as in `17 to 37 characters`.

    Equal lengths are in the same one, so that there may be fewer than `number`.
    """
    edges = np.quantile(lengths.to_numpy(), np.arange(1, number) / number)
    quantile = pl.Series("quantile", np.searchsorted(edges, lengths.to_numpy(), side="left"))
    shortest, longest = pl.col("length").min().alias("shortest"), pl.col("length").max().alias("longest")
    spans = pl.DataFrame({"quantile": quantile, "length": lengths}).group_by("quantile").agg(shortest, longest)
    spans = spans.sort("quantile").with_columns(name=pl.format("{} to {} characters", "shortest", "longest"))
    return quantile.replace_strict(spans["quantile"], spans["name"], return_dtype=pl.Enum(spans["name"]))


def stratum_ids(dimensions: pl.DataFrame) -> np.ndarray:
    """A number for each record, equal where all columns of `dimensions`, each an Enum, are equal."""
    codes = [column.to_physical().to_numpy().astype(np.int64) for column in dimensions]
    return np.ravel_multi_index(tuple(codes), tuple(code.max() + 1 for code in codes))


def draw_sample(strata: np.ndarray, lots: np.ndarray, pool: int, records: int) -> np.ndarray:
    """Whether each record is drawn: `records` of the `pool` that is drawn first; 0 draws all there are.

    The pool is drawn by lots of its own: by the same ones, it would change nothing.
    """
    drawn = np.ones(len(strata), bool)
    for number, order in ((pool, mix_bits(lots, 1)), (records, lots)):
        if number:
            drawn[drawn] = draw_stratified(strata[drawn], order[drawn], number)
    return drawn


def draw_stratified(strata: np.ndarray, lots: np.ndarray, records: int) -> np.ndarray:
    """Whether each record is drawn: of every stratum its share of `records`, those with the lowest lots."""
    by_lot = np.lexsort((lots, strata))
    sizes = np.bincount(strata)
    place = np.arange(len(strata)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    drawn = np.zeros(len(strata), bool)
    drawn[by_lot] = place < np.repeat(proportional_allocation(sizes, records), sizes)
    return drawn


def proportional_allocation(sizes: np.ndarray, records: int) -> np.ndarray:
    """How many of `records` each stratum gives, by the largest remainder: all shares right to less than one record."""
    quota, remainder = np.divmod(sizes * records, sizes.sum())
    quota[np.argsort(-remainder, kind="stable")[: records - quota.sum()]] += 1
    return quota


def count_shared(keyed: pl.DataFrame, key: str) -> int:
    """How many numbers in the column `key` are found on more than one side; columns `key` and `side`."""
    return keyed.unique([key, "side"]).group_by(key).len().filter(pl.col("len") > 1).height
