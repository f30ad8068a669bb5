"""What answers look like without asking whether they are right: variety, repetition, length, copying.

Words are runs of characters between white space, in lower case. A share of nothing is None.
"""

from collections.abc import Iterable, Iterator, Sequence

REPEATED_WORDS = 4  # words in a row that count as a repetition, as Welleck et al. count them


def distinct_ngrams(answers: Iterable[str], size: int) -> float | None:
    """The share of different n-grams among all n-grams of all answers (Li et al. 2016).

    Falls as answers are added, so that it compares between systems on equal records alone.

    Args:
        answers: one system's.
        size: words in an n-gram.

    Returns:
        0 to 1; None where no answer has `size` words.
    """
    seen = [ngram for answer in answers for ngram in list_ngrams(split_words(answer), size)]
    return safe_ratio(len(set(seen)), len(seen))


def repetition_rate(answers: Iterable[str], size: int = REPEATED_WORDS) -> float | None:
    """The share of n-grams that occur earlier in the same answer (Welleck et al. 2020, over all answers).

    Args:
        answers: one system's.
        size: words in an n-gram.

    Returns:
        0 to 1; None where no answer has `size` words.
    """
    by_answer = [list(list_ngrams(split_words(answer), size)) for answer in answers]
    return safe_ratio(sum(len(seen) - len(set(seen)) for seen in by_answer), sum(map(len, by_answer)))


def length_ratio(answers: Iterable[str], references: Iterable[str]) -> float | None:
    """The words of all answers over the words of all references.

    Args:
        answers: one system's.
        references: the held-out texts.

    Returns:
        A ratio, 0 or more; None where no reference has a word.
    """
    return safe_ratio(count_words(answers), count_words(references))


def verbatim_copy_rate(answers: Sequence[str], contents: Iterable[str]) -> float | None:
    """The share of answers that are a training record's content word for word; white space and case do not count.

    Args:
        answers: one system's; an empty one is not a copy.
        contents: those of the training records, read once and not kept: there may be a million of them.

    Returns:
        0 to 1; None without an answer.
    """
    keys = [" ".join(split_words(answer)) for answer in answers]
    copied = (set(keys) - {""}).intersection(" ".join(split_words(content)) for content in contents)
    return safe_ratio(sum(key in copied for key in keys), len(keys))


def count_words(texts: Iterable[str]) -> int:
    """The number of words in all texts together."""
    return sum(len(split_words(text)) for text in texts)


def split_words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return text.lower().split()


def list_ngrams(items: list[str], size: int) -> Iterator[tuple[str, ...]]:
    """Every n-gram of a text, in order.

    Args:
        items: its words.
        size: words in an n-gram.
    """
    return zip(*(items[start:] for start in range(size)), strict=False)


def safe_ratio(part: int, whole: int) -> float | None:
    """A part's share of the whole.

    Args:
        part: a count.
        whole: the count that it is part of.

    Returns:
        None where the whole is 0.
    """
    return part / whole if whole else None
