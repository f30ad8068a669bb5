"""Measures the search for titles at full size: the index stage as dvc.yaml runs it, then searches one after the other.

Titles have the published lengths and made-up words, drawn by Zipf's law; a fifth are another title with one word
replaced, as in a series. Searches are for a title as it is, in capitals and another order, with two
typos, and with three words dropped. Covers the search alone.

    python -m benchmarks.serving --records 2248619     # as many titles as the published file has
"""

import argparse
import random
import shutil
import string
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.process_usage import describe_machine, measure_command
from benchmarks.published_lengths import CONTENT_CHARS, TITLE_CHARS, draw_lengths
from benchmarks.serving_report import RESULTS, Results, render_table
from src.errors import UserError
from src.files import write_json
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
HITS = 5


def main() -> None:
    """Makes the records, measures, prints a table, writes RESULTS."""
    arguments = parse_arguments()
    try:
        project = make_project(arguments.folder.absolute() / "serving", arguments.records)
        build = measure_command(read_yaml(PIPELINE)["stages"]["index"]["cmd"], project)
        index = project / "data/index.sqlite"
        results: Results = {
            "machine": describe_machine(),
            "records": arguments.records,
            "build": asdict(build) | {"index_mb": round(index.stat().st_size / 1e6)},
            "searches": measure_searches(TitleIndex(index), arguments.searches),
        }
    except UserError as error:
        sys.exit(str(error))
    write_json(arguments.results, results)
    print(render_table(results))


def parse_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.serving", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=100_000, help="titles (default: %(default)s)")
    parser.add_argument("--searches", type=int, default=500, help="searches of each kind (default: %(default)s)")
    parser.add_argument("--folder", type=Path, default=Path(".bench"), help="for the records and the index")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the JSON file (default: %(default)s)")
    return parser.parse_args()


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


def add_typos(rng: random.Random, title: str) -> str:
    """A title with TYPOS letters inserted, left out, replaced or swapped at random places."""
    for _ in range(TYPOS):
        place, letter = rng.randrange(len(title) + 1), rng.choice(string.ascii_lowercase)
        before, after = title[:place], title[place:]
        edits = (before + letter + after, before + after[1:], before + letter + after[1:])
        title = rng.choice((*edits, before + after[1:2] + after[:1] + after[2:]))
    return title


def drop_words(rng: random.Random, title: str) -> str:
    """A title without DROPPED of its words."""
    words = title.split()
    kept = sorted(rng.sample(range(len(words)), len(words) - DROPPED))
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


def measure_searches(index: TitleIndex, count: int) -> dict[str, dict[str, float]]:
    """Searches for changed titles, each kind of change on the same titles where they have enough words.

    Args:
        index: to search in.
        count: searches of each kind, at most.

    Returns:
        For each kind of change the share found first in percent, and the latency in ms.
    """
    rng = random.Random(SEED)
    positions = rng.sample(range(len(index.lengths)), min(4 * count, len(index.lengths)))
    titles = [title for _, _, title in index.read_titles(sorted(positions))]
    rng.shuffle(titles)
    long = [title for title in titles if len(title.split()) >= WORDS_TO_DROP_FROM]
    chosen = {name: (long if change is drop_words else titles)[:count] for name, change in CHANGES.items()}
    for title in titles[:20]:
        index.search(title)  # warm: what is measured later is a server's search, not its first one
    return {name: measure_kind(index, rng, chosen[name], CHANGES[name]) for name in CHANGES}


def measure_kind(
    index: TitleIndex, rng: random.Random, titles: list[str], change: Callable[[random.Random, str], str]
) -> dict[str, float]:
    """Searches for titles with one kind of change.

    Args:
        index: to search in.
        rng: draws the changes.
        titles: those looked for.
        change: what is done to each.

    Returns:
        Percentages and latencies. A title counts as found first where the first hit has it, or where it has the first
        hit's score; and as nearer to another title where the first hit has a higher score than it has.
    """
    first, nearer, wall, cpu = 0, 0, [], []
    for title in titles:
        query = change(rng, title)
        start = time.perf_counter(), time.thread_time()
        hits = index.search(query, HITS)
        wall.append(time.perf_counter() - start[0])
        cpu.append(time.thread_time() - start[1])
        best = [hit for hit in hits if hit.score == hits[0].score]
        found = any(fold_title(hit.title) == fold_title(title) for hit in best)
        first += found
        nearer += not found and bool(hits) and hits[0].score > own_score(query, title)
    milliseconds = {"wall": 1000 * np.array(wall), "cpu": 1000 * np.array(cpu)}
    return {
        "searches": len(titles),
        "first": round(100 * first / len(titles), 1),
        "nearer_to_another": round(100 * nearer / len(titles), 1),
        **{f"{name}_median_ms": round(float(np.median(times)), 1) for name, times in milliseconds.items()},
        **{f"{name}_p95_ms": round(float(np.quantile(times, 0.95)), 1) for name, times in milliseconds.items()},
    }


def own_score(query: str, title: str) -> float:
    """The score that a title has for a query, whether it is a hit or not."""
    return round(similarity(fold_title(query), fold_title(title)), 1)


if __name__ == "__main__":
    main()
