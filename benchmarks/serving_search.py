"""Measures the search for titles at full size: the index stage as dvc.yaml runs it, then searches one after the other.

Titles have the published lengths and made-up words, drawn by Zipf's law; a fifth are another title with one word
replaced, as in a series. Searches are for a title as it is, in capitals and another order, with two typos, and with
three words dropped. Covers the share found first, beside the share that any search could find first, and the latency.
"""

import random
import shutil
import string
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from benchmarks.process_usage import measure_command
from benchmarks.published_lengths import CONTENT_CHARS, TITLE_CHARS, draw_lengths
from benchmarks.serving_engines import measure_engines
from benchmarks.serving_rivals import Rivals
from src.params import PARAMS, PIPELINE, read_yaml
from src.records.parquet import parquet_writer
from src.serving.search import TitleIndex, similarity
from src.serving.trigrams import fold_title
from src.synthetic.catalogue import generate_products

SEED = 1
CHUNK = 50_000  # records made at once
VOCABULARY = 600_000  # made-up words; Zipf's law, its exponent and shift set by hand
ZIPF_EXPONENT, ZIPF_SHIFT = 1.1, 10
SHORT_WORDS = (1_500, 150_000)  # the most frequent words have one syllable, the next ones two, all others three
CLUSTERS = "br ch cl cr dr fl fr gr ph pl pr sc sh sl sp st str th tr"
ONSETS = [*"bcdfghjklmnprstvwz", *CLUSTERS.split()]
VOWELS = [*"aeiou", "ai", "ea", "ee", "ie", "oo", "ou", "y"]
ENDS = ["", "", "n", "r", "s", "t", "l", "m", "d", "ng", "ck", "st", "nd", "rt"]
SERIES_SHARE = 0.2  # of titles that differ from an earlier one in one word
TYPOS, DROPPED, WORDS_TO_DROP_FROM = 2, 3, 6
FEWEST_WORDS = 2  # that dropping leaves
HITS = 5
WARM_UP = 20  # searches


class Search(NamedTuple):
    """A search for a title.

    Args:
        title: what is looked for.
        query: what is typed.
    """

    title: str
    query: str


def measure_search(folder: Path, records: int, searches: int, engines: bool) -> dict[str, Any]:
    """Makes the records, indexes them by the stage's command, and searches.

    Args:
        folder: for the records and the index.
        records: titles.
        searches: of each kind.
        engines: whether other engines are measured on the same searches, as far as they are installed.

    Returns:
        What the index took, and what each kind of search found.
    """
    project = make_project(folder / "serving", records)
    build = measure_command(read_yaml(PIPELINE)["stages"]["index"]["cmd"], project)
    path = project / "data/index.sqlite"
    index = TitleIndex(path)
    asked = draw_searches(index, searches)
    rivals = Rivals(index)
    found = {
        "records": records,
        "build": asdict(build) | {"index_mb": round(path.stat().st_size / 1e6), "trigrams_mb": trigrams_mb(index)},
        "at_best": {change: rivals.best_share(change, asked[change]) for change in rivals.counts},
        "searches": measure_searches(index, asked),
    }
    return found | ({"engines": measure_engines(path, asked)} if engines else {})


def make_project(project: Path, records: int) -> Path:
    """Copies the project's code, and makes clean records beside it.

    Args:
        project: the copy's folder, which is emptied before.
        records: how many.

    Returns:
        The copy's folder.
    """
    shutil.rmtree(project, ignore_errors=True)
    shutil.copytree("src", project / "src")
    for file in (PIPELINE, PARAMS):
        shutil.copyfile(file, project / file)
    texts = " ".join(product.content for product in generate_products(SEED, 5_000))
    rng, first = random.Random(SEED), 0
    with parquet_writer(project / "data/clean.parquet") as append:
        for titles in make_titles(rng, records):
            lengths = draw_lengths(rng, CONTENT_CHARS, len(titles))
            starts = [rng.randrange(len(texts)) for _ in titles]
            contents = [texts[start : start + length] for start, length in zip(starts, lengths, strict=True)]
            uids = [f"{number:010}" for number in range(first, first + len(titles))]
            append(pl.DataFrame({"uid": uids, "title": titles, "content": contents}))
            first += len(titles)
    return project


def make_words(rng: random.Random) -> list[str]:
    """The vocabulary, the most frequent word first."""
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        syllables = 1 + sum(len(words) >= limit for limit in SHORT_WORDS)
        word = "".join(rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(syllables)) + rng.choice(ENDS)
        words[word.capitalize()] = None
    return list(words)


