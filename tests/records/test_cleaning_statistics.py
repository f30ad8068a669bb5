"""What is counted of batches of records: verdicts add up, rules by field and record, plots have their columns."""

import polars as pl

from src.records.cleaning import VERDICTS, FilterSettings, clean_batch
from src.records.cleaning_statistics import CleaningStatistics
from src.records.rules import RULES

DROPS = FilterSettings(3, 10, markup_titles=True, content_is_title=True, language=None)


def tallied(batch: int) -> CleaningStatistics:
    rows = [
        ("1", "a &amp; b", "owls live in barns &amp; b"),
        ("2", "owls", "owls live in barns "),
        ("3", "owls live in", "Owls live in!"),
    ]
    tally = CleaningStatistics(RULES, None)
    for records in pl.DataFrame(rows, schema=["uid", "title", "content"], orient="row").iter_slices(batch):
        tally.add(clean_batch(records, RULES, DROPS))
    return tally


def test_changes_are_counted_by_field_and_record_over_batches() -> None:
    rules = {row["rule"]: (row["titles"], row["descriptions"]) for row in tallied(1).plots()["rules"]}
    assert list(rules) == [rule.name for rule in RULES]
    assert (rules["entities"], rules["spaces"], rules["glued"]) == ((1, 1), (0, 1), (0, 0))
    metrics = tallied(1).metrics()
    assert (metrics["changed_entities"], metrics["changed_spaces"]) == (1, 1)
    assert "truth" not in metrics
    assert tallied(1).plots() == tallied(3).plots()
    assert metrics == tallied(3).metrics()


def test_final_verdicts_take_the_place_of_those_kept_so_far() -> None:
    tally = tallied(3)
    assert tally.verdicts["kept"] == 2
    tally.judge(pl.Series(["kept", "near_duplicate"]))
    metrics = tally.metrics()
    assert (metrics["kept"], metrics["near_duplicate"], metrics["content_is_title"]) == (1, 1, 1)
    assert metrics["records"] == sum(metrics[verdict] for verdict in VERDICTS) == 3


def test_the_funnel_says_in_words_what_became_of_every_record() -> None:
    funnel = tallied(3).plots()["funnel"]
    assert [row["step"] for row in funnel] == list(VERDICTS.values())
    assert sum(row["records"] for row in funnel) == 3


def test_lengths_are_those_before_cleaning_and_of_what_is_written() -> None:
    tally = tallied(3)
    tally.after.add(pl.DataFrame({"title": ["owls"], "content": ["owls live in barns"]}))
    lengths = tally.plots()["lengths"]
    assert {when: sum(r["records"] for r in lengths if r["when"] == when) for when in ("before", "after")} == {
        "before": 6,
        "after": 2,
    }
