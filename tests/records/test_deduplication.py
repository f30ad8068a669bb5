"""Which records repeat which, exactly or nearly, and what is dropped."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.records.deduplication import DuplicatePolicy, count_near_clusters, mark_duplicates

NUMBERS = pl.UInt64()


def duplicates(
    rows: list[tuple[int, int]], clusters: list[int], policy: DuplicatePolicy
) -> tuple[list[str | None], list[int]]:
    index = pl.DataFrame(rows, schema={"title_key": NUMBERS, "content_key": NUMBERS}, orient="row")
    repeats = mark_duplicates(index, np.array(clusters), policy)
    return repeats["drop_reason"].to_list(), repeats["original"].to_list()


ROWS = [(1, 7), (2, 5), (1, 7), (3, 7), (4, 9)]  # the third equals the first, the fourth in its content alone
CLUSTERS = [0, 0, 0, 0, 4]


@pytest.mark.parametrize(
    ("policy", "reasons", "originals"),
    [
        ("keep", [None] * 5, [0, 1, 2, 3, 4]),
        ("exact", [None, None, "duplicate", None, None], [0, 1, 0, 3, 4]),
        ("near", [None, "near_duplicate", "duplicate", "near_duplicate", None], [0, 0, 0, 0, 4]),
    ],
)
def test_the_first_of_equal_and_of_near_records_stays(
    policy: DuplicatePolicy, reasons: list[str | None], originals: list[int]
) -> None:
    assert duplicates(ROWS, CLUSTERS, policy) == (reasons, originals)


def test_of_a_cluster_that_begins_with_an_exact_duplicate_the_next_stays() -> None:
    # Equal letters and other words: the second repeats the first, and is near to the third, which would be lost.
    assert duplicates([(1, 7), (1, 7), (2, 8)], [0, 1, 1], "near") == ([None, "duplicate", None], [0, 0, 2])


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2)), min_size=1))
def test_one_of_each_kind_stays(rows: list[tuple[int, int, int]]) -> None:
    pairs, kinds = [row[:2] for row in rows], [row[2] for row in rows]
    clusters = [kinds.index(kind) for kind in kinds]
    exact, _ = duplicates(pairs, clusters, "exact")
    assert exact.count(None) == len(set(pairs))
    near, originals = duplicates(pairs, clusters, "near")
    stays = [cluster for cluster, reason in zip(clusters, near, strict=True) if reason is None]
    assert len(stays) == len(set(stays))
    assert all((reason is None) == (originals[position] == position) for position, reason in enumerate(near))


def test_near_key_is_the_smallest_of_the_cluster_and_clusters_are_counted() -> None:
    index = pl.DataFrame(ROWS, schema={"title_key": NUMBERS, "content_key": NUMBERS}, orient="row")
    plan = index.hstack(mark_duplicates(index, np.array(CLUSTERS), "near"))
    assert plan["near_key"].to_list() == [5, 5, 5, 5, 9]
    assert plan["near_key"].dtype == NUMBERS
    assert count_near_clusters(plan) == 1
    assert count_near_clusters(plan.filter(pl.Series([True, False, True, False, True]))) == 0  # equal ones count once
