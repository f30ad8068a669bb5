"""Which records belong together by an equal title or the same description, so that one would tell the other's answer.

Covers the records of one split, which the split keeps together for the same ties. Does not search: src/serving does.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import polars as pl

from src.records.near_duplicates import NearDuplicateFinder
from src.records.parquet import TEXTS, map_in_order
from src.records.split import group_ids
from src.records.text_keys import text_keys

# From the columns that are wanted to the records in batches, the same ones each time.
ReadRecords = Callable[[Sequence[str]], Iterable[pl.DataFrame]]


def tied_uids(read: ReadRecords, threshold: float) -> dict[str, frozenset[str]]:
    """The uids of each record's group, its own among them; records without ties are left out.

    Args:
        read: the records, with uid, title and content.
        threshold: the share of three-word shingles that near contents have in common, 0.5 to 1.
    """
    index = key_records(read, "uid", threshold)
    groups = index.select("uid", group=group_ids(index)).group_by("group").agg("uid")["uid"]
    tied = map(frozenset, groups.filter(groups.list.len() > 1).to_list())
    return {uid: members for members in tied for uid in members}


def key_records(read: ReadRecords, column: str, threshold: float) -> pl.DataFrame:
    """A column of the records beside what ties them: title_key, content_key and near_key, equal where they are tied.

    Args:
        read: the records, with that column, title and content.
        column: the one to keep.
        threshold: the share of three-word shingles that near contents have in common, 0.5 to 1.
    """
    finder = NearDuplicateFinder(threshold)

    def sign(records: pl.DataFrame) -> tuple[pl.DataFrame, np.ndarray]:
        keys = {f"{field}_key": text_keys(records[field]) for field in TEXTS}
        return records.select(column, **keys), finder.signatures(records["content"])

    keyed = []
    for keys, signatures in map_in_order(sign, read((column, *TEXTS))):
        finder.add(signatures)
        keyed.append(keys)
    near = finder.clusters(lambda: (records["content"] for records in read(("content",))))
    return pl.concat(keyed).with_columns(near_key=near)
