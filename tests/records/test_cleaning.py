"""Cleaning a batch: texts, keys, and the first drop reason of each record."""

from collections.abc import Callable

import polars as pl

from src.params import Params
from src.records.cleaning import CleanedBatch, clean_batch
from src.records.text_keys import text_keys

LONG = "a text that is long enough to be kept"


def cleaned(rows: list[tuple[str, str]], params: Params) -> CleanedBatch:
    records = pl.DataFrame([("1", *row) for row in rows], schema=["uid", "title", "content"], orient="row")
    return clean_batch(records, params)


def test_records_before_and_after_are_given_with_keys_and_what_changed(cleaning_params: Callable[..., Params]) -> None:
    rows = [("a &amp; b", f"{LONG} &amp; b"), ("owls", LONG + " ")]
    made = cleaned(rows, cleaning_params())
    assert made.before.rows() == [("1", *row) for row in rows]
    assert made.after.columns == ["uid", "title", "content", "title_key", "content_key", "drop_reason"]
    assert made.after["title"].to_list() == ["a & b", "owls"]
    assert made.after["drop_reason"].to_list() == [None, None]
    assert made.after["content_key"].to_list() == text_keys(pl.Series([f"{LONG} b", LONG])).to_list()
    titles, contents = made.changed_titles, made.changed_contents
    assert (titles["entities"].tolist(), contents["entities"].tolist()) == ([True, False], [True, False])
    assert (titles["spaces"].tolist(), contents["spaces"].tolist()) == ([False, False], [False, True])


def test_only_rules_that_are_on_are_applied(cleaning_params: Callable[..., Params]) -> None:
    made = cleaned([("a &amp; b", LONG)], cleaning_params(entities=False))
    assert made.after["title"].to_list() == ["a &amp; b"]
    assert "entities" not in made.changed_titles
