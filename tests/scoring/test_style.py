"""Style: variety, repetition, length and copies, and the laws that hold for any answers."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.scoring.intervals import RecordSums
from src.scoring.style import copy_sums, distinct_ngrams, empty_sums, length_sums, repetition_sums


def estimate(sums: RecordSums | None) -> float | None:
    return sums.estimate if sums else None


def style_scores(answers: list[str], references: list[str], contents: list[str]) -> dict[str, float | None]:
    return {
        "distinct_1": distinct_ngrams(answers, 1),
        "distinct_2": distinct_ngrams(answers, 2),
        "repetition": estimate(repetition_sums(answers)),
        "length_ratio": estimate(length_sums(answers, references)),
        "verbatim_copy_rate": copy_sums(answers, contents).estimate,
        "empty_answers": empty_sums(answers).estimate,
    }


texts = st.lists(st.lists(st.sampled_from("abc"), max_size=12).map(" ".join), min_size=1, max_size=5)


def test_distinct_counts_over_all_answers() -> None:
    assert distinct_ngrams(["a b a", "b c"], 1) == pytest.approx(3 / 5)
    assert distinct_ngrams(["a b a", "a b"], 2) == pytest.approx(2 / 3)


def test_repetition_counts_within_an_answer() -> None:
    assert estimate(repetition_sums(["a b c d a b c d"])) == pytest.approx(1 / 5)
    assert estimate(repetition_sums(["a b c d", "a b c d"])) == 0


def test_copies_are_found_in_any_case_and_white_space() -> None:
    copies = copy_sums(["A  brass\nlamp.", "A lamp.", ""], ["a brass lamp.", "", "A bag."])
    assert copies.terms[0].tolist() == [1, 0, 0]
    assert copies.estimate == pytest.approx(1 / 3)


def test_length_is_compared_in_words() -> None:
    assert estimate(length_sums(["one two", ""], ["one two three", "four"])) == pytest.approx(2 / 4)


def test_empty_answers_have_no_variety() -> None:
    assert style_scores([""], ["A lamp."], []) == {
        "distinct_1": None,
        "distinct_2": None,
        "repetition": None,
        "length_ratio": 0.0,
        "verbatim_copy_rate": 0.0,
        "empty_answers": 1.0,
    }


def test_white_space_is_an_empty_answer() -> None:
    assert empty_sums(["", " \n", "A lamp.", "-"]).estimate == 0.5


def test_nothing_to_compare_a_length_with_is_no_ratio() -> None:
    assert length_sums(["A lamp."], [""]) is None


@given(texts, texts)
def test_shares_lie_between_0_and_1(answers: list[str], contents: list[str]) -> None:
    values = style_scores(answers, ["a"] * len(answers), contents)
    del values["length_ratio"]
    assert all(value is None or 0 <= value <= 1 for value in values.values())


@given(texts, texts, st.randoms())
def test_the_order_of_answers_does_not_matter(answers: list[str], contents: list[str], random: Random) -> None:
    shuffled = random.sample(answers, len(answers))
    references = ["a b"] * len(answers)
    assert style_scores(answers, references, contents) == style_scores(shuffled, references, contents)
