"""Near duplicates: contents that share most of their three-word shingles, by MinHash, LSH bands and an exact check.

Covers any number of contents in nearly flat memory: what is large lies in unlinked files of the default temporary
folder (TMPDIR), 270 bytes a content and the shingles of those that share a band with another. Only contents compared
in full, by 64-bit hashes of their shingles, or equal in the sum of those, are called near. Clusters do not depend on
the order of the contents, nor on batches and threads. Polars promises its hash within a version only: another
version could find other pairs among the one in a hundred below, but call no other pair near.

Not covered, so missed: pairs that share no band, at most one in a hundred at the threshold and fewer above it; and
some of the pairs that share only large buckets, where each content is compared with the bucket's first and with the
WINDOW before it, the most similar as far as the next bands tell. A cluster falls apart only where
all pairs between its parts are missed.
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator
from tempfile import TemporaryFile
from typing import BinaryIO

import numpy as np
import polars as pl
from numpy.typing import NDArray
from rensa import RMinHash
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from src.records.text_keys import small_forms

SLOTS = 128  # of a MinHash signature, at most; two bytes of each are kept
RECALL = 0.99  # of the pairs at the threshold, at least
WINDOW = 32  # contents before it in its bucket that a content is compared with
TEXTS = 4096  # contents worked on at once, for a small memory
PAIRS = 50_000  # signatures compared at once
HASHES = 1_000_000  # shingles compared at once
SUM = 4  # numbers of two bytes that a sum of shingles is kept in
WORDS = r"[\p{L}\p{M}\p{N}]+|\A[^\p{L}\p{M}\p{N}]*\z"
SEED = 42  # of the hashes; another one misses other pairs of those that RECALL leaves to chance
FACTORS = np.random.default_rng(SEED).integers(2**63, size=SLOTS, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
Slots = NDArray[np.uint16]
Hashes = NDArray[np.uint64]
Integers = NDArray[np.int64]


def band_recall(similarity: float, rows: int, bands: int) -> float:
    """The probability that two contents of this Jaccard similarity agree in all rows of one band or more.

    1 - (1 - s^r)^b: Leskovec, Rajaraman and Ullman, Mining of Massive Datasets, section 3.4.2.

    Args:
        similarity: s, 0 to 1.
        rows: r, MinHash slots in a band.
        bands: b, how many there are.
    """
    return 1 - (1 - similarity**rows) ** bands


def extract_words(contents: pl.Series) -> pl.Series:
    """The words of each content, a list: runs of letters, marks and digits, as NFKC and in small letters.

    A content without any is one word, its signs.
    """
    return small_forms(contents).str.extract_all(WORDS)


def hash_shingles(contents: pl.Series) -> tuple[Hashes, Integers]:
    """Hashes of three consecutive words each, content after content, and how many each content has.

    A content of fewer than three words has one shingle, of all its words.
    """
    found = extract_words(contents)
    counts = found.list.len().to_numpy().astype(np.int64)
    missing = np.maximum(3 - counts, 0)
    hashes = found.explode(empty_as_null=False).hash(SEED).to_numpy()
    hashes = np.insert(hashes, np.repeat(np.cumsum(counts), missing), 0)
    threes = hashes[:-2] * FACTORS[0] + hashes[1:-1] * FACTORS[1] + hashes[2:]
    threes = (threes ^ threes >> np.uint64(32)) * FACTORS[2]  # else their sum would be the same for words moved about
    ends = np.cumsum(counts + missing)[:-1]
    return np.delete(threes, np.concatenate([ends - 2, ends - 1])), counts + missing - 2


def distinct_positions(hashes: Hashes, owners: Integers) -> Integers:
    """Indices that leave out an owner's repeated hashes, in no particular order.

    Args:
        hashes: of shingles.
        owners: the number of the content, or pair, that each hash belongs to.
    """
    keys = hashes + owners.astype(np.uint64) * FACTORS[3]
    order = np.argsort(keys)
    keys = keys[order]
    return order[np.concatenate([keys[:1] == keys[:1], keys[1:] != keys[:-1]])]


def hash_bands(columns: Iterable[Slots]) -> Hashes:
    """A hash of each row of a band, from its columns one by one."""
    return sum(
        (factor * column for factor, column in zip(FACTORS, columns, strict=False)), start=np.zeros(1, np.uint64)
    )


def find_repeated(keys: Hashes) -> NDArray[np.bool_]:
    """Which keys are there more than once."""
    order = np.argsort(keys)
    keys = keys[order]
    same = np.concatenate([[False], keys[1:] == keys[:-1], [False]])
    found = np.empty(len(keys), dtype=bool)
    found[order] = same[1:] | same[:-1]
    return found


def candidate_pairs(*keys: Hashes) -> Iterator[Integers]:
    """Pairs of indices equal in the first keys, shape (2, pairs): each with its bucket's first, then neighbours.

    Further keys order a bucket. Neighbours are up to WINDOW before it, so that a bucket of WINDOW + 2 or fewer yields
    all its pairs, and a large one a number that grows as the bucket does.

    Args:
        keys: a hash for each content, of one band each.
    """
    order = np.lexsort(keys[::-1])
    buckets = keys[0][order]
    first = np.searchsorted(buckets, buckets)
    later = np.flatnonzero(first < np.arange(len(order)))
    yield order[np.stack([first[later], later])]
    for distance in range(1, WINDOW + 1):
        later = later[later - first[later] > distance]
        if not len(later):
            return
        yield order[np.stack([later - distance, later])]


class NearDuplicateFinder:
    """Clusters of near duplicates: Jaccard similarity of the sets of shingles at least `threshold`, transitively.

    Of each batch of contents, in order, `add(signatures(contents))`; `signatures` alone may run in threads. Then, once,
    `clusters`.
    """

    def __init__(self, threshold: float) -> None:
        """The most selective bands that reach RECALL at `threshold`, 0.5 to 1."""
        self.threshold = threshold
        self.rows = max(rows for rows in range(1, SLOTS + 1) if band_recall(threshold, rows, SLOTS // rows) >= RECALL)
        self.bands = SLOTS // self.rows
        self._slots = self.rows * self.bands
        self._file: BinaryIO = TemporaryFile()  # noqa: SIM115, closed by clusters
        self._batches: list[int] = []

    def signatures(self, contents: pl.Series) -> Slots:
        """A row for each content: a sum of its shingles in SUM numbers, then its MinHash slots."""
        parts = [self._signatures(contents.slice(start, TEXTS)) for start in range(0, len(contents), TEXTS)]
        return np.concatenate([np.empty((0, SUM + self._slots), dtype=np.uint16), *parts])

    def _signatures(self, contents: pl.Series) -> Slots:
        hashes, counts = hash_shingles(contents)
        sums = np.add.reduceat(hashes, np.cumsum(counts) - counts)
        return np.concatenate([sums.view(np.uint16).reshape(-1, SUM), self.slots(hashes, counts)], axis=1)

    def slots(self, hashes: Hashes, counts: Integers) -> Slots:
        """A row of MinHash slots for each of some sets.

        Args:
            hashes: of the sets' elements, set after set.
            counts: how many hashes each set has.
        """
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.uint64)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(hashes, offsets, self._slots, SEED)
        return np.array(matrix.to_rows(), dtype=np.uint32).astype(np.uint16)

    def add(self, signatures: Slots) -> None:
        """Adds contents after those added before."""
        self._file.write(signatures.T.tobytes())
        self._batches.append(len(signatures))

    def clusters(self, read: Callable[[], Iterable[pl.Series]]) -> Integers:
        """For each content added, counted from 0, the first content of its cluster.

        `read` yields the same contents again, in batches of any size.
        """
        with self._file, TemporaryFile() as file:
            sums = np.stack([self._column(number) for number in range(SUM)], axis=1).view(np.uint64)[:, 0]
            _, places, copies = np.unique(sums, return_index=True, return_inverse=True)
            firsts = places.copy()
            candidates = self._candidates(places)
            places = places[candidates]
            labels = self._labels(places, ShingleSets(file, read(), places))
            smallest = np.full(len(labels), len(copies))
            np.minimum.at(smallest, labels, places)
            firsts[candidates] = smallest[labels]
        return firsts[copies]

    def _column(self, column: int) -> Slots:
        """One column of the signatures of all contents added, read from the file."""
        parts, start = [np.empty(0, dtype=np.uint16)], 0
        for count in self._batches:
            self._file.seek((start * (SUM + self._slots) + column * count) * parts[0].itemsize)
            parts.append(np.frombuffer(self._file.read(count * parts[0].itemsize), dtype=np.uint16))
            start += count
        return np.concatenate(parts)

    def _candidates(self, places: Integers) -> Integers:
        """Which of the contents at these places share a band with another."""
        shared = np.zeros(len(places), dtype=bool)
        for first in range(SUM, SUM + self._slots, self.rows):
            shared |= find_repeated(
                hash_bands(self._column(number)[places] for number in range(first, first + self.rows))
            )
        return np.flatnonzero(shared)

    def _labels(self, places: Integers, sets: "ShingleSets") -> Integers:
        """A number of the cluster for each of the contents at these places."""
        labels = np.arange(len(places))
        signatures = np.empty((len(places), self._slots), dtype=np.uint16)
        for slot in range(self._slots):
            signatures[:, slot] = self._column(SUM + slot)[places]
        bands = np.split(signatures.T, self.bands)
        margin = 3 * math.sqrt(self.threshold * (1 - self.threshold) / self._slots)  # three standard errors
        for band in range(self.bands):
            for pairs in candidate_pairs(*map(hash_bands, (bands[band:] + bands[:band])[:3])):
                pairs = pairs[:, labels[pairs[0]] != labels[pairs[1]]]
                pairs = pairs[:, signature_agreement(signatures, pairs) >= self.threshold - margin]
                pairs = pairs[:, sets.similarities(pairs) >= self.threshold]
                labels = merge_clusters(labels, pairs)
        return labels


class ShingleSets:
    """The sets of shingles of some contents, in a file."""

    def __init__(self, file: BinaryIO, batches: Iterable[pl.Series], places: Integers) -> None:
        """Reads all contents and keeps those at `places`, counted from 0."""
        self._file, counts, start = file, [np.empty(0, dtype=np.int64)], 0
        order = np.argsort(places)
        for batch in batches:
            low, high = np.searchsorted(places, [start, start + len(batch)], sorter=order)
            wanted = places[order[low:high]] - start
            counts += [self._write(batch.gather(some)) for some in np.split(wanted, range(TEXTS, len(wanted), TEXTS))]
            start += len(batch)
        file.flush()
        self._counts, self._starts = np.empty((2, len(places)), dtype=np.int64)
        self._counts[order] = np.concatenate(counts)
        self._starts[order] = np.cumsum(self._counts[order]) - self._counts[order]

    def _write(self, contents: pl.Series) -> Integers:
        hashes, counts = hash_shingles(contents)
        owners = np.repeat(np.arange(len(counts)), counts)
        kept = np.sort(distinct_positions(hashes, owners))
        self._file.write(hashes[kept].tobytes())
        return np.bincount(owners[kept], minlength=len(counts))

    def similarities(self, pairs: Integers) -> NDArray[np.float64]:
        """The Jaccard similarity of each pair of contents, shape (2, pairs), indices in `places`."""
        counts = self._counts[pairs].sum(axis=0)
        breaks = np.flatnonzero(np.diff(np.cumsum(counts) // HASHES)) + 1
        unions = np.concatenate([self._unions(some) for some in np.split(pairs, breaks, axis=1)])
        return (counts - unions) / unions

    def _unions(self, pairs: Integers) -> Integers:
        """How many shingles the two contents of each pair have together."""
        if not pairs.size:
            return pairs[0]
        counts, starts, size = self._counts[pairs.ravel()], self._starts[pairs.ravel()], np.dtype(np.uint64).itemsize
        owners = np.repeat(np.tile(np.arange(pairs.shape[1]), 2), counts)
        places = zip((counts * size).tolist(), (starts * size).tolist(), strict=True)
        read = b"".join(os.pread(self._file.fileno(), length, start) for length, start in places)
        hashes = np.frombuffer(read, dtype=np.uint64)
        return np.bincount(owners[distinct_positions(hashes, owners)])


def signature_agreement(signatures: Slots, pairs: Integers) -> NDArray[np.float64]:
    """The share of slots in which the signatures of each pair agree, an estimate of the Jaccard similarity.

    Args:
        signatures: of shape (contents, slots).
        pairs: indices of contents, of shape (2, pairs).
    """
    agreed = np.empty(pairs.shape[1])
    for start in range(0, len(agreed), PAIRS):
        left, right = pairs[:, start : start + PAIRS]
        agreed[start : start + PAIRS] = np.count_nonzero(signatures[left] == signatures[right], axis=1)
    return agreed / signatures.shape[1]


def merge_clusters(labels: Integers, pairs: Integers) -> Integers:
    """Labels after the clusters of each pair have become one.

    Args:
        labels: the number of each content's cluster.
        pairs: indices of contents, of shape (2, pairs).
    """
    if not pairs.size:
        return labels
    edges = coo_array((np.ones(pairs.shape[1], dtype=bool), tuple(labels[pairs])), shape=(len(labels),) * 2)
    return connected_components(edges, directed=False)[1].astype(np.int64)[labels]
