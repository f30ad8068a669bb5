"""Every reason to drop a record as it is read, one entry each, in the order of the checks.

To add one, add an entry: metrics, the funnel and the advice to the user follow. Apart from filters.py, so that a new
filter of cleaned records does not read the raw file again.
"""

import polars as pl

from src.params import Params
from src.records.filtering import Filter, find_drop_reasons, has_short_content, has_short_title

RAW_FILTERS = (
    Filter(
        "empty_title",
        label="empty title",
        advice="set a file whose records have titles",
        title=lambda records, _: records["title"] == "",
    ),
    Filter(
        "empty_content",
        label="empty description",
        advice="set a file whose records have contents",
        content=lambda records, _: records["content"] == "",
    ),
    Filter(
        "too_short",
        label="too short",
        advice="lower data.min_title_chars or data.min_content_chars, or set another file",
        title=has_short_title,
        content=has_short_content,
    ),
)


def find_raw_drop_reasons(records: pl.DataFrame, params: Params) -> pl.Series:
    """The drop reason of each record, null for those that are kept.

    A series of its own, not a column of the records: it lies in one piece of memory where they lie in several, and
    Polars would first copy them into one, which costs time and moves the pages of a Parquet file written from them.

    Args:
        records: uid, title and content as read.
        params: the section data.
    """
    # White space counts for nothing, but it is cleaning that removes it: the kept texts stay as they were read.
    stripped = records.select(pl.col("title", "content").str.strip_chars())
    return find_drop_reasons(stripped, RAW_FILTERS, params)["drop_reason"]
