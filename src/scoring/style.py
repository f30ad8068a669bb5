"""What answers look like without asking whether they are right: variety, repetition, length, copying.

Words are runs of characters between white space, in lower case. A share of nothing is None. All but the variety are
sums over records, from which intervals follow; how varied answers are is told of all of them together.
"""

from collections.abc import Iterable, Iterator, Sequence

from src.scoring.intervals import RecordSums, mean_of, ratio_of_sums

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
    return len(set(seen)) / len(seen) if seen else None


def repetition_sums(answers: Iterable[str], size: int = REPEATED_WORDS) -> RecordSums | None:
    """The share of n-grams that occur earlier in the same answer (Welleck et al. 2020, over all answers).

    Args:
        answers: one system's.
        size: words in an n-gram.

    Returns:
        0 to 1; None where no answer has `size` words.
    """
    by_answer = [list(list_ngrams(split_words(answer), size)) for answer in answers]
    return ratio_or_none([len(seen) - len(set(seen)) for seen in by_answer], [len(seen) for seen in by_answer])


def length_sums(answers: Iterable[str], references: Iterable[str]) -> RecordSums | None:
    """The words of all answers over the words of all references.

    Args:
        answers: one system's.
        references: the held-out texts.

    Returns:
        A ratio, 0 or more; None where no reference has a word.
    """
    words = ([len(split_words(text)) for text in texts] for texts in (answers, references))
    return ratio_or_none(*words)


def empty_sums(answers: Iterable[str]) -> RecordSums:
    """The share of answers without a word, 0 to 1."""
    return mean_of([float(not split_words(answer)) for answer in answers])


def copy_sums(answers: Sequence[str], contents: Iterable[str]) -> RecordSums:
    """The share of answers that are a training record's content word for word; white space and case do not count.

    Args:
        answers: one system's; an empty one is not a copy.
        contents: those of the training records, read once and not kept: there may be a million of them.
    """
    keys = [" ".join(split_words(answer)) for answer in answers]
    copied = (set(keys) - {""}).intersection(" ".join(split_words(content)) for content in contents)
    return mean_of([float(key in copied) for key in keys])


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


def ratio_or_none(parts: Sequence[int], wholes: Sequence[int]) -> RecordSums | None:
    """A ratio of sums over records.

    Args:
        parts: a count a record.
        wholes: the counts that it is compared with.

    Returns:
        None where the wholes add up to 0.
    """
    return ratio_of_sums(parts, wholes) if any(wholes) else None
