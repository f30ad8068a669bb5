"""How filters are applied: the first one counts, later ones see what is left, counts and funnels add up."""

from collections.abc import Callable

import polars as pl

from src.params import Params
from src.records.filtering import (
    KEPT,
    Filter,
    count_drop_reasons,
    find_drop_reasons,
    funnel_rows,
    kept_records,
)

RECORDS = pl.DataFrame({"title": ["a", "b", "ab", "c"], "content": ["b", "b", "c", "c"]})


def contains(field: str, letter: str, seen: list[list[str]]) -> Callable[[pl.DataFrame, Params], pl.Series]:
    """A test that notes which titles it is given."""

    def test(records: pl.DataFrame, _: Params) -> pl.Series:
        seen.append(records["title"].to_list())
        return records[field].str.contains(letter)

    return test


def filters(seen: list[list[str]]) -> tuple[Filter, ...]:
    return (
        Filter("first", "has a", "-", title=contains("title", "a", seen)),
        Filter("compares", "repeats", "-"),
        Filter("second", "has b", "-", title=contains("title", "b", seen), content=contains("content", "b", seen)),
    )


def test_the_first_filter_that_drops_a_record_is_its_drop_reason_and_later_ones_do_not_see_it() -> None:
    seen: list[list[str]] = []
    found = find_drop_reasons(RECORDS, filters(seen), Params.model_construct())
    assert found["drop_reason"].to_list() == ["first", "second", "first", None]
    assert found["in_title"].to_list() == [True, True, True, False]
    assert seen == [["a", "b", "ab", "c"], ["b", "c"], ["b", "c"]]


def test_a_record_dropped_for_its_content_alone_is_not_blamed_on_its_title() -> None:
    found = find_drop_reasons(RECORDS, filters([])[2:], Params.model_construct())
    assert found.rows() == [("second", False), ("second", True), ("second", True), (None, False)]


def test_no_filter_and_no_record_are_no_case_of_their_own() -> None:
    assert find_drop_reasons(RECORDS, (), Params.model_construct())["drop_reason"].to_list() == [None] * 4
    none = find_drop_reasons(RECORDS.clear(), filters([]), Params.model_construct())
    assert (none.height, none["drop_reason"].dtype) == (0, pl.String)


def test_counts_and_funnel_add_up() -> None:
    reasons = pl.Series("drop_reason", ["first", None, "first", None, None])
    assert count_drop_reasons(reasons) == {"first": 2, KEPT: 3}
    assert count_drop_reasons(reasons.cast(pl.Enum(["first"]))) == {"first": 2, KEPT: 3}
    rows = funnel_rows(filters([]), {"first": 2, "compares": 0, "second": 1, KEPT: 3})
    assert [tuple(row.values()) for row in rows] == [("has a", 2), ("repeats", 0), ("has b", 1), ("kept", 3)]
    assert kept_records(pl.DataFrame({"drop_reason": reasons})).height == 3
