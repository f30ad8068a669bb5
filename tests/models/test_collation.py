"""Batches: rows padded or flattened, each record's positions from 0, and the records found in a batch again."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from src.models.collation import (
    collate_flat,
    collate_padded,
    collate_with_cu_seqlens,
    collate_with_lengths,
    record_positions,
    split_records,
)
from src.prompts.encoding import IGNORE_INDEX

PAD = 2
SHORT = {"input_ids": [5, 6], "labels": [IGNORE_INDEX, 6], "seq_lengths": [2]}
LONG = {"input_ids": [5, 6, 7, 8], "labels": [IGNORE_INDEX, 6, 7, 8], "seq_lengths": [1, 3]}
PAIR = {"input_ids": [5, 6, 7], "labels": [IGNORE_INDEX, 6, 7], "seq_lengths": [1, 2]}

lengths = st.lists(st.lists(st.integers(2, 6), min_size=1, max_size=4), min_size=1, max_size=4)


def test_positions_start_again_with_each_record() -> None:
    assert record_positions({"seq_lengths": [3, 1, 2]}).tolist() == [0, 1, 2, 0, 0, 1]


def test_rows_are_padded_to_one_length() -> None:
    batch = collate_padded([SHORT, PAIR, LONG], PAD)
    assert batch["input_ids"].tolist() == [[5, 6, 2, 2], [5, 6, 7, 2], [5, 6, 7, 8]]
    assert batch["labels"].tolist() == [
        [IGNORE_INDEX, 6, IGNORE_INDEX, IGNORE_INDEX],
        [IGNORE_INDEX, 6, 7, IGNORE_INDEX],
        [IGNORE_INDEX, 6, 7, 8],
    ]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3], [0, 0, 1, 1], [0, 0, 1, 2]]


def test_flat_rows_hold_no_padding() -> None:
    batch = collate_flat([SHORT, LONG])
    assert batch["input_ids"].tolist() == [[5, 6, 5, 6, 7, 8]]
    assert batch["labels"].tolist() == [[IGNORE_INDEX, 6, IGNORE_INDEX, 6, 7, 8]]
    assert batch["position_ids"].tolist() == [[0, 1, 0, 0, 1, 2]]


def test_rows_are_padded_to_a_length_at_least() -> None:
    assert collate_padded([SHORT], PAD, length=4)["position_ids"].tolist() == [[0, 1, 2, 3]]
    assert collate_padded([PAIR], PAD, length=5)["position_ids"].tolist() == [[0, 0, 1, 1, 2]]
    assert collate_padded([SHORT, LONG], PAD, length=3)["input_ids"].shape == (2, 4)


def test_flat_rows_say_where_records_end() -> None:
    batch = collate_with_cu_seqlens([SHORT, LONG])
    assert batch["cu_seq_lens_q"].tolist() == batch["cu_seq_lens_k"].tolist() == [0, 2, 3, 6]
    assert batch["max_length_q"] == batch["max_length_k"] == 3
    assert collate_with_lengths([SHORT, LONG])["packed_seq_lengths"].tolist() == [2, 1, 3]
    assert batch["cu_seq_lens_q"].dtype == torch.int32


def test_batches_are_int64() -> None:
    for batch in (collate_padded([SHORT, LONG], PAD), collate_flat([SHORT, LONG])):
        assert {tensor.dtype for tensor in batch.values()} == {torch.int64}


@given(lengths)
def test_the_records_of_a_batch_are_found_again(rows: list[list[int]]) -> None:
    fresh = iter(range(3, 1000))
    records = [[[next(fresh) for _ in range(length)] for length in row] for row in rows]
    joined = [[token for record in row for token in record] for row in records]
    made = [
        {"input_ids": tokens, "labels": tokens, "seq_lengths": length}
        for tokens, length in zip(joined, rows, strict=True)
    ]
    for batch in (collate_padded(made, PAD), collate_flat(made)):
        assert split_records(batch, PAD) == [record for row in records for record in row]
        assert int((batch["position_ids"] == 0).sum()) == sum(map(len, rows))
