"""The benchmark of sources: what is done to titles, and which shares are told, with and without their records."""

import random
from itertools import zip_longest
from pathlib import Path

import polars as pl

from benchmarks import sources
from benchmarks.serving_search import drop_words
from src.serving.index import write_index
from src.serving.search import TitleIndex

TITLES = ["Brass Desk Lamp", "Woollen Scarf, Dark Grey", "Enamel Kettle Red Large Whistling"]


def index_of(path: Path, titles: list[str]) -> TitleIndex:
    write_index(path, [pl.DataFrame({"uid": titles, "title": titles, "content": titles})])
    return TitleIndex(path)


def test_shares_are_of_titles_with_a_source_and_with_their_own(tmp_path: Path) -> None:
    everything = index_of(tmp_path / "all", TITLES)
    assert sources.measure(everything, TITLES, sources.keep, asking=False) == (1.0, 1.0)
    assert sources.measure(everything, TITLES, sources.keep, asking=True) == (1.0, 1.0)
    assert sources.measure(everything, TITLES, lambda _rng, _title: TITLES[0], asking=False) == (1.0, 1 / 3)
    _, _, as_it_is, *_, others, _ = sources.table(everything, index_of(tmp_path / "one", TITLES[:1]), TITLES)
    assert as_it_is == "| as it is | 100% / 100% | 100% / 100% |"
    assert others.endswith("| 33% | 33% |")


def test_words_are_dropped_but_for_two_and_mixed_at_their_places() -> None:
    rng = random.Random(1)
    kept = [drop_words(rng, title).split() for title in TITLES]
    assert [len(words) for words in kept] == [2, 2, 2]
    assert all(set(words) < set(title.split()) for words, title in zip(kept, TITLES, strict=True))
    mixed = [title.split() for title in sources.mix_words(rng, TITLES)]
    assert list(map(len, mixed)) == [3, 4, 5]
    first, *_, last = zip_longest(*(title.split() for title in TITLES))
    assert {words[0] for words in mixed} <= set(first) and mixed[2][4] in last
