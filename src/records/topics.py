"""What records are about: topics found in their words, since the data has no categories.

Covers the words of a record, k-means over their hashes, the topic of any record and a name for each topic that a
stranger understands. The title and the first words of the content are enough, so that millions are assigned in seconds.
Knows neither files nor samples.
"""

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from xxhash import xxh3_64_intdigest

from src.errors import UserError

if TYPE_CHECKING:
    from scipy.sparse import csr_array

SUBSET = 20_000  # records that topics are found on
CONTENT_CHARS = 240  # about forty words
SLOTS = 2**15  # words are distinguished by a hash of fifteen bits: a vocabulary would have to be learnt and kept
RARE = 3  # words in fewer records of the subset only separate what belongs together
DIRECTIONS = 50  # of the words, in which records are compared
NAME_WORDS = 3


@dataclass(frozen=True)
class Topics:
    """Topics as k-means found them, without order.

    Attributes:
        directions: what a word in each slot adds to a record's place, float32 of shape (SLOTS, directions).
        centres: the place of each topic, float32 of shape (topics, directions).
        words: the words that name each topic.
    """

    directions: np.ndarray
    centres: np.ndarray
    words: list[str]

    def assign_topics(self, records: pl.DataFrame) -> np.ndarray:
        """The number of each record's topic, the one with the nearest centre; columns title and content."""
        places = embed_counts(word_matrix(topic_texts(records)), self.directions)
        products = np.einsum("pd,cd->pc", places, self.centres)  # not by BLAS, whose sums may depend on its threads
        return np.argmin((self.centres**2).sum(axis=1) - 2 * products, axis=1).astype(np.uint8)


def find_topics(records: pl.DataFrame, topics: int, seed: int) -> Topics:
    """Finds topics in a subset of the records; columns title and content.

    Mini-batch k-means (Sculley, 2010) on the main directions of the words (latent semantic analysis, Deerwester and
    others, 1990): on the words themselves it puts half of the records into one topic. One thread alone, so that sums
    come out the same everywhere.

    Args:
        records: the subset.
        topics: how many to find, 2 or more.
        seed: 0 or more; scikit-learn takes 32 bits of it.

    Raises:
        UserError: if the records have no words that distinguish them.
    """
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.preprocessing import normalize
    from threadpoolctl import threadpool_limits

    found = word_matrix(topic_texts(records))
    weights = inverse_frequencies(found)
    if not weights.any():
        raise UserError(
            f"sample.topics is {topics}, and no word is found in {RARE} records or more, but not in all: set it to 1."
        )
    with threadpool_limits(1):
        main = TruncatedSVD(min(DIRECTIONS, *found.shape), random_state=seed % 2**32)
        main.fit(normalize(found * weights))
        directions = np.ascontiguousarray(main.components_.T * weights[:, None])
        means = MiniBatchKMeans(topics, random_state=seed % 2**32, n_init=3).fit(embed_counts(found, directions))
    return Topics(directions, means.cluster_centers_, name_topics(records["title"], means.labels_, topics))


def embed_counts(counts: "csr_array", directions: np.ndarray) -> np.ndarray:
    """The place of each text, of length 1, so that long texts count no more than short ones.

    Args:
        counts: how often each slot's words occur in each text, of shape (texts, SLOTS).
        directions: what a word in each slot adds to a place, of shape (SLOTS, directions).

    Returns:
        Places of shape (texts, directions).
    """
    from sklearn.preprocessing import normalize

    return normalize(counts @ directions)


def topic_texts(records: pl.DataFrame) -> pl.Series:
    """Of each record the text that shows its topic: the title and the start of the content."""
    start = pl.col("content").str.head(CONTENT_CHARS)
    return records.select(pl.concat_str("title", start, separator=" ")).to_series()


def topic_words(texts: pl.Series) -> pl.Series:
    """The words of three letters and more of each text, in small letters, as lists."""
    return texts.str.to_lowercase().str.extract_all(r"\p{L}{3,}")


