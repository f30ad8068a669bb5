"""Keys of normalised texts, their laws and their stability; which records repeat which, and what is dropped."""

import unicodedata

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.records.deduplication import (
    DuplicatePolicy,
    count_near_clusters,
    fold_texts,
    mark_duplicates,
    text_digests,
    text_keys,
)

NUMBERS = pl.UInt64()


def same(*texts: str) -> bool:
    return text_keys(pl.Series(texts)).n_unique() == 1


@given(st.lists(st.text(st.characters(max_codepoint=127)), min_size=1))
def test_both_ways_give_ascii_the_same_key(texts: list[str]) -> None:
    series = pl.Series(texts)
    assert text_digests(fold_texts(series)).tolist() == text_keys(series).to_list()


@given(st.text(), st.text())
def test_texts_are_the_same_if_their_small_letters_and_digits_are(one: str, two: str) -> None:
    assert same(one, two) == (letters(one) == letters(two))


def letters(text: str) -> str:
    small = unicodedata.normalize("NFKC", text).lower()
    words = "".join(sign for sign in small if unicodedata.category(sign)[0] in "LMN")
    return words or ("".join(sign for sign in small if ord(sign) > 127) or small)


def test_case_signs_spaces_and_compatible_forms_make_no_difference() -> None:
    assert same("The end.The next", "the END. The next!", "“the end”\tthe next")
    assert same("Café ﬁne Ⅳ", unicodedata.normalize("NFD", "CAFÉ fine IV"))


def test_letters_digits_and_signs_on_their_own_make_one() -> None:
    assert not same("café", "cafe")
    assert not same("owls 1", "owls 2")
    assert not same("???", "!!!")
    assert not same("★★", "☆☆")


def test_keys_are_the_same_everywhere() -> None:
    assert text_keys(pl.Series(["An Owl!", "Né"])).to_list() == [10247815032992340954, 7947388042202808800]


def test_no_texts_have_no_keys() -> None:
    assert text_keys(pl.Series([], dtype=pl.String)).equals(pl.Series([], dtype=NUMBERS))


def judged(rows: list[tuple[int, int]], clusters: list[int], dropped: DuplicatePolicy) -> tuple[list[str], list[int]]:
    index = pl.DataFrame(rows, schema={"title_key": NUMBERS, "content_key": NUMBERS}, orient="row")
    repeats = mark_duplicates(index, np.array(clusters), dropped)
    return repeats["verdict"].to_list(), repeats["of"].to_list()


ROWS = [(1, 7), (2, 5), (1, 7), (3, 7), (4, 9)]  # the third equals the first, the fourth in its content alone
CLUSTERS = [0, 0, 0, 0, 4]


@pytest.mark.parametrize(
    ("dropped", "verdicts", "of"),
    [
        ("keep", ["kept"] * 5, [0, 1, 2, 3, 4]),
        ("exact", ["kept", "kept", "duplicate", "kept", "kept"], [0, 1, 0, 3, 4]),
        ("near", ["kept", "near_duplicate", "duplicate", "near_duplicate", "kept"], [0, 0, 0, 0, 4]),
    ],
)
def test_the_first_of_equal_and_of_near_records_stays(
    dropped: DuplicatePolicy, verdicts: list[str], of: list[int]
) -> None:
    assert judged(ROWS, CLUSTERS, dropped) == (verdicts, of)


def test_of_a_cluster_that_begins_with_an_exact_duplicate_the_next_stays() -> None:
    # Equal letters and other words: the second repeats the first, and is near to the third, which would be lost.
    assert judged([(1, 7), (1, 7), (2, 8)], [0, 1, 1], "near") == (["kept", "duplicate", "kept"], [0, 0, 2])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1))
def test_one_of_each_kind_stays(rows: list[tuple[int, int, int]]) -> None:
    pairs, kinds = [row[:2] for row in rows], [row[2] for row in rows]
    clusters = [kinds.index(kind) for kind in kinds]
    exact, _ = judged(pairs, clusters, "exact")
    assert exact.count("kept") == len(set(pairs))
    near, of = judged(pairs, clusters, "near")
    stays = [cluster for cluster, verdict in zip(clusters, near, strict=True) if verdict == "kept"]
    assert len(stays) == len(set(stays))
    assert all((verdict == "kept") == (of[place] == place) for place, verdict in enumerate(near))


def test_near_key_is_the_smallest_of_the_cluster_and_clusters_are_counted() -> None:
    index = pl.DataFrame(ROWS, schema={"title_key": NUMBERS, "content_key": NUMBERS}, orient="row")
    plan = index.hstack(mark_duplicates(index, np.array(CLUSTERS), "near"))
    assert plan["near_key"].to_list() == [5, 5, 5, 5, 9]
    assert plan["near_key"].dtype == NUMBERS
    assert count_near_clusters(plan) == 1
    assert count_near_clusters(plan.filter(pl.Series([True, False, True, False, True]))) == 0  # equal ones count once
