"""Parquet in batches, so that no stage holds all records at once, and batches worked on in threads.

Covers writing, reading and the order of both. Same rows in the same batches give the same bytes, however many threads
there are.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import polars as pl
import pyarrow.parquet as pq
from pyarrow import ArrowException

from src.errors import DamagedFileError, UserError
from src.files import atomic_file
from src.progress import progress_bar

TEXTS = ("title", "content")
FIELDS = ("uid", *TEXTS)
RECORDS = dict.fromkeys(FIELDS, pl.String())
# Digests that are equal where texts count as the same: of normalised titles and contents, and of clusters of near
# contents.
KEYS = ("title_key", "content_key", "near_key")
KEYED_RECORDS = RECORDS | dict.fromkeys(KEYS, pl.UInt64())
SPLITS = ("train", "validation", "test")
BATCH_ROWS = 50_000  # about 50 MB of texts, of which one batch more than there are threads is held
Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def parquet_writer(
    path: str | Path, schema: Mapping[str, pl.DataType] = RECORDS, compression: str = "zstd"
) -> Iterator[Callable[[pl.DataFrame], None]]:
    """Yields a function that appends a frame's columns of `schema`; the file takes its place if the block ends well.

    Args:
        path: the file to write.
        schema: its columns; others that a frame has are left out.
        compression: as pyarrow names it.
    """
    arrow = pl.DataFrame(schema=schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema
    waiting: deque[Future[None]] = deque()

    def append(frame: pl.DataFrame) -> None:
        if frame.height:
            if waiting:
                waiting.popleft().result()
            waiting.append(thread.submit(write, frame.select(*schema)))

    def write(frame: pl.DataFrame) -> None:
        writer.write_table(frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(arrow))

    with (
        atomic_file(path) as partial,
        # Neither a dictionary nor the least and greatest value is of use with texts, and both take time.
        pq.ParquetWriter(
            partial, arrow, compression=compression, use_dictionary=False, write_statistics=False
        ) as writer,
        ThreadPoolExecutor(1) as thread,  # so that packing goes on beside the work on the next batch
    ):
        yield append
        if waiting:
            waiting.popleft().result()


def count_rows(path: str | Path) -> int:
    """The rows of a Parquet file.

    Raises:
        UserError: if it is damaged.
    """
    try:
        return int(pq.read_metadata(path).num_rows)
    except ArrowException as error:
        raise DamagedFileError(path, error) from None


def read_batches(
    path: str | Path, columns: Sequence[str] | None = None, label: str = "Reading"
) -> Iterator[pl.DataFrame]:
    """The rows of a Parquet file in order, at most BATCH_ROWS at a time.

    Args:
        path: the file to read.
        columns: those to read; None for all.
        label: the text beside the progress bar: what is done with the rows.

    Raises:
        UserError: if there is no such file, or it is damaged.
    """
    if not Path(path).exists():
        raise UserError(f"{path} is missing: run `dvc repro`, which makes it.")
    try:
        with (
            pq.ParquetFile(path, pre_buffer=False) as file,  # else it keeps the bytes of every row group read so far
            progress_bar(label, file.metadata.num_rows, "records") as bar,
        ):
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                yield pl.DataFrame(batch)
                bar.update(batch.num_rows)
    except (ArrowException, OSError) as error:
        raise DamagedFileError(path, error) from None


def map_in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`function` of each item, in the items' order, computed in as many threads as there are cores.

    Memory is bounded: one item more than there are threads is under way.

    Args:
        function: has to leave Python's lock to other threads to gain from them.
        items: read as they are needed.
    """
    # The cores that this process may use: in a container the machine has more of them.
    workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(workers) as threads:
        for item in items:
            waiting.append(threads.submit(function, item))
            if len(waiting) > workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
