"""The nearest title: the one that shares most words and word pairs, the first of equal ones."""

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from src.scoring.nearest import BATCH, nearest_titles

TITLES = ["Brass Desk Lamp, 30 cm", "Canvas Bag in Blue", "Garden Hose, 20 m", "Canvas Bag in Red"]


def test_the_title_that_shares_most_wins() -> None:
    assert nearest_titles(["canvas bag, red", "a lamp of brass", "HOSE"], TITLES) == [3, 0, 2]


def test_of_equal_titles_the_first_wins() -> None:
    assert nearest_titles(["blue bag", "lamp"], ["lamp", "blue bag", "lamp", "bag, blue", "Blue Bag"]) == [1, 0]


def test_a_query_that_shares_no_word_gets_the_first_title() -> None:
    assert nearest_titles(["teapot", "", "?"], TITLES) == [0, 0, 0]


@pytest.mark.parametrize("titles", [["?", "!"], [""]])
def test_titles_without_a_word_have_no_nearest(titles: list[str]) -> None:
    assert nearest_titles(["lamp", "bag"], titles) == [0, 0]


def test_batches_change_nothing() -> None:
    draw = random.Random(3)
    words = [f"word{number}" for number in range(60)]
    titles = [" ".join(draw.choices(words, k=6)) for _ in range(200)]
    queries = [" ".join(draw.choices(words, k=6)) for _ in range(2 * BATCH + 3)]
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+")
    known = vectorizer.fit_transform(titles)
    similarities = cosine_similarity(vectorizer.transform(queries), known)
    found = nearest_titles(queries, titles)
    best = similarities.max(axis=1)
    assert [similarities[row, position] for row, position in enumerate(found)] == pytest.approx(best.tolist(), abs=1e-5)


def terms(title: str) -> Counter[Any]:
    words = title.split()
    return Counter(words) + Counter(pairwise(words))


@settings(deadline=None, max_examples=30)
@given(
    st.lists(st.text("ab c", min_size=1, max_size=12), min_size=1, max_size=8).filter(
        lambda ts: any(map(str.strip, ts))
    )
)
def test_a_known_title_finds_the_first_one_of_its_words_and_word_pairs(titles: list[str]) -> None:
    known = [terms(title) for title in titles]
    found = nearest_titles(titles, titles)
    assert found == [known.index(title) if title else 0 for title in known]
