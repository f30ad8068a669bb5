"""Cleaning records: the text rules on titles and contents, and which records are dropped for what they are.

Covers a verdict for each record on its own, and the keys by which records are compared. What the rules do to a text is
in rules.py, which records repeat others in duplicates.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.records import markup
from src.records.deduplication import text_keys
from src.records.language import LanguageFilter
from src.records.rules import RULES, Rule, apply_rule, apply_until_stable

# What becomes of a record, in the order of the checks, and as a chart says it.
VERDICTS = {
    "markup_title": "title is markup",
    "unsettled": "markup nested too deep",
    "too_short": "too short when clean",
    "content_is_title": "description repeats title",
    "other_language": "other language",
    "duplicate": "duplicate",
    "near_duplicate": "near duplicate",
    "kept": "kept",
}
ENTITIES = next(rule for rule in RULES if rule.name == "entities")


@dataclass(frozen=True)
class FilterSettings:
    """Which records are dropped: those with shorter texts, in characters, and those of what is switched on."""

    min_title_chars: int
    min_content_chars: int
    markup_titles: bool
    content_is_title: bool
    language: LanguageFilter | None


@dataclass(frozen=True)
class CleanedBatch:
    """A batch before and after: `after` has the keys of the texts and a verdict; which texts each rule changed.

    `in_title` says whether it is the title, and not the content, that a record is dropped for.
    """

    before: pl.DataFrame
    after: pl.DataFrame
    in_title: np.ndarray
    titles: dict[str, np.ndarray]
    contents: dict[str, np.ndarray]


def clean_batch(records: pl.DataFrame, rules: Sequence[Rule], drops: FilterSettings) -> CleanedBatch:
    """Mends the texts of uid, title, content and adds title_key, content_key and `verdict`, one of VERDICTS."""
    title, content = apply_until_stable(records["title"], rules), apply_until_stable(records["content"], rules)
    mended = records.with_columns(
        title.texts,
        content.texts,
        title_key=text_keys(title.texts),
        content_key=text_keys(content.texts),
        markup_title=is_markup_title(records["title"]),
        unsettled=pl.Series(title.unsettled | content.unsettled),
        unsettled_title=pl.Series(title.unsettled),
    )
    judged = apply_filters(mended, drops)
    after = mended.drop("markup_title", "unsettled", "unsettled_title")
    verdict = apply_language_filter(judged, drops.language)
    return CleanedBatch(
        records, after.with_columns(verdict), judged["in_title"].to_numpy(), title.changed, content.changed
    )


def is_markup_title(titles: pl.Series) -> pl.Series:
    """Whether a title is what a scraper took for one: a tag with attributes, or a script."""
    return apply_rule(ENTITIES, titles)[0].str.contains(markup.MARKUP_TITLE)


def apply_filters(mended: pl.DataFrame, drops: FilterSettings) -> pl.DataFrame:
    """Adds the columns `verdict`, neither languages nor other records looked at, and `in_title`."""
    title, content = pl.col("title"), pl.col("content")
    short_title = title.str.len_chars() < drops.min_title_chars
    short = short_title | (content.str.len_chars() < drops.min_content_chars)
    is_markup_title = pl.col("markup_title") & drops.markup_titles
    in_title = is_markup_title | pl.when("unsettled").then("unsettled_title").otherwise(short_title)
    verdict = (
        pl.when(is_markup_title)
        .then(pl.lit("markup_title"))
        .when("unsettled")
        .then(pl.lit("unsettled"))
        .when(short)
        .then(pl.lit("too_short"))
        .when((pl.col("title_key") == pl.col("content_key")) & drops.content_is_title)
        .then(pl.lit("content_is_title"))
        .otherwise(pl.lit("kept"))
    )
    return mended.with_columns(verdict=verdict, in_title=in_title)


def apply_language_filter(judged: pl.DataFrame, language: LanguageFilter | None) -> pl.Series:
    """The verdicts, `other_language` for what is kept so far and not in the language, if one is asked for."""
    if language is None:
        return judged["verdict"]
    kept = (judged["verdict"] == "kept").arg_true()
    foreign = kept.filter(~language.is_of(judged["content"].gather(kept)))
    return judged["verdict"].clone().scatter(foreign, "other_language")
