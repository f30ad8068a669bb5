"""A raw file as large as the published one.

Covers the published lengths, empty fields, repeats, flaws and malformed lines, in their published shares. Its texts are
pieces of the invented catalogue put together at random: long and varied enough to be measured on, not to be read.
"""

import random
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from multiprocessing import get_context

import polars as pl

from benchmarks.published_lengths import CONTENT_CHARS, TITLE_CHARS, draw_lengths
from src.records.transliterate import to_ascii
from src.synthetic.catalogue import Product, generate_products
from src.synthetic.flaws import Record, inject_flaws
from src.synthetic.raw_file import LABELS, make_line, mark_malformed, to_raw_record

SEED = 1
CHUNK = 20_000  # records made at once; a record repeats one of its chunk, or one of the popular contents
CATALOGUE_PRODUCTS = 5_000  # whose texts the pieces are taken from
PIECE_WORDS = 4
PIECE_CHARS = 15  # of a piece with the space after it, at least on average: enough pieces for a length
KINDS = ("book", "other")
TYPOGRAPHIC_SHARE = 0.13  # of records with characters beyond ASCII, as among old books; entities come on top
MOST_TARGETS = 43  # published: 22 labels a record on average
POPULAR_CONTENTS = 50  # contents that come back all over the file, so that some clusters of duplicates are large
REPEATED_TITLE_SHARE, REPEATED_CONTENT_SHARE, NEAR_CONTENT_SHARE, POPULAR_SHARE = 0.03, 0.05, 0.02, 0.01


def generate_lines(records: int, workers: int = 2) -> Iterator[bytes]:
    """Generates the file, the same bytes from any number of processes.

    Args:
        records: lines of the file.
        workers: processes that make them.

    Yields:
        The lines of one chunk after the other.
    """
    chunks = [(number, min(CHUNK, records - start)) for number, start in enumerate(range(0, records, CHUNK))]
    with get_context("spawn").Pool(workers) as pool:
        yield from pool.imap(generate_chunk, chunks)


def generate_chunk(chunk: tuple[int, int]) -> bytes:
    """The lines of one chunk, by its number and size."""
    number, size = chunk
    rng = random.Random(f"{SEED}:{number}")  # of its own, so that processes need not wait for each other
    records = [Record(product) for product in repeat_products(rng, draw_products(rng, size))]
    inject_flaws(rng, records)
    mark_malformed(rng, records)
    numbered = enumerate(records, number * CHUNK)
    raw = ((to_raw_record(f"{number:010}", record, draw_targets(rng)), record) for number, record in numbered)
    return b"".join(make_line(line, record) + b"\n" for line, record in raw)


def draw_targets(rng: random.Random) -> list[int]:
    """As many labels as published records have."""
    return rng.choices(range(LABELS), k=rng.randint(1, MOST_TARGETS))


def draw_products(rng: random.Random, count: int) -> list[Product]:
    """Draws products whose titles and contents are random pieces, of the published lengths.

    Args:
        rng: draws them.
        count: how many.

    Returns:
        The products, which follow no outline.
    """
    title_lengths = draw_lengths(rng, TITLE_CHARS, count)
    content_lengths = draw_lengths(rng, CONTENT_CHARS, count)
    return [draw_product(rng, *lengths) for lengths in zip(title_lengths, content_lengths, strict=True)]


def draw_product(rng: random.Random, title_chars: int, content_chars: int) -> Product:
    """Draws one product of random pieces.

    Args:
        rng: draws them.
        title_chars: the title's length, about.
        content_chars: the content's length, about.

    Returns:
        The product.
    """
    titles, contents = text_pieces(ascii_only=rng.random() >= TYPOGRAPHIC_SHARE)
    kind = rng.choice(KINDS)
    return Product(kind, join_pieces(rng, titles, title_chars), join_pieces(rng, contents, content_chars))


def join_pieces(rng: random.Random, pieces: list[str], chars: int) -> str:
    """Joins random pieces.

    Args:
        rng: draws them.
        pieces: to draw from.
        chars: of the text, about: it ends after a word.

    Returns:
        The text.
    """
    text = " ".join(rng.choices(pieces, k=chars // PIECE_CHARS + 1))
    return text[: max(1, text.find(" ", chars - 3))] if len(text) > chars else text


@cache
def text_pieces(ascii_only: bool) -> tuple[list[str], list[str]]:
    """Every run of PIECE_WORDS words in the catalogue's titles, and in its contents; plain quotes and dashes or not."""
    catalogue = list(generate_products(SEED, CATALOGUE_PRODUCTS))
    texts = pl.Series([product.title for product in catalogue]), pl.Series([product.content for product in catalogue])
    titles, contents = (word_runs(to_ascii(text) if ascii_only else text) for text in texts)
    return titles, contents


def word_runs(texts: pl.Series) -> list[str]:
    """Every run of PIECE_WORDS words."""
    words = " ".join(texts).split()
    return [" ".join(words[start : start + PIECE_WORDS]) for start in range(len(words) - PIECE_WORDS)]


def repeat_products(rng: random.Random, products: list[Product]) -> list[Product]:
    """Gives some products an earlier one's title, its content, almost its content, or a popular content.

    Args:
        rng: draws which.
        products: changed in place.

    Returns:
        The same list.
    """
    popular = draw_products(random.Random(SEED), POPULAR_CONTENTS)
    for position in range(1, len(products)):
        product, earlier, share = products[position], products[rng.randrange(position)], rng.random()
        if rng.random() < REPEATED_TITLE_SHARE:
            product = replace(product, title=earlier.title)
        if share < REPEATED_CONTENT_SHARE:
            product = replace(product, content=earlier.content)
        elif share < REPEATED_CONTENT_SHARE + NEAR_CONTENT_SHARE:
            product = replace(product, content=alter_content(rng, earlier.content))
        elif share < REPEATED_CONTENT_SHARE + NEAR_CONTENT_SHARE + POPULAR_SHARE:
            product = replace(product, content=rng.choice(popular).content)
        products[position] = product
    return products


def alter_content(rng: random.Random, content: str) -> str:
    """Replaces one word of a content by another one of it.

    Args:
        rng: draws them.
        content: of one word or more.

    Returns:
        The content, nearly the same.
    """
    words = content.split()
    words[rng.randrange(len(words))] = rng.choice(words)
    return " ".join(words)
