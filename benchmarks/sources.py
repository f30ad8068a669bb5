"""Measures which texts get a source: titles and questions about them, and products that no record is of.

Covers the choice of sources in src/serving/questions.py on the test split: asked of an index of all clean records, of
one without the test split's own, and with the words of several titles mixed. Prints the table of docs/serving.md.

    python -m benchmarks.sources
"""

import argparse
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from benchmarks.serving_search import add_typos, drop_words
from src.inference.engine import Sampling
from src.serving.index import write_index
from src.serving.note import ServingNote
from src.serving.questions import prepare_question
from src.serving.search import TitleIndex
from src.serving.trigrams import fold_title

SEED = 1
NOTE = ServingNote("Describe it.", "{title}", Sampling(1), [])  # asks nothing here
QUESTIONS = (
    "What is the {} made of?",
    "Tell me about {}",
    "Is the {} waterproof?",
    "How big is {}?",
    "who wrote {}",
    "Does the {} come with a lid?",
    "Can I put the {} into the dishwasher?",
    "what colour is the {}?",
)

Change = Callable[[random.Random, str], str]


def main() -> None:
    """Builds the indexes, asks, and prints the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.sources", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=Path("data"), help="clean.parquet and split/ (default: %(default)s)"
    )
    data = parser.parse_args().data
    clean, test = pl.read_parquet(data / "clean.parquet"), pl.read_parquet(data / "split" / "test.parquet")
    with TemporaryDirectory() as folder:
        write_index(Path(folder, "all"), [clean])
        write_index(Path(folder, "others"), [clean.filter(~pl.col("uid").is_in(test["uid"].to_list()))])
        everything, others = TitleIndex(Path(folder, "all")), TitleIndex(Path(folder, "others"))
        for line in table(everything, others, test["title"].to_list()):
            print(line)


def table(everything: TitleIndex, others: TitleIndex, titles: list[str]) -> Iterator[str]:
    """The rows of the table.

    Args:
        everything: the index of all records.
        others: the index without the titles.
        titles: of records.
    """
    yield f"| {len(titles)} test titles | typed alone | in a question |"
    yield "|---|---|---|"
    for label, change in THERE.items():
        yield row(label, [measure(everything, titles, change, asking) for asking in (False, True)])
    mixed = mix_words(random.Random(SEED), titles)
    yield row(
        "its record is not there, others like it are", [measure(others, titles, keep, q)[:1] for q in (False, True)]
    )
    yield row("words of several titles", [measure(everything, mixed, keep, q)[:1] for q in (False, True)])


def row(label: str, cells: list[tuple[float, ...]]) -> str:
    """A row: the share with a source, and where it is known, with the right one first."""
    shown = [" / ".join(f"{share:.0%}" for share in shares) for shares in cells]
    return f"| {label} | {' | '.join(shown)} |"


def measure(index: TitleIndex, titles: list[str], change: Change, asking: bool) -> tuple[float, float]:
    """The share of titles that get a source, and of those whose own record is the first one.

    Args:
        index: where sources are searched.
        titles: that are asked for.
        change: what is done to each.
        asking: whether it stands in a question.
    """
    rng = random.Random(SEED)
    named = own = 0
    for title in titles:
        text = rng.choice(QUESTIONS).format(change(rng, title)) if asking else change(rng, title)
        sources = prepare_question(NOTE, index, text).sources
        named += bool(sources)
        own += bool(sources) and fold_title(sources[0].title) == fold_title(title)
    return named / len(titles), own / len(titles)


def keep(_: random.Random, title: str) -> str:
    """A title as it is."""
    return title


def mix_words(rng: random.Random, titles: list[str]) -> list[str]:
    """Titles of the same lengths, each word from the same place of another title."""
    split = [title.split() for title in titles]
    return [
        " ".join(rng.choice([other for other in split if len(other) > at])[at] for at in range(len(words)))
        for words in split
    ]


THERE: dict[str, Change] = {
    "as it is": keep,
    "two typos": add_typos,
    "three words dropped": drop_words,
    "two words dropped, one typo": lambda rng, title: add_typos(rng, drop_words(rng, title, 2), 1),
    "in small letters": lambda _, title: title.lower(),
}


if __name__ == "__main__":
    main()
