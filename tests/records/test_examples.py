"""Examples: which records are drawn, what is shown of them, and that it does not depend on the batches."""

from collections.abc import Callable

import polars as pl
import pytest

from src.params import Params
from src.records import examples
from src.records.cleaning import clean_batch
from src.records.examples import (
    SHOWN,
    ChangeExamples,
    DuplicateExamples,
    difference_window,
    first_changes,
)
from src.records.rules import RULES as TABLE
from src.records.rules import Rule, enabled_rules
from src.records.text_keys import uid_keys

RULES = tuple(rule for rule in TABLE if rule.switch != "ascii")
BY_NAME = {rule.name: rule for rule in RULES}


@pytest.fixture
def params(cleaning_params: Callable[..., Params]) -> Params:
    return cleaning_params()


def rows_of(records: pl.DataFrame, batch: int, params: Params) -> list[dict[str, str]]:
    drawn = ChangeExamples(enabled_rules(params.clean))
    for part in records.iter_slices(batch):
        drawn.add(clean_batch(part, params))
    return drawn.rows()


@pytest.fixture
def records() -> pl.DataFrame:
    numbers = [str(number) for number in range(60)]
    titles = [f"An owl &amp; {number}" if int(number) % 3 else f"Owl {number}" for number in numbers]
    return pl.DataFrame({"uid": numbers, "title": titles, "content": [f"<b>Owls</b> &amp; barns {n}" for n in numbers]})


def test_those_of_the_lowest_hash_are_shown_whatever_the_batches(records: pl.DataFrame, params: Params) -> None:
    whole = rows_of(records, 60, params)
    assert whole == rows_of(records, 7, params) == rows_of(records, 1, params)
    entities = [row for row in whole if row["rule"] == "entities"]
    lowest = records.with_columns(uid_keys(records["uid"])).sort("uid_key")["uid"].head(SHOWN)
    assert [row["uid"] for row in entities] == lowest.to_list()
    assert [row["field"] for row in entities] == ["content" if int(uid) % 3 == 0 else "title" for uid in lowest]
    assert [row for row in whole if row["rule"] == "glued"] == []


def test_dropped_records_are_shown_with_their_reason(params: Params) -> None:
    nested = "<" * 20 + "b>" * 20  # still changes after all passes
    rows = [
        ("1", '<span class="a-size">', "Owls live in barns"),
        ("2", "Owls in barns", "owls in BARNS."),
        ("3", "<i>a</i>", "Owls live in barns"),
        ("4", "An owl", "<b>Owls</b>"),
        ("5", nested, "Owls live in barns"),
        ("6", "An owl", nested),
    ]
    records = pl.DataFrame(rows, schema=["uid", "title", "content"], orient="row")
    rows_dropped = [row for row in rows_of(records, 2, params) if is_drop(row)]
    dropped = {(row["rule"], row["uid"], row["field"], row["before"]) for row in rows_dropped}
    assert dropped == {
        ("markup_title", "1", "title", '[<span class="a-size">]'),
        ("content_is_title", "2", "content", "[owls in BARNS.]"),
        ("too_short", "3", "title", "[<i>a</i>]"),
        ("too_short", "4", "content", "[<b>Owls</b>]"),
        ("unstable_markup", "5", "title", f"[{nested}]"),
        ("unstable_markup", "6", "content", f"[{nested}]"),
    }


def test_a_title_of_markup_that_may_stay_is_not_blamed_for_a_short_content(
    cleaning_params: Callable[..., Params],
) -> None:
    records = pl.DataFrame({"uid": ["1"], "title": ['<span class="a-size">An owl</span>'], "content": ["<b>Owls</b>"]})
    drawn = rows_of(records, 1, cleaning_params(markup_titles=False))
    assert [(row["rule"], row["field"]) for row in drawn if is_drop(row)] == [("too_short", "content")]


def is_drop(row: dict[str, str]) -> bool:
    return row["after"] == "(dropped)"


