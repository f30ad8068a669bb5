"""Encoded records as the rows that a model trains on.

Covers packing and its absence. Does not pad or make tensors: src/models/collation.py does.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from src.prompts.encoding import EncodedRecord

if TYPE_CHECKING:
    from datasets import Dataset


def make_rows(encoded: Iterable[EncodedRecord], max_length: int, packing: bool) -> "Dataset":
    """The rows a model trains on.

    Args:
        encoded: records of at most `max_length` tokens.
        max_length: tokens that a packed row holds at most.
        packing: whether a row holds several records, best-fit decreasing (Ding et al. 2024, "Fewer Truncations Improve
            Language Modeling"), or one.

    Returns:
        input_ids, labels and seq_lengths, the length of each record in a row.
    """
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()  # rows are encoded in memory, in a moment
    examples = [example._asdict() for example in encoded]
    dataset = Dataset.from_list(examples)
    if not packing:
        return dataset.add_column("seq_lengths", [[len(example["input_ids"])] for example in examples])
    from trl import pack_dataset

    return pack_dataset(dataset, seq_length=max_length, strategy="bfd")
