"""What a filter is: one reason to drop a record, with its test, and how filters are applied to a batch.

Covers the type of a table's entries, the first drop reason of each record, and how often each reason is found. The
tables are in raw_filters.py (records as they are read) and filters.py (cleaned records).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.params import Params

KEPT = "kept"  # what metrics and charts call a record without a drop reason
RowTest = Callable[[pl.DataFrame, Params], pl.Series]


@dataclass(frozen=True)
class Filter:
    """One reason to drop a record.

    A filter without tests compares records with each other: the batches alone can't tell which ones it drops.

    Attributes:
        name: the drop reason, as data and metrics have it.
        label: the drop reason as charts have it.
        advice: what to change when it leaves no record, to be read after a colon.
        title: the test that drops a record for its title, given a batch and the parameters.
        content: the test that drops a record for its content.
        switch: the parameter of the section `clean` that turns the filter on and off; None for always on.
    """

    name: str
    label: str
    advice: str
    title: RowTest | None = None
    content: RowTest | None = None
    switch: str | None = None


def find_drop_reasons(records: pl.DataFrame, filters: Sequence[Filter], params: Params) -> pl.DataFrame:
    """The first filter that drops each record.

    A later filter sees only the records that all earlier ones keep: reasons stay disjoint, so that counts add up, and a
    slow test (languages, 50 µs a text) is not run on what is dropped anyway.

    Args:
        records: a batch with the columns that the filters' tests read.
        filters: in the order of the checks; those without tests drop nothing here.
        params: the parameters that the filters' tests read.

    Returns:
        The column `drop_reason`, a filter's name or null for a record that is kept, and the column `in_title`, whether
        it is the title that the record is dropped for.
    """
    reasons = pl.Series("drop_reason", [None], dtype=pl.String).new_from_index(0, records.height)
    in_title = np.zeros(records.height, bool)
    for each in filters:
        remaining = reasons.is_null()
        positions, left = remaining.arg_true(), records.filter(remaining)
        for_title, for_content = run_test(each.title, left, params), run_test(each.content, left, params)
        reasons = reasons.scatter(positions.filter(for_title | for_content), each.name)
        in_title[positions.filter(for_title).to_numpy()] = True
    return pl.DataFrame({"drop_reason": reasons, "in_title": in_title})


def run_test(test: RowTest | None, records: pl.DataFrame, params: Params) -> pl.Series:
    """Which records a test drops: none without a test.

    Args:
        test: a filter's test on title or content.
        records: the batch to test.
        params: the parameters that the test reads.
    """
    return test(records, params) if test else pl.Series([False]).new_from_index(0, records.height)


def kept_records(records: pl.DataFrame) -> pl.DataFrame:
    """The records without a drop reason."""
    return records.filter(pl.col("drop_reason").is_null())


def count_drop_reasons(reasons: pl.Series) -> Counter[str]:
    """How many records each drop reason has; those without one count as KEPT."""
    return Counter({reason or KEPT: count for reason, count in reasons.value_counts().iter_rows()})


def funnel_rows(filters: Sequence[Filter], counts: Mapping[str, int]) -> list[dict[str, str | int]]:
    """The rows of a funnel chart: what became of the records, drop reason by drop reason, then those kept.

    Args:
        filters: whose labels are the steps.
        counts: records by the filters' names and KEPT.
    """
    labels = {each.name: each.label for each in filters} | {KEPT: KEPT}
    return [{"step": label, "records": counts[name]} for name, label in labels.items()]


def has_short_title(records: pl.DataFrame, params: Params) -> pl.Series:
    """Whether each title has fewer characters than data.min_title_chars.

    Args:
        records: a batch with the column title.
        params: the section data.
    """
    return records["title"].str.len_chars() < params.data.min_title_chars


def has_short_content(records: pl.DataFrame, params: Params) -> pl.Series:
    """Whether each content has fewer characters than data.min_content_chars.

    Args:
        records: a batch with the column content.
        params: the section data.
    """
    return records["content"].str.len_chars() < params.data.min_content_chars
