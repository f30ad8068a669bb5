"""Searches the index for the titles nearest to a query, in spite of typos, another order of words and missing words.

Covers the choice of candidates by shared trigrams, the rare ones first; their ranking by rapidfuzz; and the command,
which prints the hits with their uids. Reads the index alone, and never writes to it. A query is text and nothing else:
no sign in it has a meaning.

    python -m src.serving.search "oak desk lamp"
    python -m src.serving.search "oak desk lamp" --limit 20 --json
"""

import argparse
import json
import sqlite3
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from textwrap import shorten
from threading import Lock
from urllib.parse import quote

import numpy as np

from src.errors import DamagedFileError, UserError
from src.serving import refusals
from src.serving.trigrams import fold_title, title_trigrams

INDEX = Path("data/index.sqlite")
CANDIDATES = 200  # that are ranked, and the most hits of a search
POSITIONS = 800_000  # that a search reads, at most; 300,000 take half as long and find less of what has typos
# Of each letter that a title has more than the query, where a shared trigram is worth 0.7 to 15. Long titles
# share some with any query: at a tenth of this, of 300 titles searched with typos 93.7% were candidates, not 96.0%.
LETTER_COST = 0.1
SURE_TRIGRAMS = 3  # read however common they are, so that there are candidates for every query
LONGEST_QUERY = 2_000  # characters that count: as long as the longest published title
MAPPED_BYTES = 2**31 - 2**16  # of the file that are mapped into memory rather than copied: as many as SQLite can
# What a damaged file makes reading raise; the last two where a row holds a number in place of a text.
DAMAGE = (sqlite3.DatabaseError, ValueError, IndexError, OverflowError, TypeError, AttributeError)
WHOLE_WORDS = 0.2  # of a score: how much of the query the title has as whole words, not as scattered letters
OTHER_ORDER = 0.9  # of the likeness of letters counts where it needs the words sorted, and they are not the same ones
TEXT_CHARS = 200  # of a hit's text on the terminal


@dataclass(frozen=True)
class Hit:
    """A record that was found.

    Attributes:
        uid: the record's.
        title: as it is in the record.
        score: the similarity of title and query, 0 to 100; 100 for the same words in any order.
        text: the record's description.
    """

    uid: str
    title: str
    score: float
    text: str


class TitleIndex:
    """An index that is open for reading, for any number of threads, which search one after the other.

    Args:
        path: the file that `write_index` wrote.

    Raises:
        UserError: if there is none, or it is damaged.
    """

    def __init__(self, path: Path = INDEX) -> None:
        if not path.is_file():
            raise refusals.missing_index(path)
        self.path, self.lock = path, Lock()
        with self.explained_damage():
            address = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
            self.database = sqlite3.connect(address, uri=True, check_same_thread=False)
            self.database.execute(f"PRAGMA mmap_size={MAPPED_BYTES}")
            [(lengths,)] = self.database.execute("SELECT letters FROM lengths")
            self.lengths = np.frombuffer(lengths, "<u2")

    def search(self, query: str, limit: int = 5, excluded: Collection[str] = ()) -> list[Hit]:
        """The records whose titles are nearest to a query, the nearest first.

        Args:
            query: any text.
            limit: hits, up to CANDIDATES.
            excluded: uids of records that are not wanted, such as the query's own.

        Raises:
            UserError: if the index is damaged.
        """
        query = query[:LONGEST_QUERY]
        with self.lock, self.explained_damage():
            candidates = self.read_titles(self.find_candidates(fold_title(query), CANDIDATES + len(excluded)))
            ranked = rank_titles(query, [row for row in candidates if row[1] not in excluded])
            return [
                Hit(uid, title, round(score, 1), self.read_text(position))
                for score, (position, uid, title) in ranked[:limit]
            ]

    def find_candidates(self, folded: str, count: int) -> list[int]:
        """The positions of the titles that share most trigrams with a query, rare ones counting more.

        Args:
            folded: the query from `fold_title`.
            count: how many, at most.
        """
        shared = np.zeros(len(self.lengths), np.float32)
        for trigram, titles in self.rarest_trigrams(folded):
            shared[self.read_positions(trigram)] += np.log1p(len(self.lengths) / titles)
        found = np.flatnonzero(shared >= max(shared.max(initial=0) / 4, np.finfo(np.float32).tiny))
        if len(found) > count:
            letters_more = np.maximum(self.lengths[found], len(folded)) - len(folded)
            distance = LETTER_COST * letters_more - shared[found]
            found = found[np.argpartition(distance, count)[:count]]
        return np.sort(found).tolist()

    def rarest_trigrams(self, folded: str) -> Iterator[tuple[int, int]]:
        """A query's trigrams with the number of titles that have them, the rarest first, up to POSITIONS titles."""
        wanted = np.unique(title_trigrams([folded])[0]).tolist()
        marks = ", ".join("?" * len(wanted))
        counts = (
            f"SELECT length(positions) / 4 AS titles, trigram FROM trigrams WHERE trigram IN ({marks}) ORDER BY 1, 2"
        )
        read = 0
        for number, (titles, trigram) in enumerate(self.database.execute(counts, wanted).fetchall()):
            read += titles
            if number >= SURE_TRIGRAMS and read > POSITIONS:
                return
            yield trigram, titles

    def read_positions(self, trigram: int) -> np.ndarray:
        """The positions of the titles that have a trigram."""
        [(positions,)] = self.database.execute("SELECT positions FROM trigrams WHERE trigram = ?", (trigram,))
        return np.frombuffer(positions, "<u4")

    def read_titles(self, positions: list[int]) -> list[tuple[int, str, str]]:
        """Position, uid and title of some records, in the order of positions."""
        marks = ", ".join("?" * len(positions))
        rows = f"SELECT position, uid, title FROM titles WHERE position IN ({marks}) ORDER BY position"
        return self.database.execute(rows, positions).fetchall()

    def read_text(self, position: int) -> str:
        """The description of a record."""
        [(content,)] = self.database.execute("SELECT content FROM contents WHERE position = ?", (position,))
        return content

    @contextmanager
    def explained_damage(self) -> Iterator[None]:
        """Turns what reading a damaged index raises into a sentence."""
        try:
            yield
        except DAMAGE as error:
            raise DamagedFileError(self.path, error) from None


