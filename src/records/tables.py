"""Parquet in batches, so that no stage of the data side holds all records at once.

Covers columns of text. Same rows in the same batches give the same bytes.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from src.files import atomic_file

FIELDS = ("uid", "title", "content")
BATCH_ROWS = 50_000


@contextmanager
def parquet_writer(path: str | Path, columns: Sequence[str] = FIELDS) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Yields a function that appends a frame's text `columns`; the file takes its place if the block ends well."""
    schema = pa.schema([(column, pa.large_string()) for column in columns])

    def append(frame: pl.DataFrame) -> None:
        if frame.height:
            writer.write_table(frame.select(columns).to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema))

    with atomic_file(path) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as writer:
        yield append


def batches(path: str | Path) -> Iterator[pl.DataFrame]:
    """The rows of a Parquet file in order, at most BATCH_ROWS at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_ROWS):
            yield pl.DataFrame(batch)
