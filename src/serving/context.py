"""Which records stand in a prompt beside its title: those that a server names as its sources.

Covers how near their titles have to be. How they look in a prompt is in src/prompts/rendering.py.
"""

from collections.abc import Collection

from src.serving.search import Hit, TitleIndex

ENOUGH = 60.0  # similarity of titles, 0 to 100, from which a record is a source, in training and in serving


def find_context(index: TitleIndex, title: str, records: int, excluded: Collection[str]) -> list[Hit]:
    """The records with the nearest titles, the nearest first; none where no title is near.

    Args:
        index: where they are searched.
        title: whose context it is.
        records: how many, at most.
        excluded: uids of records that would tell the answer.

    Raises:
        UserError: if the index is damaged.
    """
    return [hit for hit in index.search(title, records, excluded) if hit.score >= ENOUGH]
