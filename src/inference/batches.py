"""Work on records a few at a time, with a progress bar."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

from src.progress import progress_bar

Item = TypeVar("Item")


def progress_batches(items: Sequence[Item], size: int, label: str, unit: str) -> Iterator[Sequence[Item]]:
    """Items in batches, in their order.

    Args:
        items: what is batched.
        size: items in a batch; the last one may hold fewer.
        label: the text beside the progress bar.
        unit: what the items are, in the plural.
    """
    with progress_bar(label, len(items), unit) as bar:
        for start in range(0, len(items), size):
            batch = items[start : start + size]
            yield batch
            bar.update(len(batch))
