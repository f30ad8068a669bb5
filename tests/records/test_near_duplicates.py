"""Near duplicates against brute force: what is found, what is never called near, and what makes no difference."""

import math
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from unicodedata import normalize

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.records import near_duplicates

small_contents = st.lists(
    st.sampled_from(["a b c d e", "one two three four"]) | st.text("ab é.", max_size=12), max_size=12
)
thresholds = st.sampled_from([0.5, 0.6, 0.8, 1.0])


def clusters(contents: list[str], threshold: float = 0.8, batch: int = 1000) -> list[int]:
    """The clusters of contents added and read in batches of a size."""
    batches = [pl.Series(contents[start : start + batch], dtype=pl.String) for start in range(0, len(contents), batch)]
    found = near_duplicates.NearDuplicateFinder(threshold)
    for some in batches:
        found.add(found.signatures(some))
    return found.clusters(lambda: batches).tolist()


def shingle_set(content: str) -> set[tuple[str, ...]]:
    """The definition, word by word."""
    small = normalize("NFKC", content).lower()
    found = re.findall(r"[^\W_]+", small) or [small]
    return set(zip(found, found[1:], found[2:], strict=False)) if len(found) > 2 else {tuple(found)}


def jaccard(first: set[tuple[str, ...]], second: set[tuple[str, ...]]) -> float:
    return len(first & second) / len(first | second)


def brute_force(contents: list[str], threshold: float) -> list[int]:
    """Clusters by comparing all pairs."""
    sets = [shingle_set(content) for content in contents]
    firsts = list(range(len(contents)))
    for left, right in combinations(range(len(contents)), 2):
        if jaccard(sets[left], sets[right]) >= threshold:
            old, new = sorted((firsts[left], firsts[right]), reverse=True)
            firsts = [new if first == old else first for first in firsts]
    return firsts


def catalogue(count: int, changed: float = 0.05, seed: int = 7) -> list[str]:
    """Contents of common words, half of them an earlier one with up to this share of its words changed."""
    random = np.random.default_rng(seed)
    contents: list[list[str]] = []
    for number in range(count):
        content = [f"w{word}" for word in random.zipf(1.3, random.integers(1, 120)) % 5000]
        if number % 2:
            content = list(contents[random.integers(number)])
            for _ in range(random.integers(int(changed * len(content)) + 2)):
                content[random.integers(len(content))] = f"w{random.integers(5000)}"
        contents.append(content)
    return [" ".join(content) for content in contents]


def series(count: int, length: int, changed: int) -> list[str]:
    """One boilerplate text many times, some of its words changed at random."""
    random = np.random.default_rng(3)
    boilerplate = [f"word{number}" for number in range(length)]
    texts = np.tile(np.array(boilerplate, dtype=object), (count, 1))
    for text in texts:
        others = random.integers(10**6, size=changed)
        text[random.integers(length, size=changed)] = [f"other{number}" for number in others]
    return [" ".join(text) for text in texts]


@given(small_contents, thresholds)
def test_equal_contents_are_together_and_only_near_ones_are(contents: list[str], threshold: float) -> None:
    found, expected = clusters(contents, threshold), brute_force(contents, threshold)
    assert all(expected[number] == expected[first] for number, first in enumerate(found))
    assert all(found[number] == found[contents.index(content)] for number, content in enumerate(contents))


@pytest.mark.parametrize("threshold", [0.5, 0.8, 0.95])
def test_a_catalogue_is_clustered_as_by_brute_force(threshold: float) -> None:
    contents = catalogue(400)
    expected = brute_force(contents, threshold)
    assert 50 < len(set(expected)) < 390
    found = clusters(contents, threshold)
    together = [(left, right) for left, right in combinations(range(400), 2) if expected[left] == expected[right]]
    assert np.mean([found[left] == found[right] for left, right in together]) >= 0.99
    assert all(expected[number] == expected[first] for number, first in enumerate(found))


@pytest.mark.parametrize("threshold", [0.5, 0.65, 0.8, 0.9, 1.0])
def test_a_pair_at_the_threshold_shares_a_band_as_often_as_by_the_formula(threshold: float) -> None:
    hashes = np.random.default_rng(1).integers(2**63, size=(3000, 100), dtype=np.uint64)
    shared, found, bands = round(100 * threshold), near_duplicates.NearDuplicateFinder(threshold), []
    for content in (0, 1):
        own = np.concatenate([hashes[:, :shared], hashes[:, shared + content :: 2]], axis=1)
        slots = found.slots(own.ravel(), np.full(3000, own.shape[1]))
        bands.append(slots.reshape(3000, found.bands, found.rows))
    share = (bands[0] == bands[1]).all(axis=2).any(axis=1).mean()
    assert share >= near_duplicates.band_recall(threshold, found.rows, found.bands) - 0.003
    assert share >= near_duplicates.RECALL


def test_a_pair_exactly_at_the_threshold_is_near() -> None:
    contents = ["a b c d e f g h i j k", "a b c d e f g h i j"]  # 9 shingles and 8 of them
    assert clusters(contents, 8 / 9) == [0, 0]
    assert clusters(contents, math.nextafter(8 / 9, 1)) == [0, 1]


def test_a_cluster_is_transitive_and_named_after_its_first() -> None:
    chain = [" ".join(f"w{number}" for number in range(start, start + 30)) for start in range(0, 20, 2)]
    assert jaccard(shingle_set(chain[0]), shingle_set(chain[-1])) < 0.5
    assert clusters(["something else altogether", *chain[::-1]], 0.8) == [0] + [1] * len(chain)


