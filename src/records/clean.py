"""Cleaning records: the text rules on titles and contents, and which records are dropped after it.

Covers a verdict for each record. What the rules do to a text is in rules.py, what a duplicate is in duplicates.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.records import markup
from src.records.duplicates import Seen, normalised
from src.records.rules import Rule, decode, each, settle

VERDICTS = ("markup_title", "unsettled", "content_is_title", "too_short", "duplicate", "kept")


@dataclass(frozen=True)
class Changes:
    """How many titles, contents and records (one of the two or both) each rule changed."""

    titles: dict[str, int]
    contents: dict[str, int]
    records: dict[str, int]


def clean(
    records: pl.DataFrame, rules: Sequence[Rule], min_title_chars: int, min_content_chars: int, seen: Seen
) -> tuple[pl.DataFrame, Changes]:
    """Mends the texts of uid, title, content and adds the column `verdict`, one of VERDICTS.

    Of equal records the first is kept, counting those in `seen`, which the kept ones here are added to.
    """
    title, content = settle(records["title"], rules), settle(records["content"], rules)
    mended = records.with_columns(
        title.texts,
        content.texts,
        title_key=normalised(title.texts),
        content_key=normalised(content.texts),
        markup_title=is_markup(records["title"]),
        unsettled=pl.Series(title.unsettled | content.unsettled),
    )
    judged = mark_duplicates(judge(mended, min_title_chars, min_content_chars), seen)
    return judged.select("uid", "title", "content", "verdict"), count(title.changed, content.changed)


def is_markup(titles: pl.Series) -> pl.Series:
    """Whether a title is what a scraper took for one: a tag with attributes, or a script."""
    return each(decode)(titles).str.contains(markup.MARKUP_TITLE)


def judge(mended: pl.DataFrame, min_title_chars: int, min_content_chars: int) -> pl.DataFrame:
    """Adds the column `verdict`, duplicates not looked at yet."""
    title, content = pl.col("title"), pl.col("content")
    short = (title.str.len_chars() < min_title_chars) | (content.str.len_chars() < min_content_chars)
    verdict = (
        pl.when("markup_title")
        .then(pl.lit("markup_title"))
        .when("unsettled")
        .then(pl.lit("unsettled"))
        .when(pl.col("title_key") == pl.col("content_key"))
        .then(pl.lit("content_is_title"))
        .when(short)
        .then(pl.lit("too_short"))
        .otherwise(pl.lit("kept"))
    )
    return mended.with_columns(verdict=verdict)


def mark_duplicates(judged: pl.DataFrame, seen: Seen) -> pl.DataFrame:
    """Turns the verdict of kept records that were seen before into `duplicate`."""
    kept = (judged["verdict"] == "kept").arg_true()
    repeated = kept.filter(~seen.first(judged["title_key"].gather(kept), judged["content_key"].gather(kept)))
    return judged.with_columns(judged["verdict"].clone().scatter(repeated, "duplicate"))


def count(title: dict[str, np.ndarray], content: dict[str, np.ndarray]) -> Changes:
    """Adds up which texts each rule changed."""
    either = {name: title[name] | content[name] for name in title}
    totals = ({name: int(hit.sum()) for name, hit in changed.items()} for changed in (title, content, either))
    return Changes(*totals)
