"""What answers look like without asking whether they are right: variety, repetition, length, copying.

Words are runs of characters between white space, in lower case. A share of nothing is None.
"""

from collections.abc import Iterable, Iterator, Sequence


def style_scores(
    answers: Sequence[str], references: Sequence[str], descriptions: Iterable[str]
) -> dict[str, float | None]:
    """Scores of the answers as a whole; `descriptions` are those of the training records."""
    return {
        "distinct_1": distinct_ngrams(answers, 1),
        "distinct_2": distinct_ngrams(answers, 2),
        "repetition": repetition_rate(answers),
        "length_ratio": safe_ratio(
            sum(map(len, map(split_words, answers))), sum(map(len, map(split_words, references)))
        ),
        "verbatim_copy_rate": verbatim_copy_rate(answers, descriptions),
    }


def distinct_ngrams(answers: Iterable[str], size: int) -> float | None:
    """Different n-grams among all n-grams of all answers, 0 to 1 (Li et al. 2016); falls as answers are added."""
    seen = [ngram for answer in answers for ngram in ngrams(split_words(answer), size)]
    return safe_ratio(len(set(seen)), len(seen))


def repetition_rate(answers: Iterable[str], size: int = 4) -> float | None:
    """The share of n-grams that stood earlier in the same answer, 0 to 1 (Welleck et al. 2020, over all answers)."""
    by_answer = [list(ngrams(split_words(answer), size)) for answer in answers]
    return safe_ratio(sum(len(seen) - len(set(seen)) for seen in by_answer), sum(map(len, by_answer)))


def verbatim_copy_rate(answers: Sequence[str], descriptions: Iterable[str]) -> float | None:
    """The share of answers that are a description word for word, 0 to 1; white space and case do not count.

    The descriptions are read once and not kept: there may be a million of them.
    """
    keys = [" ".join(split_words(answer)) for answer in answers]
    copied = (set(keys) - {""}).intersection(" ".join(split_words(description)) for description in descriptions)
    return safe_ratio(sum(key in copied for key in keys), len(keys))


def split_words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return text.lower().split()


def ngrams(items: list[str], size: int) -> Iterator[tuple[str, ...]]:
    """Every run of `size` neighbours, in order."""
    return zip(*(items[start:] for start in range(size)), strict=False)


def safe_ratio(part: int, whole: int) -> float | None:
    """`part` of `whole`, None where there is nothing to take a part of."""
    return part / whole if whole else None
