"""Makes the tensors that a model takes from rows of tokens.

Covers padding, positions and flattening. Does not pack: src/prompts/packing.py does.
"""

from typing import Any

from src.prompts.encoding import IGNORE_INDEX

Row = dict[str, list[int]]  # input_ids and labels of one or several records, and seq_lengths, the tokens of each record
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
    import torch

    length = max(length, *(len(row["input_ids"]) for row in rows))

    def padded(values: list[int], filler: list[int]) -> list[int]:
        return list(values) + filler[: length - len(values)]

    return {
        "input_ids": torch.tensor([padded(row["input_ids"], [pad_id] * length) for row in rows]),
        "labels": torch.tensor([padded(row["labels"], [IGNORE_INDEX] * length) for row in rows]),
        "position_ids": torch.tensor([padded(record_positions(row), padding_positions(row, length)) for row in rows]),
    }


def record_positions(row: Row) -> list[int]:
    """The position of each token within its own record."""
    return [position for length in row["seq_lengths"] for position in range(length)]


def padding_positions(row: Row, length: int) -> list[int]:
    """Positions of the padding: on from a single record's, or from 1 after several; 0 would start a record.

    Args:
        row: what is padded.
        length: how many positions, or more.
    """
    start = row["seq_lengths"][0] if len(row["seq_lengths"]) == 1 else 1
    return list(range(start, start + length))


def collate_flat(rows: list[Row]) -> Batch:
    """Rows as one row without padding, [1, tokens], for kernels that keep records apart by their positions."""
    import torch

    return {
        "input_ids": torch.tensor([[token for row in rows for token in row["input_ids"]]]),
        "labels": torch.tensor([[label for row in rows for label in row["labels"]]]),
        "position_ids": torch.tensor([[position for row in rows for position in record_positions(row)]]),
    }


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
