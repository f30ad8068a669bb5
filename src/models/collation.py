"""Makes the tensors that a model takes from rows of tokens.

Covers padding, positions and flattening, in NumPy, since a GPU waits for each batch. Does not pack:
src/prompts/packing.py does.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from src.prompts.encoding import IGNORE_INDEX

Row = dict[str, list[int]]  # input_ids and labels of one or several records, and seq_lengths, the tokens of each record
Numbers = NDArray[np.int64]
Batch = dict[str, Any]  # tensors by the model's names for them, and for some kernels whole numbers


def collate_padded(rows: list[Row], pad_id: int, length: int = 0) -> Batch:
    """Rows as tensors of one length, padded on the right.

    Positions start at 0 with each record. There is no attention mask: from the positions transformers builds one in
    which packed neighbours do not see each other, and none where each row holds one record. Such a record's positions
    go on in the padding, which comes after every token of the record, so that none sees it.

    Args:
        rows: records, or several packed into a row.
        pad_id: the token to pad with.
        length: tokens that a row is padded to at least; the longest row's where that is more.

    Returns:
        input_ids, labels and position_ids, int64, [rows, tokens].
    """
    length = max(length, *(len(row["input_ids"]) for row in rows))
    shape = len(rows), length
    ids, labels, positions = np.full(shape, pad_id), np.full(shape, IGNORE_INDEX), np.empty(shape, dtype=np.int64)
    for place, row in enumerate(rows):
        used = len(row["input_ids"])
        ids[place, :used], labels[place, :used] = row["input_ids"], row["labels"]
        positions[place, :used] = record_positions(row)
        positions[place, used:] = padding_positions(row, length - used)
    return to_tensors(ids, labels, positions)


def record_positions(row: Row) -> Numbers:
    """The position of each token within its own record."""
    return np.concatenate([np.arange(length) for length in row["seq_lengths"]])


def padding_positions(row: Row, count: int) -> Numbers:
    """Positions of the padding: on from a single record's, or from 1 after several; 0 would start a record.

    Args:
        row: what is padded.
        count: how many positions.
    """
    start = row["seq_lengths"][0] if len(row["seq_lengths"]) == 1 else 1
    return np.arange(start, start + count)


def to_tensors(ids: Numbers, labels: Numbers, positions: Numbers) -> Batch:
    """Arrays of one shape as the tensors of a batch, which share their memory.

    Args:
        ids: token ids.
        labels: token ids or IGNORE_INDEX.
        positions: of each token within its record.
    """
    import torch

    arrays = {"input_ids": ids, "labels": labels, "position_ids": positions}
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def collate_flat(rows: list[Row]) -> Batch:
    """Rows as one row without padding, [1, tokens], for kernels that keep records apart by their positions."""
    ids, labels = (np.concatenate([row[name] for row in rows])[None] for name in ("input_ids", "labels"))
    return to_tensors(ids, labels, np.concatenate([record_positions(row) for row in rows])[None])


def collate_with_cu_seqlens(rows: list[Row]) -> Batch:
    """Flat rows and where each record ends, int32 [records + 1], in transformers' names for it."""
    import torch

    lengths = torch.tensor([length for row in rows for length in row["seq_lengths"]])
    ends = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).int()
    longest = int(lengths.max())
    return collate_flat(rows) | {
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": longest,
        "max_length_k": longest,
    }


def collate_with_lengths(rows: list[Row]) -> Batch:
    """Flat rows and each record's length, int32 [records], in Unsloth's name for it."""
    import torch

    lengths = [length for row in rows for length in row["seq_lengths"]]
    return collate_flat(rows) | {"packed_seq_lengths": torch.tensor(lengths, dtype=torch.int32)}


def split_records(batch: Batch, pad_id: int) -> list[list[int]]:
    """The tokens of each record in a batch, which starts where positions start again.

    Args:
        batch: what a collator made.
        pad_id: the token that was padded with.
    """
    found: list[list[int]] = []
    for ids, positions in zip(batch["input_ids"].tolist(), batch["position_ids"].tolist(), strict=True):
        for token, position in zip(ids, positions, strict=True):
            if position == 0:
                found.append([])
            if token != pad_id:
                found[-1].append(token)
    return [record for record in found if record]
