"""Which titles and numbers name one product."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.records.same_product import find_numbers, product_keys


def keys(title: str, content: str = "text") -> tuple[int, int]:
    return product_keys(pl.DataFrame({"title": [title], "content": [content]})).row(0)


@pytest.mark.parametrize(
    "other",
    [
        "steel ruler, 3/4 in",
        "Steel Ruler 3/4 in (Import)",
        "Steel Ruler, 3/4 in - New",
        "Steel Ruler 3/4 in [Gift Box] (Revised Edition)",
        "Steel Ruler 3/4 in. (Packaging may vary)",
    ],
)
def test_titles_of_one_product(other: str) -> None:
    assert keys("Steel Ruler 3/4 in") == keys(other)


@pytest.mark.parametrize(
    "other",
    [
        "Steel Ruler 34 in",
        "Steel Ruler 1/2 in",
        "Steel Ruler 3/4 in (Blue)",
        "Steel Ruler 3/4 in (Pack of 2)",
        "Brass Ruler 3/4 in",
        "Steel Ruler 3/4 in New Edition",
        "New Steel Ruler 3/4 in",
    ],
)
def test_titles_of_other_products(other: str) -> None:
    assert keys("Steel Ruler 3/4 in") != keys(other)


def test_a_title_that_is_a_note_alone_names_a_product() -> None:
    assert keys("(Import)") != keys("(New)")
    assert keys("- New") != keys("- Import")


def test_numbers_of_a_content_count_once_and_in_any_order() -> None:
    assert keys("a", "5 of 3/4 in, or ¾ in: 5") == keys("a", "¾ in and 3/4 in; 5!")
    assert keys("a", "for O1 steel") != keys("a", "for W1 steel")
    assert keys("a", "1.5 mm") != keys("a", "15 mm")
    assert keys("a", "a 5-licence pack") != keys("a", "a 10-licence pack")


def test_numbers_are_words_with_a_digit() -> None:
    found = find_numbers(pl.Series(["PG-240XL, 1,000 sheets. 3.Great v2.5 (½) 12.", "none"]))
    assert found.to_list() == [["240xl", "1,000", "3", "v2.5", "1⁄2", "12"], []]


@given(st.lists(st.text(st.sampled_from("ab1 2/-.(Ié"), max_size=12), min_size=1, max_size=5))
def test_a_record_has_the_keys_that_it_has_alone(texts: list[str]) -> None:
    together = product_keys(pl.DataFrame({"title": texts, "content": texts[::-1]}))
    alone = [keys(title, content) for title, content in zip(texts, texts[::-1], strict=True)]
    assert together.rows() == alone
