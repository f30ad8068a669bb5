"""Counts of facts: sums, percentages of nothing, and the rows of the plot."""

import pytest

from src.scoring.fact_counts import ALL_FACTS, FactCounts, add_counts, fact_rows, stated_sums, wrong_sums
from src.scoring.intervals import estimate_with_interval

RIGHT, WRONG, SILENT = FactCounts(1, 1, 0), FactCounts(1, 0, 1), FactCounts(1, 0, 0)


def test_counts_of_all_attributes_add_up() -> None:
    assert add_counts({"colour": FactCounts(1, 1, 2), "number": FactCounts(3, 2, 0)}) == FactCounts(4, 3, 2)
    assert add_counts({}) == FactCounts(0, 0, 0)


def test_percentages_are_ratios_of_sums() -> None:
    stated, wrong = stated_sums([RIGHT, WRONG, SILENT, SILENT]), wrong_sums([RIGHT, WRONG, SILENT, WRONG])
    assert stated and wrong
    assert stated.estimate == 25
    assert wrong.estimate == pytest.approx(200 / 3)


def test_a_percentage_of_nothing_is_none() -> None:
    nothing = FactCounts(0, 0, 0)
    assert stated_sums([nothing]) is None
    assert wrong_sums([SILENT, nothing]) is None
    assert stated_sums([]) is None


def test_one_record_with_facts_among_many_without_has_a_finite_interval() -> None:
    sums = wrong_sums([WRONG, *[SILENT] * 30])
    assert sums
    assert estimate_with_interval(sums) == (100, 0, 100)


def test_rows_are_by_attribute_system_and_measure() -> None:
    lamp, book = {"colour": RIGHT, "size": WRONG}, {"number": SILENT}
    rows = fact_rows({"one": [lamp, book], "other": [{"colour": WRONG, "size": WRONG}, book]})
    found = {(row["attribute"], row["system"], row["measure"]): (row["percent"], row["facts"]) for row in rows}
    assert found == {
        (ALL_FACTS, "one", "stated"): (33.33, 3),
        (ALL_FACTS, "one", "wrong"): (50.0, 2),
        (ALL_FACTS, "other", "stated"): (0.0, 3),
        (ALL_FACTS, "other", "wrong"): (100.0, 2),
        ("colour", "one", "stated"): (100.0, 1),
        ("colour", "one", "wrong"): (0.0, 1),
        ("colour", "other", "stated"): (0.0, 1),
        ("colour", "other", "wrong"): (100.0, 1),
        ("size", "one", "stated"): (0.0, 1),
        ("size", "one", "wrong"): (100.0, 1),
        ("size", "other", "stated"): (0.0, 1),
        ("size", "other", "wrong"): (100.0, 1),
        ("number", "one", "stated"): (0.0, 1),
        ("number", "other", "stated"): (0.0, 1),
    }
    assert [row["attribute"] for row in rows][:4] == [ALL_FACTS] * 4
    assert all(list(row) == ["measure", "attribute", "system", "percent", "low", "high", "facts"] for row in rows)


def test_without_a_fact_the_rows_of_all_are_empty() -> None:
    rows = fact_rows({"one": [{}], "other": [{}]})
    assert [(row["attribute"], row["percent"], row["facts"]) for row in rows] == [(ALL_FACTS, "", 0)] * 4
