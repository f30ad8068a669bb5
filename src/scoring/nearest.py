"""The baseline without a model: answer a title with the content of the training record whose title is nearest.

Covers the search. A tuned model that does not beat it has learnt less than a look-up knows.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np

WORD = r"\w+"
BATCH = 64  # queries at once: their similarities to a million titles take 256 MB


class Neighbour(NamedTuple):
    """The nearest title to another."""

    position: int
    similarity: float  # 0, no word in common, to 1


def nearest_titles(queries: Sequence[str], titles: Sequence[str]) -> list[int]:
    """For each query, the position of the nearest title, see `nearest_neighbours`; arguments as there."""
    return [neighbour.position for neighbour in nearest_neighbours(tuple(queries), tuple(titles))]


@lru_cache(maxsize=1)  # the copied contents and the slices ask the same; a million titles take half a minute
def nearest_neighbours(queries: tuple[str, ...], titles: tuple[str, ...]) -> list[Neighbour]:
    """For each query, the nearest title by the cosine of TF-IDF over words and word pairs.

    Args:
        queries: the held-out titles.
        titles: the titles to choose from, at least one.

    Returns:
        Positions in `titles`. Of titles equally near, and where a query shares no word with any, the first wins.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if not any(re.search(WORD, title) for title in titles):  # the vectorizer refuses an empty vocabulary
        return [Neighbour(0, 0.0)] * len(queries)
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=WORD, dtype=np.float32)
    by_term = vectorizer.fit_transform(titles).T.tocsr()
    vectors = vectorizer.transform(queries)  # rows have length 1, so that a product is a cosine
    batches = (vectors[start : start + BATCH] @ by_term for start in range(0, len(queries), BATCH))
    return [
        Neighbour(int(row.argmax()), float(row.max())) for similarities in batches for row in similarities.toarray()
    ]
