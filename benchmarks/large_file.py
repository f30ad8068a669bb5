"""A raw file as large as the published one.

Covers the published lengths, empty fields, repeats, flaws and malformed lines, in their published shares. Its texts are
pieces of the invented catalogue put together at random: long and varied enough to be measured on, not to be read.
A larger file goes on with the same lines in other words (`retell_lines`), which takes an eighth of the time.
"""

import random
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from shutil import copyfile

import polars as pl
from isal import igzip
from tqdm import tqdm

from benchmarks.published_lengths import CONTENT_CHARS, TITLE_CHARS, draw_lengths
from src.files import atomic_file
from src.records.parquet import map_in_order
from src.records.transliterate import to_ascii
from src.synthetic.catalogue import Product, generate_products
from src.synthetic.flaws import Record, inject_flaws
from src.synthetic.raw_file import LABELS, make_line, mark_malformed, to_raw_record

SEED = 1
EDITION = 2_200_000  # lines made one by one, about as many as the published file has; all further ones retell these
CHUNK = 20_000  # records made at once; a record repeats one of its chunk, or one of the popular contents
CATALOGUE_PRODUCTS = 5_000  # whose texts the pieces are taken from
PIECE_WORDS = 4
PIECE_CHARS = 15  # of a piece with the space after it, at least on average: enough pieces for a length
KINDS = ("book", "other")
TYPOGRAPHIC_SHARE = 0.13  # of records with characters beyond ASCII, as among old books; entities come on top
MOST_TARGETS = 43  # published: 22 labels a record on average
POPULAR_CONTENTS = 50  # contents that come back all over the file, so that some clusters of duplicates are large
EXCHANGED_WORDS = 1_000  # the most frequent ones of four letters or more: a third of all words
KEPT_WORDS = {"edition"}  # of the notes on editions, which a rule has to recognise
REPEATED_TITLE_SHARE, REPEATED_CONTENT_SHARE, NEAR_CONTENT_SHARE, POPULAR_SHARE = 0.03, 0.05, 0.02, 0.01


def write_large_file(path: Path, records: int) -> None:
    """Writes the file, packed by gzip; the same bytes in every run.

    Args:
        path: the file. One of more than EDITION lines begins with those of a file of EDITION lines beside it.
        records: its lines, ten times EDITION at most.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as partial:
        if records <= EDITION:
            write_first_edition(partial, records)
            return
        first = path.with_name(f"{EDITION}.json.gz")
        if not first.exists():
            write_large_file(first, EDITION)
        copyfile(first, partial)
        with partial.open("ab") as file:
            file.writelines(map_in_order(pack_retold, retold_chunks(first, records)))


def write_first_edition(path: Path, records: int) -> None:
    """Writes up to EDITION lines.

    Args:
        path: the file.
        records: its lines.
    """
    progress = tqdm(generate_lines(records), "raw file", total=-(-records // CHUNK), unit="chunk")
    with path.open("wb") as file:
        gzip = subprocess.Popen(["gzip", "-6"], stdin=subprocess.PIPE, stdout=file)
        assert gzip.stdin
        gzip.stdin.writelines(progress)
        gzip.stdin.close()
        gzip.wait()


def retold_chunks(first: Path, records: int) -> Iterator[tuple[int, bytes]]:
    """The lines to be retold, a chunk at a time, each with the number of its edition.

    Args:
        first: the file of EDITION lines.
        records: lines of the whole file.
    """
    with tqdm(desc="raw file", total=records, initial=EDITION, unit="lines") as progress:
        for edition, start in enumerate(range(EDITION, records, EDITION), 1):
            with igzip.open(first) as file:
                left = islice(file, min(EDITION, records - start))
                while lines := list(islice(left, CHUNK)):
                    yield edition, b"".join(lines)
                    progress.update(len(lines))


def pack_retold(chunk: tuple[int, bytes]) -> bytes:
    """The lines of a chunk in the words of its edition, as a member of gzip."""
    return igzip.compress(retell_lines(*chunk), mtime=0)


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


def retell_lines(edition: int, lines: bytes) -> bytes:
    """The lines with other uids and with every frequent word exchanged for another one.

    So no text is near one of another edition, while repeats within the edition stay repeats, and flaws stay flaws.

    Args:
        edition: 1 to 9; each exchanges the words in another way.
        lines: of the first edition.
    """
    words = frequent_words()
    others = words[edition:] + words[:edition]
    text = lines.decode("latin-1").replace('{"uid": "0', f'{{"uid": "{edition}')  # latin-1 keeps malformed bytes
    spaced = ([f" {word} " for word in some] for some in (words, others))
    return str(pl.Series(text.split("\n")).str.replace_many(*spaced).str.join("\n").item()).encode("latin-1")


@cache
def frequent_words() -> list[str]:
    """The words that are exchanged; neighbours are about equally long, so that texts stay so, too."""
    counts = Counter(
        word for piece in text_pieces(True)[1] for word in piece.split() if re.fullmatch("[a-z]{4,}", word)
    )
    words = [word for word, _ in counts.most_common() if word not in KEPT_WORDS][:EXCHANGED_WORDS]
    return sorted(words, key=lambda word: (len(word), word))


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
