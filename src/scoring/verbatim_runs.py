"""The longest run of words of each answer that stands in a training text: what a model may have learnt by heart.

Covers runs of words as style.py splits them, within one training text. Words that the answer's own title holds do not
count, wherever they stand in a run: the prompt explains them.

The training texts, of which there may be a million, are read once, BATCH at a time, and not kept. Runs are compared by
hashes of 64 bits, which grow by a word at a time: of each length only the runs stay that both sides have.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, count, islice, repeat
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from src.scoring.style import split_words

BATCH = 10_000  # training texts compared at once: a million words, whose arrays take 100 MB
NO_WORD = 0  # between texts, and in place of words that no answer has: no run goes on over it
FILTER_BITS = 22
SEED = 13

Integers = NDArray[np.int64]
Hashes = NDArray[np.uint64]


class Runs(NamedTuple):
    """Runs of equally many words in some texts."""

    words: Integers
    """All words of the texts by their numbers, with NO_WORD behind each text."""
    starts: Integers
    """Where each run begins."""
    hashes: Hashes
    """Equal where the words are."""

    def keep(self, kept: NDArray[np.bool_]) -> "Runs":
        """Some of the runs."""
        return Runs(self.words, self.starts[kept], self.hashes[kept])


def longest_runs(answers: Sequence[str], titles: Sequence[str], contents: Iterable[str]) -> list[int]:
    """For each answer the words, less those of its title, of its longest run that stands in a training text.

    Args:
        answers: one system's.
        titles: of the same records.
        contents: those of the training records, read once and not kept.
    """
    texts = [split_words(answer) for answer in answers]
    numbers = {word: number for number, word in enumerate(dict.fromkeys(chain.from_iterable(texts)), start=NO_WORD + 1)}
    words = number_words(texts, numbers)
    codes = np.random.default_rng(SEED).integers(2**64, size=len(numbers) + 2, dtype=np.uint64)
    lengths = np.zeros(len(words), dtype=np.int64)
    for batch in in_batches(contents):
        training = number_words(map(split_words, batch), numbers)
        np.maximum(lengths, common_runs(words, training, codes), out=lengths)
    by_answer = np.split(lengths, np.cumsum([len(text) + 1 for text in texts])[:-1])
    matched = zip(texts, by_answer, map(split_words, titles), strict=True)
    return [count_unexplained(text, each.tolist(), title) for text, each, title in matched] if texts else []


def in_batches(contents: Iterable[str]) -> Iterator[list[str]]:
    """The training texts, BATCH at a time."""
    waiting = iter(contents)
    while batch := list(islice(waiting, BATCH)):
        yield batch


def number_words(texts: Iterable[Sequence[str]], numbers: Mapping[str, int]) -> Integers:
    """The words of all texts as numbers, with NO_WORD behind each text.

    Args:
        texts: each a list of words.
        numbers: of the words that any answer has.
    """
    found: list[int] = []
    for words in texts:
        found += map(numbers.get, words, repeat(NO_WORD))
        found.append(NO_WORD)
    return np.array(found, dtype=np.int64)


def common_runs(answers: Integers, training: Integers, codes: Hashes) -> Integers:
    """At each word of the answers, how many words from there on stand in a training text.

    Args:
        answers: their words, by number.
        training: those of some training texts.
        codes: a random number for each word, and one to multiply by.
    """
    lengths = np.zeros(len(answers), dtype=np.int64)
    ours, theirs = (Runs(each, np.arange(len(each)), np.zeros(len(each), np.uint64)) for each in (answers, training))
    for size in count(1):
        ours, theirs = append_word(ours, size, codes), append_word(theirs, size, codes)
        theirs = theirs.keep(likely_among(theirs.hashes, ours.hashes))
        ours = ours.keep(np.isin(ours.hashes, theirs.hashes))
        if not len(ours.starts):
            break
        lengths[ours.starts] = size
    return lengths


def append_word(runs: Runs, size: int, codes: Hashes) -> Runs:
    """The runs with the word behind each, where there is one.

    Args:
        runs: of one word less.
        size: words of the new runs.
        codes: a random number for each word, and one to multiply by.
    """
    added = runs.words[runs.starts + size - 1]
    hashes = runs.hashes * (codes[-1] | np.uint64(1)) + codes[added]
    return Runs(runs.words, runs.starts, hashes).keep(added != NO_WORD)


def likely_among(hashes: Hashes, others: Hashes) -> NDArray[np.bool_]:
    """Whether each hash is among others; a few that are not pass, for a hundredth of the time of a search.

    Args:
        hashes: what is looked for.
        others: what it is looked for in.
    """
    shift = np.uint64(64 - FILTER_BITS)
    seen = np.zeros(2**FILTER_BITS, dtype=bool)
    seen[others >> shift] = True
    return seen[hashes >> shift]


def count_unexplained(words: Sequence[str], lengths: Sequence[int], title: Sequence[str]) -> int:
    """The words of an answer's longest run, less those of its title.

    Args:
        words: of the answer.
        lengths: for each of them the words of the run that begins with it.
        title: the words of the title.
    """
    explained = set(title)
    # How many words that the title does not explain stand before each place.
    before = list(accumulate((word not in explained for word in words), initial=0))
    return max((before[at + lengths[at]] - before[at] for at in range(len(words))), default=0)
