"""Topics: found where there are some, named so that a stranger understands them, the same in batches of any size."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.errors import UserError
from src.records import topics
from src.synthetic.catalogue import generate_products

SUBJECTS = {
    "pens": ("fountain pen", "This pen writes with blue ink on any paper, and its nib is of steel."),
    "tea": ("green tea", "This tea is picked by hand, dried slowly, and it is good with honey in the morning."),
    "bikes": ("mountain bike", "This bike has two wheels, a saddle and brakes, and it is made for rough tracks."),
}
COUNTS = {"pens": 30, "tea": 60, "bikes": 10}


@pytest.fixture(scope="module")
def records() -> pl.DataFrame:
    rows = [(subject, *SUBJECTS[subject]) for subject, count in COUNTS.items() for _ in range(count)]
    return pl.DataFrame(rows, schema=["subject", "title", "content"], orient="row").sample(
        fraction=1, shuffle=True, seed=1
    )


def test_topics_are_found_and_named_and_numbered_by_size(records: pl.DataFrame) -> None:
    found = topics.find_topics(records, 3, 13)
    named = records.with_columns(topics.label_topics(found.assign_topics(records), found.words))
    assert dict(named.select("subject", "topic").unique().iter_rows()) == {
        "tea": "1: green, tea",
        "pens": "2: fountain, pen",
        "bikes": "3: bike, mountain",
    }


def test_topics_depend_on_the_seed_and_on_nothing_else(records: pl.DataFrame) -> None:
    one, same, other = (topics.find_topics(records, 2, seed) for seed in (13, 13, 2**40))
    assert one.centres.tobytes() == same.centres.tobytes() != other.centres.tobytes()


def test_topics_do_not_depend_on_the_number_of_threads() -> None:
    from threadpoolctl import threadpool_limits

    rows = [(product.title, product.content) for product in generate_products(seed=3, count=1500)]
    records, centres = pl.DataFrame(rows, schema=["title", "content"], orient="row"), []
    for threads in (1, 4):
        with threadpool_limits(threads):
            centres.append(topics.find_topics(records, 8, 13).centres.tobytes())
    assert centres[0] == centres[1]


def test_the_topic_of_a_record_does_not_depend_on_its_batch(records: pl.DataFrame) -> None:
    found = topics.find_topics(records, 3, 13)
    apart = np.concatenate([found.assign_topics(records[start : start + 7]) for start in range(0, records.height, 7)])
    assert apart.tolist() == found.assign_topics(records).tolist()


def test_a_record_without_known_words_has_a_topic(records: pl.DataFrame) -> None:
    unknown = pl.DataFrame({"title": ["the", "!!", "zzzz"], "content": ["of", "", "qqqq"]})
    assert (
        topics.find_topics(records, 3, 13).assign_topics(unknown).tolist()
        == [topics.find_topics(records, 3, 13).assign_topics(unknown)[0]] * 3
    )


def test_records_without_telling_words_are_refused() -> None:
    same = pl.DataFrame({"title": ["The same"] * 9, "content": ["as the others"] * 9})
    with pytest.raises(UserError, match=r"sample\.topics is 2.* set it to 1"):
        topics.find_topics(same, 2, 13)


@given(st.lists(st.lists(st.sampled_from(["red", "pen", "ink", "Red"]), max_size=6), min_size=1, max_size=6))
def test_counts_are_those_of_the_words(texts: list[list[str]]) -> None:
    counts = topics.word_matrix(pl.Series([" ".join(words) for words in texts], dtype=pl.String)).toarray()
    for word, slot in zip(("red", "pen", "ink"), topics.hash_words(pl.Series(["red", "pen", "ink"])), strict=True):
        assert counts[:, slot].tolist() == [sum(found.lower() == word for found in words) for words in texts]
    assert counts.sum() == sum(map(len, texts))


def test_slots_are_the_same_in_every_version() -> None:
    assert topics.hash_words(pl.Series(["guitar", "naïve", "guitar"])).tolist() == [21420, 30728, 21420]


def test_short_words_and_digits_are_no_words() -> None:
    assert topics.topic_words(pl.Series(["A4 paper, 2x Été isn't"])).to_list() == [["paper", "été", "isn"]]


def test_stop_words_and_rare_words_weigh_nothing() -> None:
    texts = pl.Series(["the pen"] * 4 + ["the ink"] * 4 + ["the once"])
    weights = topics.inverse_frequencies(topics.word_matrix(texts))
    the, pen, once = topics.hash_words(pl.Series(["the", "pen", "once"]))
    assert (weights[the], weights[once]) == (0, 0)
    assert weights[pen] == pytest.approx(np.log(9 / 4))


def test_a_name_leaves_out_plurals_of_its_words() -> None:
    assert topics.distinct_stems(["pens", "ink", "pen", "inks", "nib", "steel"]) == ["pens", "ink", "nib"]


def test_topics_without_records_have_no_name() -> None:
    names = topics.label_topics(np.array([2, 0, 2], np.uint8), ["a", "b", "c"])
    assert names.to_list() == ["1: c", "2: a", "1: c"]
    assert names.dtype == pl.Enum(["1: c", "2: a"])