def test_each_rule_is_shown_by_what_it_did_itself() -> None:
    texts = pl.Series(["&lt;b&gt;Owls&lt;/b&gt;  live"])
    assert first_changes(BY_NAME["entities"], texts, RULES) == [(texts[0], "<b>Owls</b>  live")]
    assert first_changes(BY_NAME["markup"], texts, RULES) == [("<b>Owls</b>  live", "Owls  live")]
    assert first_changes(BY_NAME["spaces"], texts, RULES) == [("Owls  live", "Owls live")]


def test_a_change_in_a_later_pass_is_found() -> None:
    texts = pl.Series(["Owls &<b></b>amp; barns"])
    assert first_changes(BY_NAME["entities"], texts, RULES) == [("Owls &amp; barns", "Owls & barns")]


def test_changes_of_several_texts_are_found_in_several_passes() -> None:
    texts = pl.Series(["Owls &amp; bats", "Owls &<b></b>amp; barns"])
    assert [after for _, after in first_changes(BY_NAME["entities"], texts, RULES)] == ["Owls & bats", "Owls & barns"]


def test_of_two_changes_the_first_is_shown() -> None:
    texts = pl.Series(["Owls &#38; bats &<b></b>amp; barns"])
    after = "Owls & bats &<b></b>amp; barns"
    assert first_changes(BY_NAME["entities"], texts, RULES) == [(texts[0], after)]


def test_no_rule_is_applied_once_all_changes_are_found() -> None:
    texts = pl.Series(["Owls &amp; barns", "Bats &amp; barns"])
    never = Rule(
        "never", suspect=lambda _: pytest.fail("The changes were found before."), transform=lambda found: found
    )
    entities = BY_NAME["entities"]
    assert [after for _, after in first_changes(entities, texts, (entities, never))] == ["Owls & barns", "Bats & barns"]


def test_a_window_surrounds_the_first_change_and_shows_where_a_text_ends() -> None:
    before, after = "x" * 50 + "&amp;" + "y" * 100, "x" * 50 + "&" + "y" * 100
    assert difference_window(before, after) == (
        "…" + "x" * 19 + "&amp;" + "y" * 36 + "…",
        "…" + "x" * 19 + "&" + "y" * 40 + "…",
    )
    assert difference_window(" owl", "owl") == ("[ owl]", "[owl]")
    assert difference_window("owls.", "owls") == ("[owls.]", "[owls]")
    assert difference_window("z" * 70, "z" * 70) == ("[" + "z" * 60 + "…",) * 2


def test_what_cannot_be_seen_is_escaped() -> None:
    assert difference_window("a\tb\r\nc\x00\u200b\xa0d é", "") == (r"[a\tb\r\nc\x00\u200b\xa0d é]", "[]")


def test_duplicates_are_shown_beside_what_they_repeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examples, "SHOWN", 1)
    uids = pl.Series("uid", ["a", "b", "c", "d", "e"])
    plan = pl.DataFrame(
        {
            "uid_key": [4, 3, 2, 1, 5],
            "drop_reason": [None, "duplicate", "duplicate", "near_duplicate", None],
            "tie": [None, None, None, None, "other_title"],
            "original": [0, 0, 0, 1, 0],
        }
    )
    records = pl.DataFrame({"uid": uids, "title": [*"Aa", "A!", *"DE"], "content": [*"xX", "x.", "y\n", "x"]})
    drawn = DuplicateExamples(plan)
    for batch in records.iter_slices(3):
        drawn.add(batch)
    exact, near, tied = drawn.rows()
    assert list(exact.values()) == ["duplicate", "c", "a", "[A!]", "[A]", "[x.]", "[x]"]
    assert list(near.values()) == ["near_duplicate", "d", "b", "[D]", "[a]", r"[y\n]", "[X]"]
    assert list(tied.values()) == ["kept, near: other title", "e", "a", "[E]", "[A]", "[x]", "[x]"]
    assert list(near) == ["outcome", "uid", "of_uid", "title", "of_title", "content", "of_content"]
