"""Duplicates: what counts as the same text, which records repeat an earlier one, and which of those are dropped.

Covers keys of normalised texts, exact duplicates, and the verdict on clusters of near ones. How the clusters are found
is in near.py. Works on numbers alone, some bytes a record.
"""

import string
from typing import Literal
from unicodedata import normalize

import numpy as np
import polars as pl
from xxhash import xxh3_64_intdigest

DuplicatePolicy = Literal["keep", "exact", "near"]

LOWER_CASE = bytes.maketrans(string.ascii_uppercase.encode(), string.ascii_lowercase.encode())
ASCII_PUNCTUATION = bytes(sorted(set(range(128)) - set((string.ascii_letters + string.digits).encode())))
TITLE_FACTOR = np.uint64(0x9E3779B97F4A7C15)  # keeps a title's key apart from its content's when they are added up
VERDICT = pl.Enum(["kept", "duplicate", "near_duplicate"])
OTHER_PUNCTUATION = r"[^\x00-\x7f\p{L}\p{M}\p{N}]+"
LETTER_OR_DIGIT = r"[\p{L}\p{M}\p{N}]"


def text_keys(texts: pl.Series) -> pl.Series:
    """A number of 64 bits for each text, the same for equal letters and digits, on every machine and in every version.

    Upper and lower case, compatible forms (NFKC), white space and signs make no difference; so sentences glued together
    equal those that are not. A text without letters and digits stands for its signs.
    """
    foreign = texts.str.len_bytes() != texts.str.len_chars()
    found = text_digests(texts)
    found[foreign.to_numpy()] = text_digests(fold_texts(texts.filter(foreign)))
    return pl.Series(found)


def text_digests(texts: pl.Series) -> np.ndarray:
    """XXH3 of the small letters and digits of each text, its ASCII signs left out; of the whole where nothing is left.

    Bytes, since deleting from a str takes ten times as long.
    """
    found = (
        xxh3_64_intdigest(text.translate(LOWER_CASE, ASCII_PUNCTUATION) or text)
        for text in texts.cast(pl.Binary).to_list()
    )
    return np.fromiter(found, np.uint64, len(texts))


def fold_texts(texts: pl.Series) -> pl.Series:
    """Texts in small letters and compatible forms, without signs beyond ASCII, unless they hold nothing else."""
    small = pl.Series([normalize("NFKC", text).lower() for text in texts], dtype=pl.String)
    return small.str.replace_all(OTHER_PUNCTUATION, "").zip_with(small.str.contains(LETTER_OR_DIGIT), small)


def mark_duplicates(index: pl.DataFrame, clusters: np.ndarray, dropped: DuplicatePolicy) -> pl.DataFrame:
    """For each record its verdict, the position of the record that it repeats, and the key of its near contents.

    Args:
        index: title_key and content_key of each record, in file order.
        clusters: of each record the position of some record of its cluster of near contents, the same for all of it.
        dropped: keep drops nothing; exact drops records equal in title and content; near drops near contents as well.

    Columns `verdict`, `of` (its own position where a record stays), `near_key` (smallest content_key of the cluster).
    The first of equal records stays; of a cluster the first that is no exact duplicate, whatever the titles.
    """
    position, contents = np.arange(index.height), index["content_key"].to_numpy()
    exact = first_exact_duplicates(index)
    unequal = np.flatnonzero(exact == position)
    near = exact.copy()
    near[unequal] = unequal[first_positions(clusters[unequal])]
    of = {"keep": position, "exact": exact, "near": near}[dropped]
    verdict = pl.Series(np.where(of == position, 0, np.where(exact < position, 1, 2)).astype(np.uint8))
    smallest = np.full(index.height, np.iinfo(np.uint64).max)
    np.minimum.at(smallest, clusters, contents)
    return pl.DataFrame({"verdict": verdict.cat.to(VERDICT), "of": of, "near_key": smallest[clusters]})


def first_exact_duplicates(index: pl.DataFrame) -> np.ndarray:
    """For each record the position of the first one with its title_key and content_key."""
    return first_positions(index["title_key"].to_numpy() * TITLE_FACTOR + index["content_key"].to_numpy())


def first_positions(numbers: np.ndarray) -> np.ndarray:
    """For each number the position of the first one that equals it."""
    _, positions, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return positions[inverse]


def count_near_clusters(index: pl.DataFrame) -> int:
    """How many clusters of near contents, by `near_key`, have more than one record, equal records counted once."""
    unequal = first_exact_duplicates(index) == np.arange(index.height)
    _, sizes = np.unique(index["near_key"].to_numpy()[unequal], return_counts=True)
    return int((sizes > 1).sum())
