"""Cleaning a batch of records: the rules on titles and contents, the keys of the texts, and the first drop reason.

Covers each record on its own. What the rules do to a text is in rules.py, what drops a record in filters.py, which
records repeat others in deduplication.py; clean_files.py goes from file to file.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl

from src.params import Params
from src.records.filtering import find_drop_reasons
from src.records.filters import enabled_filters
from src.records.rules import apply_until_stable, enabled_rules
from src.records.text_keys import text_keys


@dataclass(frozen=True)
class CleanedBatch:
    """A batch before and after cleaning.

    Attributes:
        before: uid, title and content as they were read.
        after: uid, title, content, title_key, content_key and `drop_reason`, null where a record is kept.
        in_title: whether it is the title, and not the content, that a record is dropped for, a boolean each.
        changed_titles: for each rule's name which titles it changed, a boolean each.
        changed_contents: for each rule's name which contents it changed, a boolean each.
    """

    before: pl.DataFrame
    after: pl.DataFrame
    in_title: np.ndarray
    changed_titles: dict[str, np.ndarray]
    changed_contents: dict[str, np.ndarray]


def clean_batch(records: pl.DataFrame, params: Params) -> CleanedBatch:
    """Cleans the texts of a batch and marks what is to be dropped; duplicates are not looked for.

    Args:
        records: uid, title and content.
        params: the sections clean and data.
    """
    rules = enabled_rules(params.clean)
    title, content = apply_until_stable(records["title"], rules), apply_until_stable(records["content"], rules)
    keys = {"title_key": text_keys(title.texts), "content_key": text_keys(content.texts)}
    cleaned = records.with_columns(title.texts, content.texts, **keys)
    tested = cleaned.with_columns(
        raw_title=records["title"],
        unstable_title=pl.Series(title.unstable),
        unstable_content=pl.Series(content.unstable),
    )
    found = find_drop_reasons(tested, enabled_filters(params.clean), params)
    after = cleaned.with_columns(found["drop_reason"])
    return CleanedBatch(records, after, found["in_title"].to_numpy(), title.changed, content.changed)
