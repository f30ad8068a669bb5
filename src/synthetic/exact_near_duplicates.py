"""Near duplicates by comparing all contents with all: the ground truth of the synthetic sample.

Covers a few thousand contents. src/records/near_duplicates.py finds them among millions with approximations, and is
scored against this one, so the two share no code.
"""

import re
from itertools import chain
from unicodedata import normalize

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

NEAR_THRESHOLD = 0.8  # Jaccard similarity of two near duplicates, at least: the default of clean.near_threshold


def word_shingles(content: str) -> set[str]:
    """All runs of three words of a content, or all its words if there are fewer."""
    words = re.findall(r"[^\W_]+", normalize("NFKC", content).lower())
    return {" ".join(words[start : start + 3]) for start in range(max(1, len(words) - 2))}


def jaccard_similarity(content: str, other: str) -> float:
    """Compares two contents by their shingles.

    Args:
        content: one content.
        other: another one.

    Returns:
        Shared shingles divided by all shingles of both: 1 for equal sets, 0 for nothing in common.
    """
    one, two = word_shingles(content), word_shingles(other)
    return len(one & two) / len(one | two)


def first_near_duplicates(contents: list[str]) -> list[int]:
    """For each content the index of the first one of its cluster, which near duplicates form transitively."""
    shingles = [sorted(word_shingles(content)) for content in contents]
    columns_by_shingle = {
        shingle: number for number, shingle in enumerate(dict.fromkeys(chain.from_iterable(shingles)))
    }
    sizes = np.array([len(some) for some in shingles])
    columns = [columns_by_shingle[shingle] for some in shingles for shingle in some]
    # Rows are contents, columns are shingles: the product with its transpose counts the shared shingles of all pairs.
    incidence = csr_array((np.ones(len(columns), np.int32), columns, np.append(0, sizes.cumsum())))
    shared = (incidence @ incidence.T).tocoo()
    one, two = shared.coords
    near = shared.data / (sizes[one] + sizes[two] - shared.data) >= NEAR_THRESHOLD
    edges = csr_array((near[near], (one[near], two[near])), shape=shared.shape)
    clusters = connected_components(edges, directed=False)[1]
    _, firsts = np.unique(clusters, return_index=True)
    return firsts[clusters].tolist()
