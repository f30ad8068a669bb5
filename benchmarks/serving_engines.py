"""Measures other engines at choosing candidates for the search for titles: SQLite's FTS5 and tantivy, both by trigrams.

Only the choice is theirs: an OR of the query's trigrams, the 200 titles of the highest BM25. The ranking, and the file
that titles and texts are read from, are the project's, so that what differs is the choice. Does not install them:
tantivy is measured where `pip install tantivy==0.27.0` was run.

    python -m benchmarks.serving_engines ENGINE INDEX TARGET    # builds, in a process of its own
"""

import shutil
import sqlite3
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.process_usage import measure_command, own_peak_mb
from benchmarks.serving_report import COMPARED
from src.files import read_json, write_json
from src.serving.search import TitleIndex
from src.serving.trigrams import fold_title

if TYPE_CHECKING:
    import tantivy

    from benchmarks.serving_search import Search

CHUNK = 50_000  # titles read at once
SEARCHES = {"tantivy": 500, "fts5": 10}  # of each kind at most: FTS5 takes seconds for one
HEAP_BYTES = 512 * 2**20  # of tantivy's writer, which writes a segment when it is full
TOKENIZER = "trigram"


def measure_engines(path: Path, asked: "dict[str, list[Search]]") -> dict[str, Any]:
    """What each engine that is installed takes to build, and finds.

    Args:
        path: the project's index.
        asked: searches of each kind.
    """
    from benchmarks.serving_search import measure_searches

    found = {}
    for name, engine in ENGINES.items():
        if not engine.installed():
            print(f"{name} is not installed, and not measured.", file=sys.stderr)
            continue
        target = path.with_name(name)
        usage = measure_command(f"python -m benchmarks.serving_engines {name} {path} {target}", Path.cwd())
        build = {"wall_s": usage.wall_s, "cpu_s": usage.cpu_s, **read_json(memory_file(target))}
        few = {kind: asked[kind][: SEARCHES[name]] for kind in COMPARED}
        size = sum(file.stat().st_size for file in [target, *target.glob("**/*")] if file.is_file())
        found[name] = build | {"mb": round(size / 1e6), "searches": measure_searches(engine(path, target), few)}
    return found


def memory_file(target: Path) -> Path:
    """Where the process that builds an index tells its peak memory."""
    return target.with_name(f"{target.name}.json")


def read_titles(index: Path) -> Iterator[tuple[int, str]]:
    """Position and folded title of all records.

    Args:
        index: the project's.
    """
    for position, title in TitleIndex(index).database.execute("SELECT position, title FROM titles ORDER BY position"):
        yield position, fold_title(title)


def split_trigrams(folded: str) -> list[str]:
    """The trigrams of a text, each once, in their order; the text itself where it is shorter."""
    return list(dict.fromkeys(folded[start : start + 3] for start in range(max(1, len(folded) - 2))))


class Fts5Index(TitleIndex):
    """The project's search with candidates from FTS5.

    Args:
        path: the project's index.
        target: what `build` wrote.
    """

    def __init__(self, path: Path, target: Path) -> None:
        super().__init__(path)
        self.fts = sqlite3.connect(target, check_same_thread=False)

    @staticmethod
    def installed() -> bool:
        """Python brings it."""
        return True

    @staticmethod
    def build(index: Path, target: Path) -> None:
        """Indexes all titles without keeping them. With the places of trigrams, which its BM25 counts them by.

        Args:
            index: the project's.
            target: the file to write.
        """
        target.unlink(missing_ok=True)
        database = sqlite3.connect(target, isolation_level=None)
        database.executescript("PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
        database.execute("CREATE VIRTUAL TABLE titles USING fts5(title, content='', tokenize='trigram')")
        database.execute("BEGIN")
        database.executemany("INSERT INTO titles(rowid, title) VALUES (?, ?)", read_titles(index))
        database.execute("COMMIT")

    def find_candidates(self, folded: str, count: int) -> list[int]:
        """The positions of the best titles by BM25.

        Args:
            folded: the query from `fold_title`.
            count: how many, at most.
        """
        either = " OR ".join(f'"{trigram}"' for trigram in split_trigrams(folded))
        rows = "SELECT rowid FROM titles WHERE titles MATCH ? ORDER BY rank LIMIT ?"
        return [position for (position,) in self.fts.execute(rows, (either, count))]


class TantivyIndex(TitleIndex):
    """The project's search with candidates from tantivy.

    Args:
        path: the project's index.
        target: what `build` wrote.
    """

    def __init__(self, path: Path, target: Path) -> None:
        super().__init__(path)
        self.tantivy = self.open(target)
        self.tantivy.reload()
        self.searcher = self.tantivy.searcher()

    @staticmethod
    def installed() -> bool:
        """Whether the wheel is there."""
        return find_spec("tantivy") is not None

    @staticmethod
    def open(target: Path) -> "tantivy.Index":
        """The index in a folder, a new one if there is none."""
        import tantivy

        schema = tantivy.SchemaBuilder()
        schema.add_unsigned_field("position", fast=True, stored=True)
        schema.add_text_field("title", tokenizer_name=TOKENIZER, index_option="freq")
        index = tantivy.Index(schema.build(), path=str(target))
        trigrams = tantivy.TextAnalyzerBuilder(tantivy.Tokenizer.ngram(3, 3, False)).build()
        index.register_tokenizer(TOKENIZER, trigrams)
        return index

    @staticmethod
    def build(index: Path, target: Path) -> None:
        """Indexes all titles without keeping them, and without the places of trigrams in them.

        Args:
            index: the project's.
            target: the folder to write.
        """
        import tantivy

        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        writer, titles = TantivyIndex.open(target).writer(HEAP_BYTES), read_titles(index)
        while chunk := list(islice(titles, CHUNK)):
            for position, title in chunk:
                document = tantivy.Document(title=title)
                document.add_unsigned("position", position)  # a number given by name would be a signed one
                writer.add_document(document)
        writer.commit()
        writer.wait_merging_threads()

    def find_candidates(self, folded: str, count: int) -> list[int]:
        """The positions of the best titles by BM25.

        Args:
            folded: the query from `fold_title`.
            count: how many, at most.
        """
        import tantivy

        schema, either = self.tantivy.schema, tantivy.Occur.Should
        terms = [tantivy.Query.term_query(schema, "title", trigram, "freq") for trigram in split_trigrams(folded)]
        query = tantivy.Query.boolean_query([(either, term) for term in terms])
        hits = self.searcher.search(query, count).hits
        return [self.searcher.doc(address)["position"][0] for _, address in hits]


ENGINES: dict[str, type[TantivyIndex] | type[Fts5Index]] = {"tantivy": TantivyIndex, "fts5": Fts5Index}


if __name__ == "__main__":
    name, index, target = sys.argv[1:]
    ENGINES[name].build(Path(index), Path(target))
    write_json(memory_file(Path(target)), {"peak_mb": own_peak_mb()})
