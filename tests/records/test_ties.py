"""Ties of training records: whoever shares title or description, in other words or signs too, and nobody else."""

import polars as pl
import pytest

from src.records.ties import tied_uids

TEXT = "The brass lamp lights a desk of oak, and its shade turns to every side without a sound or a screw."
RECORDS = {
    "title": ("Brass Lamp", "A lamp for a desk."),
    "signs": ("BRASS LAMP!", "It is green."),
    "content": ("Green Lamp", "It is green"),  # tied to the first through the second
    "long": ("Oak Lamp", TEXT),
    "near": ("Ash Lamp", TEXT.replace("screw", "bolt")),
    "alone": ("Brass Lamp, 30 cm", "It is made of brass."),
}


def frame(names: list[str]) -> pl.DataFrame:
    return pl.DataFrame([(name, *RECORDS[name]) for name in names], schema=["uid", "title", "content"], orient="row")


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_records_are_tied_by_title_content_and_near_content(rows: int) -> None:
    tied = tied_uids(lambda columns: frame(list(RECORDS)).iter_slices(rows), 0.7)
    lamps, long = frozenset({"title", "signs", "content"}), frozenset({"long", "near"})
    assert tied == {**dict.fromkeys(lamps, lamps), **dict.fromkeys(long, long)}


def test_what_is_less_alike_than_the_threshold_is_not_tied() -> None:
    assert tied_uids(lambda columns: [frame(["long", "near", "alone"])], 1.0) == {}


def test_equal_uids_are_no_tie_to_others() -> None:
    records = pl.concat([frame(["long", "alone"]), frame(["long"])])
    assert tied_uids(lambda columns: [records], 0.8) == {"long": frozenset({"long"})}
