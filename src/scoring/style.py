"""What answers look like without asking whether they are right: variety, repetition, length, copying.

Words are runs of characters between white space, in lower case. A share of nothing is None.
"""

from collections.abc import Iterable, Iterator, Sequence


def style(answers: Sequence[str], references: Sequence[str], descriptions: Iterable[str]) -> dict[str, float | None]:
    """Scores of the answers as a whole; `descriptions` are those of the training records."""
    return {
        "distinct_1": distinct(answers, 1),
        "distinct_2": distinct(answers, 2),
        "repetition": repetition(answers),
        "length_ratio": share(sum(map(len, map(words, answers))), sum(map(len, map(words, references)))),
        "verbatim_copy_rate": verbatim_copy_rate(answers, descriptions),
    }


def distinct(answers: Iterable[str], size: int) -> float | None:
    """Different n-grams among all n-grams of all answers, 0 to 1 (Li et al. 2016); falls as answers are added."""
    seen = [ngram for answer in answers for ngram in ngrams(words(answer), size)]
    return share(len(set(seen)), len(seen))


def repetition(answers: Iterable[str], size: int = 4) -> float | None:
    """The share of n-grams that stood earlier in the same answer, 0 to 1 (Welleck et al. 2020, over all answers)."""
    by_answer = [list(ngrams(words(answer), size)) for answer in answers]
    return share(sum(len(seen) - len(set(seen)) for seen in by_answer), sum(map(len, by_answer)))


def verbatim_copy_rate(answers: Sequence[str], descriptions: Iterable[str]) -> float | None:
    """The share of answers that are a description word for word, 0 to 1; white space and case do not count.

    The descriptions are read once and not kept: there may be a million of them.
    """
    keys = [" ".join(words(answer)) for answer in answers]
    copied = (set(keys) - {""}).intersection(" ".join(words(description)) for description in descriptions)
    return share(sum(key in copied for key in keys), len(keys))


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return text.lower().split()


def ngrams(items: list[str], size: int) -> Iterator[tuple[str, ...]]:
    """Every run of `size` neighbours, in order."""
    return zip(*(items[start:] for start in range(size)), strict=False)


def share(part: int, whole: int) -> float | None:
    """`part` of `whole`, None where there is nothing to take a part of."""
    return part / whole if whole else None
