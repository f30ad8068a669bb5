"""The raw records of a file of any kind that is read: JSON Lines, CSV or Parquet, by its first bytes and its name.

Covers the choice of the reader, a folder of such files (shards), and the numbers of records that have no uid. Reading
is the readers' affair: raw.py, tables.py.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import polars as pl

from src.params import DataParams
from src.records import raw, refusals, tables
from src.records.raw import Parsed

PARQUET_MAGIC = b"PAR1"
CSV_NAMES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
REASONS = (*raw.REASONS, *tables.REASONS)  # why a line or a row is malformed
NUMBER_DIGITS = 10  # of a record's number where it stands for the uid, as many as an ASIN has


def read_records(data: DataParams) -> Iterator[Parsed]:
    """The raw records of data.raw, a file or a folder of shards, batch by batch in order.

    Raises:
        UserError: if a file is missing or damaged, or lacks a column.
    """
    path, columns = Path(data.raw), data.columns.model_dump()
    batches = read_shards(path, columns, data.lines) if path.is_dir() else read_file(path, columns, data.lines)
    return batches if data.columns.uid else number_records(batches)


def read_shards(folder: Path, columns: Mapping[str, str], lines: int) -> Iterator[Parsed]:
    """The records of a folder's files, as if they were one file.

    Args:
        folder: data.raw.
        columns: those of uid, title and content.
        lines: how many are read, from the first on; 0 for all.

    Raises:
        UserError: see `read_records`.
    """
    passed = 0
    for path in list_shards(folder):
        begun = passed
        for batch in read_file(path, columns, lines and lines - passed):
            yield replace(batch, rejected=[row | {"line": row["line"] + begun} for row in batch.rejected])
            passed += batch.lines
        if lines and passed >= lines:
            return


def list_shards(folder: Path) -> list[Path]:
    """The files of a folder in the order of their names; those that begin with a dot are none.

    Raises:
        UserError: if there are none.
    """
    found = sorted(path for path in folder.glob("[!.]*") if path.is_file()) if folder.is_dir() else []
    if not found:
        raise refusals.no_shards(folder)
    return found


def read_file(path: Path, columns: Mapping[str, str], lines: int) -> Iterator[Parsed]:
    """The records of a file, batch by batch in order.

    Args:
        path: the file.
        columns: those of uid, title and content.
        lines: how many are read, from the first on; 0 for all.

    Raises:
        UserError: if the file is missing or damaged, or lacks a column.
    """
    if path.name.lower().endswith(CSV_NAMES):
        return tables.read_csv(path, columns, lines)
    if starts_as_parquet(path):
        return tables.read_parquet(path, columns, lines)
    return raw.read_raw(path, lines, columns)


def starts_as_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does; one that is missing does not."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(PARQUET_MAGIC)) == PARQUET_MAGIC


def number_records(batches: Iterable[Parsed]) -> Iterator[Parsed]:
    """The records with their numbers, from 1 on, as uids; malformed lines have none."""
    passed = 0
    for batch in batches:
        numbers = pl.int_range(passed + 1, passed + batch.records.height + 1, eager=True)
        uids = numbers.cast(pl.String).str.zfill(NUMBER_DIGITS).alias("uid")
        yield replace(batch, records=batch.records.with_columns(uids))
        passed += batch.records.height
