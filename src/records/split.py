"""Which records are drawn, and in which split each one is: train, validation or test.

Covers the part of the records that is sampled, the quantiles of their lengths, the stratified draw, the groups of
records that are tied by an equal title, an equal content or near contents, and the split of each group. Works on
columns of numbers alone, some bytes a record. The split follows from the seed and the keys of all records, before any
draw: another part or another size of sample moves no record to another split. Does not cover what a record is about:
topics.py does.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import polars as pl

from src.records.parquet import KEYS, SPLITS
from src.records.text_keys import uid_keys

SPLIT = pl.Enum(SPLITS)
NUMBERS = 2**64  # how many there are of 64 bits


def part_range(records: int, part: int, parts: int) -> range:
    """The positions of one of several consecutive parts, whose sizes differ by one at most.

    Args:
        records: how many there are.
        part: which part, counted from 1.
        parts: how many parts there are.
    """
    return range(records * (part - 1) // parts, records * part // parts)


def rows_within(frames: Iterable[pl.DataFrame], part: range) -> Iterator[pl.DataFrame]:
    """The rows of consecutive frames whose positions, counted over all frames, lie in a part.

    Args:
        frames: read no further than the part goes.
        part: consecutive positions.
    """
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

    Args:
        numbers: states of the generator, uint64.
        seed: 0 or more.
    """
    state = numbers + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % NUMBERS)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def sampling_keys(uids: pl.Series, seed: int) -> pl.Series:
    """The sampling key of each record: those with the lowest are drawn.

    It follows from seed and uid alone, so that a record's luck does not depend on which others there are.

    Args:
        uids: one a record.
        seed: 0 or more.
    """
    return pl.Series("sampling_key", mix_bits(uid_keys(uids).to_numpy(), seed))


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
    """Pairs of positions with equal keys, as two rows; enough of them to link all equal ones."""
    order = np.argsort(keys, kind="stable")
    equal = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
    return np.stack([order[equal], order[equal + 1]])


def assign_splits(index: pl.DataFrame, seed: int, validation_share: float, test_share: float) -> pl.Series:
    """The split of each record: that of its group, which the seed and the group's smallest key decide.

    Args:
        index: holds the columns KEYS of all records.
        seed: 0 or more.
        validation_share: of the groups, 0 to 1.
        test_share: of the groups, 0 to 1.

    Returns:
        The column `split`.
    """
    group = group_ids(index)
    smallest = np.full(group.max(initial=-1) + 1, NUMBERS - 1, np.uint64)
    np.minimum.at(smallest, group, index.select(pl.min_horizontal(KEYS)).to_series().to_numpy())
    place = mix_bits(smallest, seed) / NUMBERS
    from_test = np.searchsorted([test_share, test_share + validation_share], place, side="right")
    return pl.Series("split", (2 - from_test).astype(np.uint8)[group]).cat.to(SPLIT)


def quantile_labels(lengths: pl.Series, number: int) -> pl.Series:
    """The quantile that each length falls in, named by the lengths found in it, as in `17 to 37 characters`.

    Equal lengths are in the same one, so that there may be fewer than `number`.

    Args:
        lengths: in characters.
        number: how many quantiles there are, 1 or more.
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


def draw_sample(strata: np.ndarray, sampling_keys: np.ndarray, pool: int, records: int) -> np.ndarray:
    """Whether each record is drawn.

    The pool is drawn by sampling keys of its own: by the same ones, it would change nothing.

    Args:
        strata: the number of each record's stratum.
        sampling_keys: of each record.
        pool: how many records are drawn first; 0 for all there are.
        records: how many of those are drawn then; 0 for all of them.
    """
    drawn = np.ones(len(strata), bool)
    for number, keys in ((pool, mix_bits(sampling_keys, 1)), (records, sampling_keys)):
        if number:
            drawn[drawn] = draw_stratified(strata[drawn], keys[drawn], number)
    return drawn


def draw_stratified(strata: np.ndarray, sampling_keys: np.ndarray, records: int) -> np.ndarray:
    """Whether each record is drawn: of every stratum its share, those with the lowest sampling keys.

    Args:
        strata: the number of each record's stratum.
        sampling_keys: of each record.
        records: how many are drawn.
    """
    order = np.lexsort((sampling_keys, strata))
    sizes = np.bincount(strata)
    rank = np.arange(len(strata)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    drawn = np.zeros(len(strata), bool)
    drawn[order] = rank < np.repeat(proportional_allocation(sizes, records), sizes)
    return drawn


def proportional_allocation(sizes: np.ndarray, records: int) -> np.ndarray:
    """How many records each stratum gives, by the largest remainder: all shares right to less than one record.

    Args:
        sizes: how many records each stratum has.
        records: how many are given together.
    """
    allocated, remainder = np.divmod(sizes * records, sizes.sum())
    allocated[np.argsort(-remainder, kind="stable")[: records - allocated.sum()]] += 1
    return allocated


def count_shared(keyed: pl.DataFrame, key: str) -> int:
    """How many numbers of a column are found in more than one split.

    Args:
        keyed: holds the columns `key` and `split`.
        key: the column's name.
    """
    return keyed.unique([key, "split"]).group_by(key).len().filter(pl.col("len") > 1).height
