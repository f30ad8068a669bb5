"""Verdicts on records and the counts of changes."""

import polars as pl

from src.records.clean import clean
from src.records.duplicates import Seen
from src.records.rules import RULES

LONG = "a text that is long enough to be kept"


def verdicts(rows: list[tuple[str, str]], seen: Seen | None = None) -> list[str]:
    records = pl.DataFrame([("1", *row) for row in rows], schema=["uid", "title", "content"], orient="row")
    return clean(records, RULES, 3, 20, seen or Seen())[0]["verdict"].to_list()


def test_each_verdict() -> None:
    rows = {
        ('<span class="a-size-medium">Owl</span>', LONG): "markup_title",
        ("var aPageStart = (new Date()).getTime();", LONG): "markup_title",
        ("&lt;img src=x&gt;", LONG): "markup_title",
        ("<" * 40 + "b>" * 40, LONG): "unsettled",
        ("A <b>Long</b> Title, of an Owl!", "a long title of an owl"): "content_is_title",
        ("<b>Owl</b> &amp; Co", LONG): "kept",
        ("Owl", "<p>" * 20 + "short"): "too_short",
    }
    assert verdicts(list(rows)) == list(rows.values())


def test_the_first_of_equal_records_is_kept_over_batches() -> None:
    seen = Seen()
    rows = [("An owl", LONG), ("An OWL.", LONG.upper()), ("Another owl", LONG)]
    assert verdicts(rows, seen) == ["kept", "duplicate", "kept"]
    assert verdicts(rows[:1], seen) == ["duplicate"]


def test_dropped_records_make_no_duplicates() -> None:
    assert verdicts([("Owl", "short"), ("Owl", "short")]) == ["too_short", "too_short"]


def test_changes_are_counted_by_field_and_record() -> None:
    records = pl.DataFrame(
        {"uid": ["1", "2"], "title": ["a &amp; b", "owls"], "content": [f"{LONG} &amp; b", LONG + " "]}
    )
    _, changes = clean(records, RULES, 3, 20, Seen())
    assert [changes.titles["entities"], changes.contents["entities"], changes.records["entities"]] == [1, 1, 1]
    assert [changes.titles["spaces"], changes.contents["spaces"], changes.records["spaces"]] == [0, 1, 1]
