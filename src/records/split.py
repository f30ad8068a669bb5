"""Which records are drawn, and on which side of the split each one is.

Covers the strata (quantiles of the lengths of title and content), the stratified draw, the groups of records that share
a normalised title or a content, and the side of each group. Works on an index of digests and lengths, not on the texts,
so that memory stays small. Sides are found before the draw and from the texts alone: another sample size moves nothing.
"""

from hashlib import blake2b

import numpy as np
import polars as pl

from src.records.duplicates import digests, normalised

SIDES = ("train", "validation", "test")
KEYS = ("title_key", "content_key")


def index(records: pl.DataFrame) -> pl.DataFrame:
    """What the split needs of each record: uid, digests of its normalised texts, their lengths in characters."""
    return records.select(
        "uid",
        title_key=digests(normalised(records["title"])),
        content_key=digests(normalised(records["content"])),
        title_chars=pl.col("title").str.len_chars(),
        content_chars=pl.col("content").str.len_chars(),
    )


def fraction(text: str) -> float:
    """A number in [0, 1) that depends on the text alone, spread evenly."""
    return int.from_bytes(blake2b(text.encode(), digest_size=6).digest()) / 2**48


def groups(index: pl.DataFrame) -> pl.Series:
    """For each record the number of its group: those that share a title or a content with it, or with one that does."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    titles, contents = (index[key].rank("dense").to_numpy() - 1 for key in KEYS)
    nodes = int(titles.max()) + int(contents.max()) + 2
    edges = coo_array((np.ones(index.height, bool), (titles, contents + titles.max() + 1)), shape=(nodes, nodes))
    _, component = connected_components(edges, directed=False)
    return pl.Series("group", component[titles])


def sides(index: pl.DataFrame, seed: int, validation_share: float, test_share: float) -> pl.Series:
    """The side of each record: that of its group, which the seed and the group's smallest digest decide."""
    smallest = pl.min_horizontal(KEYS).min().over("group")
    names = index.with_columns(groups(index)).select(smallest).to_series()
    place = (
        names.unique()
        .to_frame("name")
        .with_columns(
            pl.col("name").map_elements(lambda name: fraction(f"{seed}:{name}"), return_dtype=pl.Float64).alias("place")
        )
    )
    side = (
        pl.when(pl.col("place") < test_share)
        .then(pl.lit("test"))
        .when(pl.col("place") < test_share + validation_share)
        .then(pl.lit("validation"))
        .otherwise(pl.lit("train"))
        .alias("side")
    )
    return names.to_frame("name").join(place, on="name", how="left", maintain_order="left").select(side).to_series()


def strata(index: pl.DataFrame, quantiles: int) -> pl.Series:
    """The stratum of each record, as in `t1-c4`: the quantiles that its title's and its content's lengths fall in."""
    title, content = (bins(index[length], quantiles) for length in ("title_chars", "content_chars"))
    return index.select(stratum=pl.format("t{}-c{}", title, content)).to_series()


def bins(lengths: pl.Series, quantiles: int) -> pl.Series:
    """The quantile of each length, counted from 1; equal lengths are in the same one."""
    edges = np.quantile(lengths.to_numpy(), np.arange(1, quantiles) / quantiles)
    return pl.Series(np.searchsorted(edges, lengths.to_numpy(), side="left") + 1)


def draw(index: pl.DataFrame, strata: pl.Series, records: int, seed: int) -> pl.Series:
    """Whether each record is drawn: from every stratum its share, those whose hash of seed and uid is lowest."""
    quota = quotas(dict(sorted(strata.value_counts().iter_rows())), records)
    lot = pl.Series("lot", [fraction(f"{seed}:{uid}") for uid in index["uid"]])
    place = pl.col("lot").rank("ordinal").over("stratum")
    limit = pl.col("stratum").replace_strict(quota, return_dtype=pl.UInt32)
    return pl.DataFrame({"stratum": strata, "lot": lot}).select(place <= limit).to_series()


def quotas(sizes: dict[str, int], records: int) -> dict[str, int]:
    """How many of `records` each stratum gives, by the largest remainder: all shares right to less than one record."""
    total = sum(sizes.values())
    quota = {stratum: records * size // total for stratum, size in sizes.items()}
    by_remainder = sorted(sizes, key=lambda stratum: (-(records * sizes[stratum] % total), stratum))
    for stratum in by_remainder[: records - sum(quota.values())]:
        quota[stratum] += 1
    return quota


def shared(indexed: pl.DataFrame, key: str) -> int:
    """How many digests in the column `key` are found on more than one side; columns `key` and `side`."""
    return indexed.group_by(key).agg(pl.col("side").n_unique().alias("sides")).filter(pl.col("sides") > 1).height
