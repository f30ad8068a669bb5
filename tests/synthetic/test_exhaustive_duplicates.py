"""Near contents by comparing all with all: the same as pair by pair, and the same words as src/records/near_duplicates.py."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.synthetic.exhaustive_duplicates import NEAR, first_alike, shingles, similarity
from src.synthetic.catalogue import products
from src.records.near_duplicates import words

contents = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=8).map(" ".join), min_size=1, max_size=12)


@given(contents)
def test_clusters_are_those_that_pairs_make(found: list[str]) -> None:
    firsts = list(range(len(found)))
    for _ in found:
        for one, content in enumerate(found):
            for two, other in enumerate(found):
                if similarity(content, other) >= NEAR:
                    firsts[one] = firsts[two] = min(firsts[one], firsts[two])
    assert first_alike(found) == firsts


def test_shingles_are_three_small_words_or_all_there_are() -> None:
    assert shingles("The Owl’s end.The next") == {"the owl s", "owl s end", "s end the", "end the next"}
    assert shingles("An OWL!") == {"an owl"}
    assert shingles("\u2026") == {""}


def test_similarity_is_the_share_in_common() -> None:
    assert similarity("a b c d", "a b c e") == pytest.approx(1 / 3)
    assert similarity("a b c", "A, b; c.") == 1


def test_words_are_those_of_the_cleaning() -> None:
    texts = [product.content for product in products(4, 500)]
    for text, found in zip(texts, words(pl.Series(texts)), strict=True):
        triples = zip(found, found[1:], found[2:], strict=False)
        assert shingles(text) == {" ".join(triple) for triple in triples}