def make_titles(rng: random.Random, count: int) -> Iterator[list[str]]:
    """Titles of the published lengths, in chunks.

    Args:
        rng: draws them.
        count: how many.
    """
    words = make_words(rng)
    frequencies = list(accumulate((rank + ZIPF_SHIFT) ** -ZIPF_EXPONENT for rank in range(VOCABULARY)))
    for start in range(0, count, CHUNK):
        titles: list[str] = []
        for length in draw_lengths(rng, TITLE_CHARS, min(CHUNK, count - start)):
            if titles and rng.random() < SERIES_SHARE:
                title = rng.choice(titles).split()
                title[rng.randrange(len(title))] = rng.choices(words, cum_weights=frequencies)[0]
            else:
                drawn = rng.choices(words, cum_weights=frequencies, k=length // 3 + 1)
                ends = list(accumulate(len(word) + 1 for word in drawn))
                title = drawn[: max(1, sum(end <= length + 2 for end in ends))]
            titles.append(" ".join(title))
        yield titles


def add_typos(rng: random.Random, title: str, count: int = TYPOS) -> str:
    """A title with letters inserted, left out, replaced or swapped at random places.

    Args:
        rng: draws them.
        title: as it is.
        count: of typos.
    """
    for _ in range(count):
        place, letter = rng.randrange(len(title) + 1), rng.choice(string.ascii_lowercase)
        before, after = title[:place], title[place:]
        edits = (before + letter + after, before + after[1:], before + letter + after[1:])
        title = rng.choice((*edits, before + after[1:2] + after[:1] + after[2:]))
    return title


def drop_words(rng: random.Random, title: str, count: int = DROPPED) -> str:
    """A title without some of its words.

    Args:
        rng: draws them.
        title: as it is.
        count: words that it loses, though two are left.
    """
    words = title.split()
    kept = sorted(rng.sample(range(len(words)), max(len(words) - count, min(len(words), FEWEST_WORDS))))
    return " ".join(words[number] for number in kept)


def shuffle_words(rng: random.Random, title: str) -> str:
    """A title in capitals, its words in another order."""
    words = title.upper().split()
    return " ".join(rng.sample(words, len(words)))


CHANGES: dict[str, Callable[[random.Random, str], str]] = {
    "as it is": lambda _, title: title,
    "in capitals, words in another order": shuffle_words,
    "two typos": add_typos,
    "three words dropped": drop_words,
}


def draw_searches(index: TitleIndex, count: int) -> dict[str, list[Search]]:
    """Searches of each kind of change, for the same titles where they have enough words.

    Args:
        index: whose titles are searched for.
        count: of each kind, at most.
    """
    rng = random.Random(SEED)
    positions = rng.sample(range(len(index.lengths)), min(4 * count, len(index.lengths)))
    titles = [title for _, _, title in index.read_titles(sorted(positions))]
    rng.shuffle(titles)
    long = [title for title in titles if len(title.split()) >= WORDS_TO_DROP_FROM]
    chosen = {name: (long if change is drop_words else titles)[:count] for name, change in CHANGES.items()}
    return {name: [Search(title, change(rng, title)) for title in chosen[name]] for name, change in CHANGES.items()}


def measure_searches(index: TitleIndex, asked: dict[str, list[Search]]) -> dict[str, dict[str, float]]:
    """What an engine finds, and how fast.

    Args:
        index: to search in.
        asked: searches of each kind.
    """
    for search in next(iter(asked.values()))[:WARM_UP]:
        index.search(search.query)  # what is measured later is a server's search, not its first one
    return {kind: measure_kind(index, searches) for kind, searches in asked.items()}


def measure_kind(index: TitleIndex, searches: list[Search]) -> dict[str, float]:
    """Searches for titles with one kind of change.

    Args:
        index: to search in.
        searches: for what.

    Returns:
        Percentages and latencies. A title counts as found first where the first hit has it; as nearer to another title
        where the first hit has at least its score; otherwise the choice of candidates lost it.
    """
    first, nearer, wall, cpu = 0, 0, [], []
    for title, query in searches:
        start = time.perf_counter(), time.process_time()
        hits = index.search(query, HITS)
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.process_time() - start[1])
        found = bool(hits) and fold_title(hits[0].title) == fold_title(title)
        first += found
        nearer += not found and bool(hits) and hits[0].score >= own_score(query, title)
    milliseconds = {"wall": 1000 * np.array(wall), "cpu": 1000 * np.array(cpu)}
    return {
        "searches": len(searches),
        "first": round(100 * first / len(searches), 1),
        "nearer_to_another": round(100 * nearer / len(searches), 1),
        **{f"{name}_median_ms": round(float(np.median(times)), 1) for name, times in milliseconds.items()},
        **{f"{name}_p95_ms": round(float(np.quantile(times, 0.95)), 1) for name, times in milliseconds.items()},
    }


def own_score(query: str, title: str) -> float:
    """The score that a title has for a query, whether it is a hit or not."""
    return round(similarity(fold_title(query), fold_title(title)), 1)


def trigrams_mb(index: TitleIndex) -> int:
    """How much of the index the lists of positions are, in MB."""
    [(size,)] = index.database.execute("SELECT sum(length(positions)) FROM trigrams")
    return round((size or 0) / 1e6)