def rank_titles(query: str, rows: list[tuple[int, str, str]]) -> list[tuple[float, tuple[int, str, str]]]:
    """Records with their scores, the best first; of equal scores the title most like the query as it was typed.

    Args:
        query: as it was typed.
        rows: position, uid and title of each record.
    """
    from rapidfuzz import fuzz

    folded = fold_title(query)
    scored = [(similarity(folded, fold_title(row[2])), row) for row in rows]
    return sorted(scored, key=lambda one: (-one[0], -fuzz.ratio(query, one[1][2]), one[1][0]))


def similarity(query: str, title: str) -> float:
    """How alike two titles are, 0 to 100: their letters, in the order of the words or sorted, and their whole words.

    Args:
        query: from `fold_title`.
        title: likewise; it may have more words than the query at less cost than other ones.
    """
    asked, held = sort_words(query), sort_words(title)
    if asked == held:
        return 100
    letters = max(compare_letters(query, title), OTHER_ORDER * compare_letters(asked, held))
    return (1 - WHOLE_WORDS) * letters + WHOLE_WORDS * shared_words(query, title)


def shared_words(query: str, title: str) -> float:
    """The share of the query's letters that are in words of the title, 0 to 100; arguments as of `similarity`."""
    held = set(title.split())
    lengths = [(len(word), word in held) for word in query.split()]
    return 100 * sum(length for length, shared in lengths if shared) / max(1, sum(length for length, _ in lengths))


def compare_letters(query: str, title: str) -> float:
    """The mean of the share of the query's letters that the title has, in order, and of rapidfuzz's ratio; 0 to 100.

    Args:
        query: from `fold_title`.
        title: likewise.
    """
    from rapidfuzz import fuzz
    from rapidfuzz.distance import LCSseq

    return 50 * LCSseq.similarity(query, title) / max(1, len(query)) + fuzz.ratio(query, title) / 2


def sort_words(text: str) -> str:
    """A text with its words in alphabetical order."""
    return " ".join(sorted(text.split()))


def print_hits(hits: list[Hit]) -> None:
    """Two lines a hit: score, uid and title, and the beginning of the text."""
    for hit in hits:
        print(f"{hit.score:5.1f}  {hit.uid}  {hit.title}")
        print(f"       {shorten(hit.text, TEXT_CHARS, placeholder=' …')}")


def main() -> None:
    """Searches for the title on the command line."""
    parser = argparse.ArgumentParser(prog="python -m src.serving.search", description="Finds records by their titles.")
    parser.add_argument("title", help="a title, or words of one")
    parser.add_argument("--limit", type=int, default=5, help="hits, at most (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the hits with their whole texts as JSON")
    arguments = parser.parse_args()
    try:
        if not arguments.title.strip():
            raise refusals.empty_title()
        if not 1 <= arguments.limit <= CANDIDATES:
            raise refusals.wrong_limit(arguments.limit, CANDIDATES)
        hits = TitleIndex().search(arguments.title, arguments.limit)
    except UserError as error:
        sys.exit(f"search: {error}")
    if arguments.json:
        print(json.dumps([asdict(hit) for hit in hits], ensure_ascii=False, indent=2))
    else:
        print_hits(hits)


if __name__ == "__main__":
    main()
