"""The filters of raw records: white space is no text, and the first reason counts."""

from collections.abc import Callable

import polars as pl

from src.params import Params
from src.records.raw_filters import RAW_FILTERS, find_raw_drop_reasons


def test_the_first_drop_reason_is_named(cleaning_params: Callable[..., Params]) -> None:
    records = pl.DataFrame({"title": [" ", "ab", " abc ", "abc"], "content": ["", " \n", "short", "long enough"]})
    reasons = find_raw_drop_reasons(records, cleaning_params(3, 6))
    assert reasons.to_list() == [*(each.name for each in RAW_FILTERS), None]


def test_white_space_around_a_text_does_not_make_it_longer(cleaning_params: Callable[..., Params]) -> None:
    records = pl.DataFrame({"title": ["  a  ", "abc"], "content": ["long enough", "short   "]})
    assert find_raw_drop_reasons(records, cleaning_params(3, 6)).to_list() == ["too_short", "too_short"]


def test_pieces_of_memory_stay_as_they_are(cleaning_params: Callable[..., Params]) -> None:
    """Parquet's pages follow them: bytes would change with the way in which records are filtered."""
    one = pl.DataFrame({"title": ["abc", ""], "content": ["long enough", "long enough"]})
    records = pl.concat([one, one], rechunk=False)
    kept = records.filter(find_raw_drop_reasons(records, cleaning_params()).is_null())
    assert (kept.height, kept.n_chunks("all")) == (2, [2, 2])
