"""The filters of cleaned records: what each one drops and for which text, its switch, and that the table is whole."""

from collections.abc import Callable

import polars as pl
import pytest

from src.errors import UserError
from src.params import CleanParams, Params
from src.records.cleaning import CleanedBatch, clean_batch
from src.records.filtering import Filter
from src.records.filters import COMPARING_FILTERS, FILTERS, enabled_filters
from src.records.rules import RULES

Chosen = Callable[..., Params]

LONG = "a text that is long enough to be kept"
NESTED = "<" * 40 + "b>" * 40
EXAMPLES = {  # by drop reason: title, content, the field that the record is dropped for
    "markup_title": [
        ('<span class="a-size-medium">Owl</span>', LONG, "title"),
        ("var aPageStart = (new Date()).getTime();", LONG, "title"),
        ("&lt;img src=x&gt;", LONG, "title"),
        ('Industrial &amp; Scientific" />', LONG, "title"),
        (' Magazines" />', LONG, "title"),
    ],
    "unstable_markup": [(NESTED, LONG, "title"), ("An owl", NESTED, "content"), (NESTED, NESTED, "title")],
    "too_short": [("Owl", "<p>" * 20 + "short", "content"), ("<i>O</i>", LONG, "title"), ("O", "short", "title")],
    "content_is_title": [("A <b>Long</b> Title, of an Owl!", "a long title of an owl", "content")],
    "other_language": [("Eulen", "Eulen leben in Bäumen und Scheunen und jagen bei Nacht.", "content")],
}
ROWS = [(reason, *row) for reason, rows in EXAMPLES.items() for row in rows]
ON_AND_OFF: dict[str, tuple[object, object]] = {"language": ("en", "any")}  # where a switch is not true or false
KEPT_CONTENT = "Owls live in trees and barns, and they hunt at night for mice."
KEPT_ROWS = [
    (title, KEPT_CONTENT) for title in ("<b>Owl</b> &amp; Co", '24 Owls" />', "Magazines", 'Owl Magazines" />')
]


def cleaned(rows: list[tuple[str, str]], params: Params) -> CleanedBatch:
    records = pl.DataFrame([("1", *row) for row in rows], schema=["uid", "title", "content"], orient="row")
    return clean_batch(records, params)


def reasons(rows: list[tuple[str, str]], params: Params) -> list[str | None]:
    return cleaned(rows, params).after["drop_reason"].to_list()


def test_each_drop_reason(cleaning_params: Chosen) -> None:
    made = cleaned([row[1:3] for row in ROWS] + KEPT_ROWS, cleaning_params(min_content_chars=20, language="en"))
    assert made.after["drop_reason"].to_list() == [row[0] for row in ROWS] + [None] * len(KEPT_ROWS)
    fields = ["title" if title else "content" for title in made.in_title[: len(ROWS)]]
    assert fields == [row[3] for row in ROWS]


def test_every_filter_has_an_example_or_compares_records() -> None:
    assert [each.name for each in FILTERS] == [*EXAMPLES, *(each.name for each in COMPARING_FILTERS)]
    assert [each.name for each in COMPARING_FILTERS] == ["duplicate", "near_duplicate"]


def test_names_and_labels_are_unique_and_each_advice_names_a_parameter() -> None:
    assert len({each.name for each in FILTERS}) == len({each.label for each in FILTERS}) == len(FILTERS)
    keys = {f"clean.{key}" for key in CleanParams.model_fields} | {"data.min_title_chars", "data.min_content_chars"}
    assert [each.name for each in FILTERS if not any(key in each.advice.split() for key in keys)] == []


@pytest.mark.parametrize(
    "each", [each for each in FILTERS if each.switch and each not in COMPARING_FILTERS], ids=lambda each: each.name
)
def test_a_filter_can_be_switched_off(each: Filter, cleaning_params: Chosen) -> None:
    title, content, _ = EXAMPLES[each.name][0]
    on, off = ON_AND_OFF.get(str(each.switch), (True, False))
    assert reasons([(title, content)], cleaning_params(**{str(each.switch): on})) == [each.name]
    assert reasons([(title, content)], cleaning_params(**{str(each.switch): off})) == [None]


def test_another_language_is_dropped_if_one_is_asked_for(cleaning_params: Chosen) -> None:
    rows = [("Owls", "Owls live in trees and hunt at night."), ("Eulen", "Eulen leben in Bäumen und jagen bei Nacht.")]
    assert reasons(rows, cleaning_params()) == [None, None]
    assert reasons(rows, cleaning_params(language="de")) == ["other_language", None]
    assert reasons([("Owls", "short")], cleaning_params(language="de")) == ["too_short"]
    with pytest.raises(UserError, match=r"clean\.language is 'xx'"):
        reasons(rows, cleaning_params(language="xx"))


def test_the_section_clean_has_a_boolean_for_every_rule_and_every_filter_that_is_switched_by_one() -> None:
    booleans = [key for key, field in CleanParams.model_fields.items() if field.annotation is bool]
    rules = [rule.name for rule in RULES if rule.name != "no_ascii"]  # which goes with ascii
    filters = [each.switch for each in FILTERS if each.switch in booleans]
    assert booleans == [*rules, *filters]
    assert {rule.switch for rule in RULES} == set(rules)
    assert {each.switch for each in FILTERS} <= {*CleanParams.model_fields, None}


def test_filters_that_are_on_are_applied_in_the_order_of_the_table(cleaning_params: Chosen) -> None:
    alone = [each for each in FILTERS if each not in COMPARING_FILTERS]
    assert enabled_filters(cleaning_params(language="en").clean) == tuple(alone)
    off = {str(each.switch): ON_AND_OFF.get(str(each.switch), (True, False))[1] for each in alone if each.switch}
    assert enabled_filters(cleaning_params(**off).clean) == tuple(each for each in alone if each.switch is None)
