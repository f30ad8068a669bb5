"""Near duplicates by comparing all with all: the same as pair by pair, with the words of records/near_duplicates.py."""

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.records.near_duplicates import extract_words
from src.synthetic.catalogue import generate_products
from src.synthetic.exact_near_duplicates import NEAR_THRESHOLD, first_near_duplicates, jaccard_similarity, word_shingles

contents = st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=8).map(" ".join), min_size=1, max_size=12)


@given(contents)
def test_clusters_are_those_that_pairs_make(found: list[str]) -> None:
    firsts = list(range(len(found)))
    for _ in found:
        for one, content in enumerate(found):
            for two, other in enumerate(found):
                if jaccard_similarity(content, other) >= NEAR_THRESHOLD:
                    firsts[one] = firsts[two] = min(firsts[one], firsts[two])
    assert first_near_duplicates(found) == firsts


def test_shingles_are_three_lower_case_words_or_all_there_are() -> None:
    assert word_shingles("The Owl’s end.The next") == {"the owl s", "owl s end", "s end the", "end the next"}
    assert word_shingles("An OWL!") == {"an owl"}
    assert word_shingles("\u2026") == {""}


def test_similarity_is_the_share_in_common() -> None:
    assert jaccard_similarity("a b c d", "a b c e") == pytest.approx(1 / 3)
    assert jaccard_similarity("a b c", "A, b; c.") == 1


def test_words_are_those_of_the_cleaning() -> None:
    texts = [product.content for product in generate_products(4, 500)]
    for text, found in zip(texts, extract_words(pl.Series(texts)), strict=True):
        triples = zip(found, found[1:], found[2:], strict=False)
        assert word_shingles(text) == {" ".join(triple) for triple in triples}
