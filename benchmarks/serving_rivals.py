"""Counts the titles that a changed title could as well be, and so estimates what any search could find first.

Where n titles fit a query equally well, even a search that knew what was done to the title would be right once in n
times on average. For typos that is a good rule, no strict bound.
Covers typos and dropped words, by comparing with all titles. Does not search as the project does.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import reduce

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import OSA

from src.serving.search import TitleIndex
from src.serving.trigrams import fold_title, title_trigrams


class Rivals:
    """The titles of an index, to be compared with.

    Args:
        index: theirs.
    """

    def __init__(self, index: TitleIndex) -> None:
        self.index = index
        folded = {fold_title(title) for (title,) in index.database.execute("SELECT title FROM titles")}
        self.by_length: defaultdict[int, list[str]] = defaultdict(list)
        for title in folded:
            self.by_length[len(title)].append(title)
        self.counts: dict[str, Callable[[str, str], float]] = {
            "two typos": self.after_typos,
            "three words dropped": self.after_dropping,
        }

    def best_share(self, change: str, searches: Iterable[tuple[str, str]]) -> float:
        """What could be found first at best, in percent.

        Args:
            change: the kind of change, one of `counts`.
            searches: titles and the queries made from them.
        """
        chances = [self.counts[change](fold_title(title), fold_title(query)) for title, query in searches]
        return round(100 * float(np.mean(chances)), 1)

    def after_typos(self, title: str, query: str) -> float:
        """The chance of a search that takes a title of the least edit distance, each with the same probability.

        Args:
            title: what is looked for, from `fold_title`.
            query: likewise.
        """
        own = OSA.distance(query, title)
        near = [
            distance
            for length in range(len(query) - own, len(query) + own + 1)
            for _, distance, _ in process.extract(
                query, self.by_length.get(length, []), scorer=OSA.distance, score_cutoff=own, limit=None
            )
        ]
        return 1 / len(near) if min(near) == own else 0

    def after_dropping(self, title: str, query: str) -> float:
        """The chance of a search that takes a title with the query's words in order and as many more as were dropped.

        Args:
            title: what is looked for, from `fold_title`.
            query: likewise.
        """
        words = query.split()
        with_all = {fold_title(other) for _, _, other in self.titles_with_all(query)}
        return 1 / sum(len(other.split()) == len(title.split()) and is_part(words, other) for other in with_all)

    def titles_with_all(self, query: str) -> list[tuple[int, str, str]]:
        """The titles that have all trigrams of a query, as rows of the index."""
        positions = [self.index.read_positions(trigram) for trigram in np.unique(title_trigrams([query])[0]).tolist()]
        common = reduce(lambda one, other: one[is_among(one, other)], sorted(positions, key=len))
        return [
            row
            for start in range(0, len(common), 900)
            for row in self.index.read_titles(common[start : start + 900].tolist())
        ]


def is_among(some: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of some numbers are among others, both ascending."""
    places = np.minimum(np.searchsorted(others, some), len(others) - 1)
    return others[places] == some


def is_part(words: list[str], title: str) -> bool:
    """Whether a title has the words in their order, with others between them or not."""
    rest = iter(title.split())
    return all(word in rest for word in words)
