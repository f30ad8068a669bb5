"""What is counted of batches of records: drop reasons add up, rules by field and record, plots have their columns."""

from collections.abc import Callable

import polars as pl
import pytest

from src.params import Params
from src.records.cleaning import clean_batch
from src.records.cleaning_statistics import ALONE, CleaningStatistics
from src.records.deduplication import TIE, TIES
from src.records.filtering import KEPT
from src.records.filters import FILTERS
from src.records.rules import enabled_rules

Count = Callable[[int], CleaningStatistics]


@pytest.fixture
def params(cleaning_params: Callable[..., Params]) -> Params:
    return cleaning_params()


@pytest.fixture
def counted(params: Params) -> Count:
    """The statistics of a few records in batches of a size."""
    return lambda batch: count_records(params, batch)


def count_records(params: Params, batch: int) -> CleaningStatistics:
    rows = [
        ("1", "a &amp; b", "owls live in barns &amp; b"),
        ("2", "owls", "owls live in barns "),
        ("3", "owls live in", "Owls live in!"),
    ]
    statistics = CleaningStatistics(enabled_rules(params.clean))
    for records in pl.DataFrame(rows, schema=["uid", "title", "content"], orient="row").iter_slices(batch):
        statistics.add(clean_batch(records, params))
    return statistics


def test_changes_are_counted_by_field_and_record_over_batches(counted: Count, params: Params) -> None:
    rules = {row["rule"]: (row["titles"], row["descriptions"]) for row in counted(1).plots()["rules"]}
    assert list(rules) == [rule.name for rule in enabled_rules(params.clean)]
    assert (rules["entities"], rules["spaces"], rules["glued"]) == ((1, 1), (0, 1), (0, 0))
    metrics = counted(1).metrics()
    assert (metrics["changed_entities"], metrics["changed_spaces"]) == (1, 1)
    assert counted(1).plots() == counted(3).plots()
    assert metrics == counted(3).metrics()


def test_duplicates_are_taken_from_those_kept_so_far(counted: Count) -> None:
    statistics = counted(3)
    assert statistics.reasons[KEPT] == 2
    statistics.add_duplicates(pl.Series([None, "near_duplicate"]), pl.Series([None, None], dtype=TIE))
    metrics = statistics.metrics()
    assert (metrics["kept"], metrics["near_duplicate"], metrics["content_is_title"]) == (1, 1, 1)
    assert metrics["records"] == sum(metrics[each.name] for each in FILTERS) + metrics[KEPT] == 3


def test_the_funnel_has_in_words_what_became_of_every_record(counted: Count) -> None:
    funnel = counted(3).plots()["funnel"]
    assert [row["step"] for row in funnel] == [*(each.label for each in FILTERS), *TIES.values(), ALONE]
    assert sum(row["records"] for row in funnel) == 3


def test_what_is_kept_near_an_earlier_one_is_counted_by_its_reason(counted: Count) -> None:
    statistics = counted(3)
    statistics.add_duplicates(pl.Series([None, None], dtype=pl.String), pl.Series([None, "other_title"], dtype=TIE))
    metrics = statistics.metrics()
    assert (metrics["kept"], metrics["kept_near_other_title"], metrics["kept_near_other_numbers"]) == (2, 1, 0)
    funnel = {row["step"]: row["records"] for row in statistics.plots()["funnel"]}
    assert (funnel[TIES["other_title"]], funnel[ALONE]) == (1, 1)


def test_lengths_are_those_before_cleaning_and_of_what_is_written(counted: Count) -> None:
    statistics = counted(3)
    statistics.add_written(pl.DataFrame({"title": ["owls"], "content": ["owls live in barns"]}))
    lengths = statistics.plots()["lengths"]
    assert {when: sum(r["records"] for r in lengths if r["when"] == when) for when in ("before", "after")} == {
        "before": 6,
        "after": 2,
    }
