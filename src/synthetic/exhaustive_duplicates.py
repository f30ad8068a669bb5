"""Which contents are near duplicates, by comparing all with all: the truth that the embedded sample tells.

Covers a few thousand contents; src/records/near_duplicates.py does it for millions, and is scored against this.
"""

import re
from itertools import chain
from unicodedata import normalize

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

NEAR_THRESHOLD = (
    0.8  # share of all their shingles that two near contents have in common: params.yaml's clean.near_threshold
)


def word_shingles(content: str) -> set[str]:
    """All three consecutive words of a content, or all its words if there are fewer."""
    words = re.findall(r"[^\W_]+", normalize("NFKC", content).lower())
    return {" ".join(words[start : start + 3]) for start in range(max(1, len(words) - 2))}


def jaccard_similarity(content: str, other: str) -> float:
    """The Jaccard similarity of two contents' shingles: 1 for the same ones, 0 for none in common."""
    one, two = word_shingles(content), word_shingles(other)
    return len(one & two) / len(one | two)


def first_near_duplicates(contents: list[str]) -> list[int]:
    """For each content the place of the first one of its cluster: those near to it, or to one that is."""
    found = [sorted(word_shingles(content)) for content in contents]
    known = {shingle: number for number, shingle in enumerate(dict.fromkeys(chain.from_iterable(found)))}
    sizes = np.array([len(some) for some in found])
    columns = [known[shingle] for some in found for shingle in some]
    holds = csr_array((np.ones(len(columns), np.int32), columns, np.append(0, sizes.cumsum())))
    common = (holds @ holds.T).tocoo()
    one, two = common.coords
    near = common.data / (sizes[one] + sizes[two] - common.data) >= NEAR_THRESHOLD
    edges = csr_array((near[near], (one[near], two[near])), shape=common.shape)
    clusters = connected_components(edges, directed=False)[1]
    _, firsts = np.unique(clusters, return_index=True)
    return firsts[clusters].tolist()
