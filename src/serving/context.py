"""Which records stand in a prompt beside its title: those of the nearest titles, by one rule in training and serving.

Covers how near they have to be. How they look in a prompt is in src/prompts/rendering.py; which records a server names
as its sources is for questions.py to say.
"""

from collections.abc import Collection

from src.serving.search import Hit, TitleIndex

ENOUGH = 55.0  # similarity of titles, 0 to 100, from which on a record is shown


def find_context(index: TitleIndex, title: str, records: int, excluded: Collection[str] = ()) -> list[Hit]:
    """The records with the nearest titles, the nearest first; none where no title is near.

    Args:
        index: where they are searched.
        title: whose context it is.
        records: how many, at most; 0 searches nothing.
        excluded: uids of records that would tell the answer.

    Raises:
        UserError: if the index is damaged.
    """
    hits = index.search(title, records, excluded) if records else []
    return [hit for hit in hits if hit.score >= ENOUGH]
