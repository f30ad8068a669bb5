"""Which records repeat which, exactly or nearly, what is dropped, and why what stays near another one does."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from src.records import deduplication
from src.records.deduplication import DuplicatePolicy, count_near_clusters, count_ties, find_originals, mark_duplicates
from src.records.deduplication import tie_equal_contents as tied

KEYS = ("title_key", "content_key", "form_key", "numbers_key")
Row = tuple[int, int, int, int]


def plan(
    rows: list[Row], clusters: list[int], policy: DuplicatePolicy = "near", unlike: tuple[tuple[int, int], ...] = ()
) -> pl.DataFrame:
    """The index with what was found; contents of one cluster are similar, but for the pairs in `unlike`."""
    index = pl.DataFrame(rows, schema=dict.fromkeys(KEYS, pl.UInt64()), orient="row")
    together = tied(np.array(clusters), index["content_key"])

    def similar(pairs: NDArray[np.int64]) -> NDArray[np.bool_]:
        assert all(together[one] == together[other] for one, other in pairs.T)
        return np.array([tuple(pair) not in unlike for pair in pairs.T.tolist()], dtype=bool)

    originals = find_originals(index, together, similar)
    return index.hstack(mark_duplicates(index, together, originals, policy))


# The third equals the first, the fourth has its content under a title that names the same product, the second is near.
ROWS = [(1, 7, 1, 0), (2, 5, 1, 0), (1, 7, 1, 0), (3, 7, 1, 0), (4, 9, 4, 0)]
CLUSTERS = [0, 0, 0, 0, 4]


@pytest.mark.parametrize(
    ("policy", "reasons", "ties"),
    [
        ("keep", [None] * 5, [None, *3 * ["same_product"], None]),
        ("exact", [None, None, "duplicate", None, None], [None, "same_product", None, "same_product", None]),
        ("near", [None, "near_duplicate", "duplicate", "near_duplicate", None], [None] * 5),
    ],
)
def test_the_first_of_equal_and_of_near_records_stays(
    policy: DuplicatePolicy, reasons: list[str | None], ties: list[str | None]
) -> None:
    found = plan(ROWS, CLUSTERS, policy)
    assert (found["drop_reason"].to_list(), found["tie"].to_list()) == (reasons, ties)
    assert found["original"].to_list() == [0, 0, 0, 0, 4]


def test_what_is_near_under_another_title_or_with_other_numbers_stays_and_is_tied() -> None:
    rows = [(1, 7, 1, 0), (2, 8, 2, 0), (3, 7, 3, 0), (1, 9, 1, 5), (5, 6, 5, 0)]
    found = plan(rows, [0, 0, 0, 0, 4])
    assert found["drop_reason"].to_list() == [None] * 5
    assert found["tie"].to_list() == [None, "other_title", "other_title", "other_numbers", None]
    assert found["original"].to_list() == [0, 0, 0, 0, 4]
    assert found["near_key"].to_list() == [7, 7, 7, 7, 6]
    assert count_ties(found["tie"]) == {"other_title": 2, "other_numbers": 1, "other_text": 0, "same_product": 0}


def test_equal_letters_with_other_numbers_are_no_exact_duplicate() -> None:
    found = plan([(1, 7, 1, 12), (1, 7, 1, 1)], [0, 1])  # 12 inches and 1/2 inch
    assert found["drop_reason"].to_list() == [None, None]
    assert found["tie"].to_list() == [None, "other_numbers"]


def test_what_is_near_by_way_of_another_one_alone_is_not_dropped() -> None:
    rows = [(1, 7, 1, 0), (1, 8, 1, 0), (1, 9, 1, 0)]
    found = plan(rows, [0, 0, 0], unlike=((0, 2),))
    assert found["drop_reason"].to_list() == [None, "near_duplicate", None]
    assert (found["tie"].to_list(), found["original"].to_list()) == ([None, None, "other_text"], [0, 0, 0])
    both = plan([*rows, (1, 6, 1, 0)], [0, 0, 0, 0], unlike=((0, 2), (0, 3)))
    assert both["drop_reason"].to_list() == [None, "near_duplicate", None, "near_duplicate"]  # near to the third
    assert both["original"][3] == 2


def test_a_product_of_many_texts_is_compared_with_some_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deduplication, "ROUNDS", 2)
    rows = [(1, content, 1, 0) for content in range(4)]
    found = plan(rows, [0] * 4, unlike=((0, 1), (0, 2), (0, 3), (1, 2), (1, 3)))
    assert found["drop_reason"].to_list() == [None] * 4  # a third round would drop the last


def test_equal_contents_of_unequal_words_are_in_one_cluster() -> None:
    rows = [(1, 7, 1, 0), (2, 7, 2, 0), (3, 8, 3, 0), (1, 7, 1, 0)]
    found = plan(rows, [0, 2, 2, 3])
    assert found["near_key"].to_list() == [7] * 4
    assert found["drop_reason"].to_list() == [None, None, None, "duplicate"]
    assert count_near_clusters(found) == 1


small = st.integers(0, 2)
groups = st.lists(st.tuples(small, small, small, small, small), min_size=1, max_size=20)
pairs = st.sets(st.tuples(st.integers(0, 19), st.integers(0, 19)))


@given(groups, pairs)
def test_laws_of_what_is_dropped(drawn: list[tuple[int, int, int, int, int]], unlike: set[tuple[int, int]]) -> None:
    rows, kinds = [row[:4] for row in drawn], [row[4] for row in drawn]
    found = plan(rows, [kinds.index(kind) for kind in kinds], unlike=tuple(unlike))
    original, reasons, near = found["original"].to_list(), found["drop_reason"].to_list(), found["near_key"].to_list()
    stays = [position for position, reason in enumerate(reasons) if reason is None]
    for position, reason in enumerate(reasons):
        other = original[position]
        assert other <= position and near[other] == near[position]
        if reason == "duplicate":
            assert rows[other] == rows[position]
        if reason == "near_duplicate":
            assert other in stays and rows[other][2:] == rows[position][2:]
            assert rows[other][1] == rows[position][1] or (other, position) not in unlike
    for position in stays:
        first = near[position] not in [near[other] for other in stays if other < position]
        assert (found["tie"][position] is None) == first


@given(groups, st.sampled_from(["keep", "exact", "near"]))
def test_every_kind_of_product_stays(drawn: list[tuple[int, int, int, int, int]], policy: DuplicatePolicy) -> None:
    rows, kinds = [row[:4] for row in drawn], [row[4] for row in drawn]
    found = plan(rows, [kinds.index(kind) for kind in kinds], policy)
    kinds_of = found.select("near_key", "form_key", "numbers_key")
    assert found["drop_reason"].is_null().sum() >= kinds_of.n_unique()
    assert kinds_of.filter(found["drop_reason"].is_null()).n_unique() == kinds_of.n_unique()
    if policy == "near":
        assert found["drop_reason"].is_null().sum() == kinds_of.n_unique()
    if policy == "keep":
        assert found["drop_reason"].null_count() == len(rows)


def test_equal_records_count_once_in_a_cluster() -> None:
    found = plan(ROWS, CLUSTERS)
    assert found["near_key"].to_list() == [5, 5, 5, 5, 9]
    assert count_near_clusters(found) == 1
    assert count_near_clusters(found.filter(pl.Series([True, False, True, False, True]))) == 0
