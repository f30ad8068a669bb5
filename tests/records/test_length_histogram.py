"""Lengths: every text in one bin, the bins in order."""

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from src.records.length_histogram import EDGES, LengthHistogram


def counted(*lengths: int) -> list[tuple[int, int]]:
    counts = LengthHistogram()
    rows = [("é" * length, "x") for length in lengths]
    counts.add(pl.DataFrame(rows, schema={"title": pl.String, "content": pl.String}, orient="row"))
    return [(row["chars"], row["records"]) for row in counts.rows("before") if row["text"] == "title"]


def test_bins_begin_at_their_edges_and_empty_ones_between_are_shown() -> None:
    assert counted(10, 12, 13, 20) == [(10, 2), (13, 1), (16, 0), (20, 1)]
    assert counted(1) == [(1, 1)]
    assert counted() == []


def test_there_are_ten_bins_a_decade() -> None:
    assert EDGES[-11:].tolist() == [
        10**5,
        125893,
        158489,
        199526,
        251189,
        316228,
        398107,
        501187,
        630957,
        794328,
        10**6,
    ]


@given(st.lists(st.integers(1, 3000), min_size=1, max_size=20))
def test_every_text_is_in_one_bin(lengths: list[int]) -> None:
    rows = counted(*lengths)
    assert sum(records for _, records in rows) == len(lengths)
    assert rows[0][0] <= min(lengths) and rows[-1][0] <= max(lengths)


def test_batches_add_up() -> None:
    counts = LengthHistogram()
    for title in ("owl", "owls", "owlet"):
        counts.add(pl.DataFrame({"title": [title], "content": [title * 9]}))
    assert sum(row["records"] for row in counts.rows("after")) == 6
    assert {row["when"] for row in counts.rows("after")} == {"after"}
