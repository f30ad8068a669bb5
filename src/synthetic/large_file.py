"""A raw file as large as the published one, for the benchmarks.

Covers the published lengths, empty fields, repeats, flaws and broken lines, in their published shares. Its texts are
pieces of the invented catalogue put together at random: long and various enough to be measured on, not to be read.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from multiprocessing import get_context
from typing import Any

import polars as pl

from src.records.transliterate import to_ascii
from src.synthetic.catalogue import Product, generate_products
from src.synthetic.flaws import Record, inject_flaws
from src.synthetic.published_lengths import CONTENT_CHARS, TITLE_CHARS, draw_lengths
from src.synthetic.raw_file import LABELS, break_lines, make_line

SEED = 1
CHUNK = 20_000  # records made at once; a record repeats one of its chunk, or one of the shelf
WORDY = 5_000  # products of the catalogue whose texts are cut into pieces
PIECE_WORDS = 4
KINDS = ("book", "other")
TYPOGRAPHIC = 0.13  # share of records with characters beyond ASCII, as among old books; entities come on top
MOST_TARGETS = 43  # published: 22 labels a record on average
SHELF = 50  # contents that come back all over the file
REPEATED_TITLES, REPEATED_CONTENTS, NEAR_CONTENTS, SHELVED = 0.03, 0.05, 0.02, 0.01


def generate_lines(records: int, workers: int = 2) -> Iterator[bytes]:
    """The file's lines, some thousands at once; the same ones however many processes make them."""
    chunks = [(number, min(CHUNK, records - start)) for number, start in enumerate(range(0, records, CHUNK))]
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(generate_chunk, chunks)


def generate_chunk(chunk: tuple[int, int]) -> bytes:
    """The lines of one chunk, by its number and size."""
    number, size = chunk
    rng = random.Random(f"{SEED}:{number}")
    records = [Record(product) for product in repeat_products(rng, draw_products(rng, size))]
    inject_flaws(rng, records)
    break_lines(rng, records)
    numbered = enumerate(records, number * CHUNK)
    return b"".join(make_line(raw_form(rng, uid, record), record) + b"\n" for uid, record in numbered)


def raw_form(rng: random.Random, uid: int, record: Record) -> dict[str, Any]:
    """The record with the published file's keys, and as many targets as there."""
    targets = sorted(rng.choices(range(LABELS), k=rng.randint(1, MOST_TARGETS)))
    texts = {"title": record.title, "content": record.content}
    return {"uid": f"{uid:010}", **texts, "target_ind": targets, "target_rel": [1.0] * len(targets)}


def draw_products(rng: random.Random, count: int) -> list[Product]:
    """Products whose titles and contents are random pieces, of the published lengths."""
    found = []
    for title, content in zip(
        draw_lengths(rng, TITLE_CHARS, count), draw_lengths(rng, CONTENT_CHARS, count), strict=True
    ):
        titles, contents = text_pieces(ascii_only=rng.random() >= TYPOGRAPHIC)
        found.append(
            Product(rng.choice(KINDS), join_pieces(rng, titles, title), join_pieces(rng, contents, content), ())
        )
    return found


def join_pieces(rng: random.Random, choice: list[str], chars: int) -> str:
    """Random pieces, cut behind a word at about `chars` characters."""
    text = " ".join(rng.choices(choice, k=chars // 15 + 1))
    return text[: max(1, text.find(" ", chars - 3))] if len(text) > chars else text


@cache
def text_pieces(ascii_only: bool) -> tuple[list[str], list[str]]:
    """Every run of PIECE_WORDS words in the catalogue's titles, and in its contents; plain quotes and dashes or not."""
    catalogue = list(generate_products(SEED, WORDY))
    texts = pl.Series([product.title for product in catalogue]), pl.Series([product.content for product in catalogue])
    titles, contents = (word_runs(to_ascii(text) if ascii_only else text) for text in texts)
    return titles, contents


def word_runs(texts: pl.Series) -> list[str]:
    """Every run of PIECE_WORDS words."""
    words = " ".join(texts).split()
    return [" ".join(words[start : start + PIECE_WORDS]) for start in range(len(words) - PIECE_WORDS)]


def repeat_products(rng: random.Random, found: list[Product]) -> list[Product]:
    """The products, some with an earlier one's title, its content, almost its content, or one from the shelf."""
    shelf = draw_products(random.Random(SEED), SHELF)
    for position in range(1, len(found)):
        here, earlier, place = found[position], found[rng.randrange(position)], rng.random()
        if rng.random() < REPEATED_TITLES:
            here = replace(here, title=earlier.title)
        if place < REPEATED_CONTENTS:
            here = replace(here, content=earlier.content)
        elif place < REPEATED_CONTENTS + NEAR_CONTENTS:
            here = replace(here, content=alter_content(rng, earlier.content))
        elif place < REPEATED_CONTENTS + NEAR_CONTENTS + SHELVED:
            here = replace(here, content=rng.choice(shelf).content)
        found[position] = here
    return found


def alter_content(rng: random.Random, content: str) -> str:
    """The content with one word in another's place."""
    words = content.split()
    words[rng.randrange(len(words))] = rng.choice(words)
    return " ".join(words)
