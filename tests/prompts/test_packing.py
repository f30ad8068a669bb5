"""Packing: every record whole and once, in rows that are full."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from src.prompts.encoding import IGNORE_INDEX, EncodedRecord
from src.prompts.packing import make_rows


def distinct(lengths: list[int]) -> list[EncodedRecord]:
    """Records of given lengths whose tokens occur in no other, half of them trained."""
    starts = [1000 * number for number in range(1, len(lengths) + 1)]
    tokens = [list(range(start, start + length)) for start, length in zip(starts, lengths, strict=True)]
    return [EncodedRecord(ids, [IGNORE_INDEX] * (len(ids) // 2) + ids[len(ids) // 2 :]) for ids in tokens]


def unpacked(row: dict[str, Any]) -> list[EncodedRecord]:
    """The records that a row holds by its lengths."""
    ends = [sum(row["seq_lengths"][: number + 1]) for number in range(len(row["seq_lengths"]))]
    starts = [0, *ends[:-1]]
    return [
        EncodedRecord(row["input_ids"][start:end], row["labels"][start:end])
        for start, end in zip(starts, ends, strict=True)
    ]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 24), min_size=1, max_size=20), st.booleans())
def test_rows_hold_every_record_whole_and_once(lengths: list[int], packing: bool) -> None:
    records = distinct(lengths)
    made = make_rows(records, 24, packing).to_list()
    assert all(len(row["input_ids"]) == len(row["labels"]) == sum(row["seq_lengths"]) <= 24 for row in made)
    assert sorted(one for row in made for one in unpacked(row)) == sorted(records)
    assert packing or [len(row["seq_lengths"]) for row in made] == [1] * len(records)


def test_packing_fills_rows() -> None:
    made = make_rows(distinct([12, 12, 20, 4, 24]), 24, packing=True)
    assert sorted(map(len, made["input_ids"])) == [24, 24, 24]
