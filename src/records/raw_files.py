"""The raw records of a file of any kind that is read: JSON Lines, CSV or Parquet, by its first bytes and its name.

Covers the choice of the reader, and the numbers of records that have no uid. Reading is the readers' affair: raw.py,
tables.py.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl

from src.params import DataParams
from src.records import raw, tables
from src.records.raw import Parsed

PARQUET_MAGIC = b"PAR1"
CSV_NAMES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
REASONS = (*raw.REASONS, *tables.REASONS)  # why a line or a row is malformed
NUMBER_DIGITS = 10  # of a record's number where it stands for the uid, as many as an ASIN has


def read_records(data: DataParams) -> Iterator[Parsed]:
    """The raw records of data.raw, batch by batch in order.

    Raises:
        UserError: if the file is missing or damaged, or lacks a column.
    """
    path, columns = Path(data.raw), data.columns.model_dump()
    if path.name.lower().endswith(CSV_NAMES):
        batches = tables.read_csv(path, columns, data.lines)
    elif starts_as_parquet(path):
        batches = tables.read_parquet(path, columns, data.lines)
    else:
        batches = raw.read_raw(path, data.lines, columns)
    return batches if data.columns.uid else number_records(batches)


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