def word_matrix(texts: pl.Series) -> "csr_array":
    """How often each slot's words occur in each text: a sparse matrix of shape (texts, SLOTS)."""
    from scipy.sparse import csr_array

    found = topic_words(texts)
    ends = np.insert(np.cumsum(found.list.len().to_numpy(), dtype=np.int32), 0, 0)
    columns = hash_words(found.list.explode(empty_as_null=False))
    ones = np.ones(len(columns), np.float32)
    matrix = csr_array((ones, columns, ends), shape=(len(texts), SLOTS))
    matrix.sum_duplicates()
    return matrix


def hash_words(words: pl.Series) -> np.ndarray:
    """The slot of each word: its hash, taken once for equal words; the same on every machine and in every version."""
    different = words.unique()
    digests = map(xxh3_64_intdigest, different.cast(pl.Binary).to_list())
    of_each = pl.Series(np.fromiter(digests, np.uint64, len(different)) % SLOTS).cast(pl.Int32)
    return words.replace_strict(different, of_each, return_dtype=pl.Int32).to_numpy(writable=True)


def inverse_frequencies(counts: "csr_array") -> np.ndarray:
    """The weight of each slot: log(records / records with it); none for stop words and rare ones."""
    records_with = np.bincount(counts.indices, minlength=SLOTS)
    weights = np.log(counts.shape[0] / np.maximum(records_with, 1)).astype(np.float32)
    weights[records_with < RARE] = 0
    weights[hash_words(stop_words())] = 0
    return weights


@cache
def stop_words() -> pl.Series:
    """English words that occur in texts on any topic."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return pl.Series(sorted(ENGLISH_STOP_WORDS))


def name_topics(titles: pl.Series, topic: np.ndarray, topics: int) -> list[str]:
    """For each topic the words that are most over-represented in its titles, as in `pen, ink, fountain`.

    Words are ranked by p log(p / q), their shares of the topic's titles and of all titles: frequent as well as typical.

    Args:
        titles: of the records that the topics were found on.
        topic: the number of each title's topic.
        topics: how many there are.
    """
    pairs = pl.DataFrame({"topic": topic, "word": topic_words(titles).list.unique()}).explode(
        "word", empty_as_null=False
    )
    pairs = pairs.filter(~pl.col("word").is_in(stop_words().implode()))
    share = pl.col("titles") / pl.col("size")
    ranked = (
        pairs.group_by("topic", "word")
        .agg(titles=pl.len())
        .join(pairs.group_by("word").agg(everywhere=pl.len() / len(titles)), on="word")
        .join(pl.DataFrame({"topic": topic}).group_by("topic").agg(size=pl.len()), on="topic")
        .sort(share * (share / pl.col("everywhere")).log(), "word", descending=[True, False])
    )
    return [
        ", ".join(distinct_stems(ranked.filter(topic=number)["word"].head(20).to_list())) for number in range(topics)
    ]


def distinct_stems(words: list[str]) -> list[str]:
    """The first few words, leaving out a plural or singular of an earlier one."""
    first: dict[str, str] = {}
    for word in words:
        first.setdefault(word.rstrip("s"), word)
    return list(first.values())[:NAME_WORDS]


def label_topics(topic: np.ndarray, words: list[str]) -> pl.Series:
    """The name of each record's topic, as in `1: pen, ink, fountain`, numbered from the largest topic on.

    Args:
        topic: the number of each record's topic.
        words: the words that name each topic.
    """
    sizes = np.bincount(topic, minlength=len(words))
    order = np.argsort(-sizes, kind="stable")[: np.count_nonzero(sizes)]
    names = [f"{rank}: {words[number]}" for rank, number in enumerate(order, 1)]
    rank_of = np.zeros(len(words), np.uint8)
    rank_of[order] = np.arange(len(order))
    return pl.Series("topic", rank_of[topic]).cat.to(pl.Enum(names))