def test_repeated_shingles_count_once() -> None:
    assert clusters(["a b c", "a b c a b c a b c", "a b c a b c"], 1.0) == [0, 1, 1]


def test_words_moved_about_are_not_the_same() -> None:
    assert clusters(["a b c d e f g h", "a b d c f e g h"], 0.5) == [0, 1]


def test_contents_of_few_words_are_near_only_if_equal() -> None:
    contents = ["", "one", "One!", "one two", "two one", "one, two", "one two three", ""]
    assert clusters(contents, 0.5) == [0, 1, 1, 3, 4, 3, 6, 0]


def test_contents_without_letters_and_digits_are_near_only_if_equal() -> None:
    contents = ["...", "?!", "...", "★ ★", "★ ★ ★", "…", "- - - - - - - -\n", "- - - - - - - -", "★ ★", "★ a ★", "a"]
    assert clusters(contents, 0.5) == [0, 1, 0, 3, 4, 0, 6, 7, 3, 9, 9]  # NFKC writes … as three full stops


def test_case_signs_and_compatible_forms_make_no_difference() -> None:
    contents = ["Ĳs ﬁne: ÉTÉ à la plage", "ijs fine été - à   la plage", "ijs fine ete à la plage", "犬が 好き です"]
    assert clusters([*contents, "犬が、好き、です。"], 0.8) == [0, 0, 2, 3, 3]


def test_marks_make_words_different() -> None:
    assert clusters(["कि ताब है", "की ताब है"], 0.5) == [0, 1]


def test_none_and_one() -> None:
    assert clusters([]) == []
    assert clusters(["one content alone, of a few words"]) == [0]


@settings(max_examples=25)
@given(st.permutations(range(60)), st.integers(1, 70))
def test_neither_order_nor_batches_change_who_is_with_whom(order: list[int], batch: int) -> None:
    contents = catalogue(60)
    plain = clusters(contents)
    moved = clusters([contents[place] for place in order], batch=batch)
    pairs = combinations(range(60), 2)
    assert all((moved[a] == moved[b]) == (plain[order[a]] == plain[order[b]]) for a, b in pairs)


def test_the_first_of_a_cluster_is_the_first_added() -> None:
    found = clusters(catalogue(300))
    assert all(first <= place and found[first] == first for place, first in enumerate(found))


def test_large_batches_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    contents = catalogue(300)
    whole = clusters(contents)
    for limit in ("TEXTS", "PAIRS", "HASHES"):
        monkeypatch.setattr(near_duplicates, limit, 7)
    assert clusters(contents) == whole


def test_threads_make_no_difference() -> None:
    contents = catalogue(400)
    batches = [pl.Series(contents[start : start + 20]) for start in range(0, 400, 20)]
    found = near_duplicates.NearDuplicateFinder(0.8)
    with ThreadPoolExecutor(4) as threads:
        for signatures in threads.map(found.signatures, batches):
            found.add(signatures)
    assert found.clusters(lambda: iter(batches)).tolist() == clusters(contents)


@pytest.mark.parametrize("environment", [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "POLARS_MAX_THREADS": "1"}])
def test_processes_make_no_difference(environment: dict[str, str]) -> None:
    program = (
        "import polars; from src.records.near_duplicates import NearDuplicateFinder; "
        "print(NearDuplicateFinder(0.8).signatures(polars.Series(['a b'])).sum())"
    )
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert int(printed.stdout) == near_duplicates.NearDuplicateFinder(0.8).signatures(pl.Series(["a b"])).sum()


@pytest.mark.parametrize(("changed", "expected"), [(1, 1), (4, 5000)])
def test_a_long_series_does_not_cost_the_square(changed: int, expected: int) -> None:
    contents = series(5000, 60, changed)
    start = time.process_time()
    assert len(set(clusters(contents, 0.85))) in range(expected - 30, expected + 1)
    assert time.process_time() - start < 30


def test_near_pairs_are_found_in_a_series_of_many_that_are_not_near() -> None:
    contents = series(3000, 100, 4)  # similarities about 0.65; brute force finds 2960 clusters
    assert 2960 <= len(set(clusters(contents))) <= 2970


def test_a_bucket_yields_all_its_pairs_if_small_and_few_if_large() -> None:
    small, large = near_duplicates.WINDOW + 2, 1000
    keys = np.repeat(np.array([1, 2, 3], dtype=np.uint64), [small, large, 1])
    pairs = {tuple(pair) for some in near_duplicates.candidate_pairs(keys) for pair in some.T.tolist()}
    assert {pair for pair in pairs if pair[0] < small} == set(combinations(range(small), 2))
    assert large - 1 <= len(pairs) - math.comb(small, 2) <= large * (near_duplicates.WINDOW + 1)


def test_further_keys_bring_the_similar_of_a_large_bucket_together() -> None:
    twins = np.random.default_rng(2).permutation(1000) // 2
    pairs = near_duplicates.candidate_pairs(np.zeros(1000, dtype=np.uint64), twins.astype(np.uint64))
    met = {tuple(sorted(pair)) for some in pairs for pair in some.T.tolist()}
    assert {tuple(np.flatnonzero(twins == twin)) for twin in range(500)} <= met
