"""Work on records a few at a time, with a progress bar."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def progress_batches(items: Sequence[Item], size: int, label: str) -> Iterator[Sequence[Item]]:
    """Items in batches, in their order.

    Args:
        items: what is batched.
        size: items in a batch; the last one may hold fewer.
        label: the text beside the progress bar.
    """
    from tqdm import tqdm

    for start in tqdm(range(0, len(items), size), desc=label, mininterval=5):
        yield items[start : start + size]
