"""What is refused about records, in words: the drop reason that took the most gives the advice."""

from collections import Counter

import pytest

from src.errors import UserError
from src.records import refusals
from src.records.filtering import KEPT
from src.records.filters import FILTERS


def test_the_advice_is_that_of_the_filter_that_dropped_the_most() -> None:
    counts = Counter({"too_short": 2, "content_is_title": 7})
    with pytest.raises(UserError) as refused:
        refusals.check_clean_records("records.parquet", counts, FILTERS)
    assert str(refused.value) == (
        "records.parquet: no record is left (2 too short when clean, 7 description repeats title): "
        "set clean.content_is_title to false, or set another data.raw."
    )


def test_one_record_is_enough() -> None:
    refusals.check_clean_records("records.parquet", Counter({"too_short": 2, KEPT: 1}), FILTERS)
