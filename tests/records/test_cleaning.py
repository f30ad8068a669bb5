"""Verdicts on single records, and each drop's switch."""

from dataclasses import replace

import polars as pl
import pytest

from src.records.cleaning import VERDICTS, CleanedBatch, FilterSettings, clean_batch
from src.records.deduplication import text_keys
from src.records.language import LanguageFilter
from src.records.rules import RULES

LONG = "a text that is long enough to be kept"
DROPS = FilterSettings(
    min_title_chars=3, min_content_chars=20, markup_titles=True, content_is_title=True, language=None
)


def cleaned(rows: list[tuple[str, str]], drops: FilterSettings = DROPS) -> CleanedBatch:
    records = pl.DataFrame([("1", *row) for row in rows], schema=["uid", "title", "content"], orient="row")
    return clean_batch(records, RULES, drops)


def verdicts(rows: list[tuple[str, str]], drops: FilterSettings = DROPS) -> list[str]:
    return cleaned(rows, drops).after["verdict"].to_list()


def test_each_verdict() -> None:
    rows = {
        ('<span class="a-size-medium">Owl</span>', LONG): "markup_title",
        ("var aPageStart = (new Date()).getTime();", LONG): "markup_title",
        ("&lt;img src=x&gt;", LONG): "markup_title",
        ("<" * 40 + "b>" * 40, LONG): "unsettled",
        ("An owl", "<" * 40 + "b>" * 40): "unsettled",
        ("A <b>Long</b> Title, of an Owl!", "a long title of an owl"): "content_is_title",
        ("<b>Owl</b> &amp; Co", LONG): "kept",
        ("Owl", "<p>" * 20 + "short"): "too_short",
    }
    assert verdicts(list(rows)) == list(rows.values())
    assert set(rows.values()) < set(VERDICTS)


@pytest.mark.parametrize(
    ("switched", "row"),
    [
        (replace(DROPS, markup_titles=False), ('<span class="a-size-medium">Owl</span>', LONG)),
        (replace(DROPS, content_is_title=False), ("A <b>Long</b> Title, of an Owl!", "a long title of an owl")),
    ],
)
def test_a_drop_can_be_switched_off(switched: FilterSettings, row: tuple[str, str]) -> None:
    assert verdicts([row]) != ["kept"]
    assert verdicts([row], switched) == ["kept"]


def test_another_language_is_dropped_if_one_is_asked_for() -> None:
    rows = [("Owls", "Owls live in trees and hunt at night."), ("Eulen", "Eulen leben in Bäumen und jagen bei Nacht.")]
    assert verdicts(rows) == ["kept", "kept"]
    assert verdicts(rows, replace(DROPS, language=LanguageFilter("de"))) == ["other_language", "kept"]
    assert verdicts([("Owls", "short")], replace(DROPS, language=LanguageFilter("de"))) == ["too_short"]


def test_records_before_and_after_are_given_with_keys_and_what_changed() -> None:
    rows = [("a &amp; b", f"{LONG} &amp; b"), ("owls", LONG + " ")]
    made = cleaned(rows)
    assert made.before.rows() == [("1", *row) for row in rows]
    assert made.after.columns == ["uid", "title", "content", "title_key", "content_key", "verdict"]
    assert made.after["title"].to_list() == ["a & b", "owls"]
    assert made.after["content_key"].to_list() == text_keys(pl.Series([f"{LONG} b", LONG])).to_list()
    assert (made.titles["entities"].tolist(), made.contents["entities"].tolist()) == ([True, False], [True, False])
    assert (made.titles["spaces"].tolist(), made.contents["spaces"].tolist()) == ([False, False], [False, True])
