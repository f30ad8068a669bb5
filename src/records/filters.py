"""Every reason to drop a cleaned record, one entry each, in the order of the checks.

To add one, add an entry, and a line in params.yaml and src/params.py if a parameter is to switch it. The order of the
checks, counts, funnel, examples, advice and the scores on the synthetic sample follow from the table. The tests see a
batch of cleaned records: title and content with their keys, raw_title as it was read, unstable_title and
unstable_content where cleaning came to no end.
"""

import polars as pl

from src.params import CleanParams, Params
from src.records import markup
from src.records.filtering import Filter, has_short_content, has_short_title
from src.records.language import load_language_filter
from src.records.rules import ENTITIES, apply_rule


def has_markup_title(records: pl.DataFrame, _: Params) -> pl.Series:
    """Whether the raw title is what a scraper took for one: a tag with attributes, or a script.

    Args:
        records: a batch with the column raw_title.
        _: read by other tests alone.
    """
    # The raw one, since the rule `markup` removes the traces; decoded, since tags come as entities, too.
    return apply_rule(ENTITIES, records["raw_title"])[0].str.contains(markup.MARKUP_TITLE)


def is_in_other_language(records: pl.DataFrame, params: Params) -> pl.Series:
    """Whether the content is in another language than clean.language.

    Args:
        records: a batch with the column content.
        params: the section clean.
    """
    return ~load_language_filter(params.clean.language).is_of(records["content"])


DUPLICATE = Filter(
    "duplicate",
    label="duplicate",
    advice="set clean.duplicates to keep",
    switch="duplicates",
)
NEAR_DUPLICATE = Filter(
    "near_duplicate",
    label="near duplicate",
    advice="set clean.duplicates to exact",
    switch="duplicates",
)
FILTERS = (
    Filter(
        "markup_title",
        label="title is markup",
        advice="set clean.markup_titles to false",
        title=has_markup_title,
        switch="markup_titles",
    ),
    Filter(
        "unstable_markup",
        label="markup nested too deep",
        advice="set clean.markup to false",
        title=lambda records, _: records["unstable_title"],
        content=lambda records, _: records["unstable_content"],
    ),
    Filter(
        "too_short",
        label="too short when clean",
        advice="lower data.min_title_chars or data.min_content_chars",
        title=has_short_title,
        content=has_short_content,
    ),
    Filter(
        "content_is_title",
        label="description repeats title",
        advice="set clean.content_is_title to false",
        content=lambda records, _: records["title_key"] == records["content_key"],
        switch="content_is_title",
    ),
    Filter(
        "other_language",
        label="other language",
        advice="set clean.language to any",
        content=is_in_other_language,
        switch="language",
    ),
    DUPLICATE,
    NEAR_DUPLICATE,
)
COMPARING_FILTERS = tuple(each for each in FILTERS if not (each.title or each.content))


def enabled_filters(clean: CleanParams) -> tuple[Filter, ...]:
    """The filters that test each record on its own and are on: their switch is neither false nor `any`."""
    alone = (each for each in FILTERS if each not in COMPARING_FILTERS)
    return tuple(each for each in alone if each.switch is None or getattr(clean, each.switch) not in (False, "any"))
