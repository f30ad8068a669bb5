"""Writes the index that titles are searched in: one SQLite file with the records, and for each trigram its titles.

Covers any records, in batches: all clean ones, or those of one split. The same records give the same bytes, in every
version of SQLite whose pages are laid out alike. Does not search: search.py does.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from src.files import atomic_file
from src.serving.trigrams import fold_title, title_trigrams

POSITION, LENGTH = np.dtype("<u4"), np.dtype("<u2")  # of a title, as an index holds them
# Titles and contents apart: ranking reads many titles, and the contents of few.
TABLES = """
    CREATE TABLE titles (position INTEGER PRIMARY KEY, uid TEXT NOT NULL, title TEXT NOT NULL);
    CREATE TABLE contents (position INTEGER PRIMARY KEY, content TEXT NOT NULL);
    CREATE TABLE trigrams (trigram INTEGER PRIMARY KEY, positions BLOB NOT NULL);
    CREATE TABLE lengths (letters BLOB NOT NULL);
"""
LONGEST = np.iinfo(LENGTH).max  # characters: longer titles count as this long
PAGE_BYTES = 16_384  # of four times the usual size: lists of positions are long
VERSION_OFFSET, VERSION_BYTES = 96, 4  # where SQLite notes its own version, and reads it never


def write_index(path: str | Path, batches: Iterable[pl.DataFrame]) -> int:
    """Writes an index.

    Args:
        path: the file; an older one stays until the new one is complete.
        batches: records with uid, title and content; their order is the order of positions.

    Returns:
        How many records it holds.
    """
    with atomic_file(path) as partial:
        partial.unlink(missing_ok=True)
        database = sqlite3.connect(partial, isolation_level=None)
        try:
            # Neither journal nor waiting for the disk: a half-written file is thrown away.
            database.executescript(f"PRAGMA page_size={PAGE_BYTES}; PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
            database.executescript(TABLES)
            database.execute("BEGIN")
            count = write_records(database, batches)
            database.execute("COMMIT")
        finally:
            database.close()
        clear_version(partial)
    return count


def write_records(database: sqlite3.Connection, batches: Iterable[pl.DataFrame]) -> int:
    """Writes the records batch by batch, and the trigrams, whose positions are held until then.

    Args:
        database: with empty TABLES.
        batches: records with uid, title and content.

    Returns:
        How many records there are.
    """
    positions: defaultdict[int, bytearray] = defaultdict(bytearray)
    lengths = bytearray()
    count = 0
    for batch in batches:
        uids, titles, contents = (batch[field].to_list() for field in ("uid", "title", "content"))
        numbers = range(count, count + batch.height)
        database.executemany("INSERT INTO titles VALUES (?, ?, ?)", zip(numbers, uids, titles, strict=True))
        database.executemany("INSERT INTO contents VALUES (?, ?)", zip(numbers, contents, strict=True))
        folded = [fold_title(title) for title in titles]
        lengths += np.minimum([len(title) for title in folded], LONGEST).astype(LENGTH).tobytes()
        for trigram, found in group_positions(folded, first=count):
            positions[trigram] += found
        count += batch.height
    rows = ((trigram, positions[trigram]) for trigram in sorted(positions))
    database.executemany("INSERT INTO trigrams VALUES (?, ?)", rows)
    database.execute("INSERT INTO lengths VALUES (?)", [lengths])
    return count


def group_positions(folded: list[str], first: int) -> Iterator[tuple[int, bytes]]:
    """Each trigram of some titles with the positions of those that have it, ascending.

    Args:
        folded: titles of records one behind the other, from `fold_title`.
        first: the position of the first.
    """
    trigrams, owners = title_trigrams(folded)
    pairs = pl.DataFrame({"trigram": trigrams, "position": (owners + first).astype(POSITION)})
    position = pl.col("position")
    once = position.filter(position.shift().ne_missing(position))  # a title's are neighbours within a trigram
    for trigram, found in pairs.group_by("trigram").agg(once).iter_rows():
        yield trigram, np.array(found, POSITION).tobytes()


def clear_version(path: Path) -> None:
    """Removes the version of SQLite from a closed file, so that another version's is the same."""
    with open(path, "rb+") as file:
        file.seek(VERSION_OFFSET)
        file.write(bytes(VERSION_BYTES))
