"""The raw records: a table in CSV or Parquet, read in batches into columns, malformed rows set aside.

Covers commas, semicolons and tabs, whichever parts the header into the columns that are named; quoted line breaks; gzip
and zip, as raw.py opens them; integers as uids in Parquet. Does not drop a record for its texts: raw_filters.py does.
"""

import csv
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import polars as pl
import pyarrow.parquet as pq
from pyarrow import ArrowException

from src.progress import progress_bar
from src.records import raw, refusals
from src.records.parquet import BATCH_ROWS, FIELDS, RECORDS
from src.records.raw import LONGEST_LINE_BYTES, MID_LINE, MISSING, NOT_UTF8, SHOWN_CHARS, Parsed

if TYPE_CHECKING:
    import pyarrow as pa

DELIMITERS = (",", ";", "\t")
NOT_CSV, OTHER_FIELDS = "not CSV: wrong quotes", "another number of fields than the header"
REASONS = (NOT_CSV, OTHER_FIELDS)  # beside those of JSON Lines
TEXT_TYPES = ("string", "large_string", "string_view", "null")
ESCAPED = "\udc80", "\udcff"  # what Python decodes bytes to that are no UTF-8, the first and the last

Columns = Mapping[str, str]  # the file's column by the field, "" for a uid that the file does not have


class Row(NamedTuple):
    """A row of a CSV file: its fields, or why they cannot be read."""

    line: int
    """The first of its lines, counted from 1."""
    fields: list[str]
    fault: str = ""


def read_csv(path: Path, columns: Columns, lines: int = 0) -> Iterator[Parsed]:
    """The records of a CSV file in batches, in their order.

    Args:
        path: data.raw; packed or not.
        columns: those of uid, title and content.
        lines: how many rows are read, from the first on; 0 for all.

    Raises:
        UserError: if the file is missing or damaged, or its header lacks a column.
    """
    with raw.open_packed(path) as (packed, size), progress_bar("Reading", size, "bytes") as bar:
        text = text_lines(raw.line_blocks(raw.decompress(packed), path))
        header = next(text, "")
        reader = csv.reader(text, delimiter=find_delimiter(header, columns, path), strict=True)
        names = next(csv.reader([header], delimiter=reader.dialect.delimiter))
        rows = islice(csv_rows(reader, len(names)), lines or None)
        while batch := list(islice(rows, BATCH_ROWS)):
            yield parse_rows(batch, [names.index(columns[field]) if columns[field] else None for field in FIELDS])
            bar.update(packed.tell() - bar.n)


def text_lines(blocks: Iterator[raw.Block]) -> Iterator[str]:
    """The lines of a file as text, with their ends; bytes that are no UTF-8 become lone surrogates."""
    for block in blocks:
        yield from (line.decode("utf-8", "surrogateescape") for line in BytesIO(block.text))


def find_delimiter(header: str, columns: Columns, path: Path) -> str:
    """What parts the header into all of the columns.

    Args:
        header: the file's first line.
        columns: those of uid, title and content.
        path: the file, for the refusal.

    Raises:
        UserError: if nothing does.
    """
    wanted = {column for column in columns.values() if column}
    found = {delimiter: next(csv.reader([header], delimiter=delimiter), []) for delimiter in DELIMITERS}
    for delimiter, names in found.items():
        if wanted <= set(names):
            return delimiter
    raise refusals.missing_columns(path, columns, max(found.values(), key=len))


def csv_rows(reader: Any, width: int) -> Iterator[Row]:
    """The rows after the header, also those that cannot be read.

    Args:
        reader: Python's CSV reader, past the header.
        width: how many fields the header has.
    """
    csv.field_size_limit(LONGEST_LINE_BYTES)
    while True:
        line = reader.line_num + 2  # the header was read before, and lines count from 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(line, [], MID_LINE if "unexpected end" in str(error) else NOT_CSV)
        else:
            yield Row(line, fields, "" if len(fields) in (0, width) else OTHER_FIELDS)


def parse_rows(rows: list[Row], places: list[int | None]) -> Parsed:
    """The records of some rows, malformed ones set aside.

    Args:
        rows: in their order.
        places: of uid, title and content among the fields; None for a uid that the file does not have.
    """
    records, rejected, blank = [], [], 0
    for row in rows:
        texts = ["" if place is None else row.fields[place] for place in places] if row.fields and not row.fault else []
        fault = row.fault or row_fault(texts, places)
        if fault:
            shown = ",".join(row.fields).encode("utf-8", "replace").decode()[:SHOWN_CHARS]
            rejected.append({"line": row.line, "reason": fault, "text": shown})
        elif texts:
            records.append(texts)
        else:
            blank += 1
    frame = pl.DataFrame(records, schema=RECORDS, orient="row")
    cut_off = any(row["reason"] == MID_LINE for row in rejected)
    return Parsed(frame, rejected, len(rows), blank, cut_off)


def row_fault(texts: list[str], places: list[int | None]) -> str:
    """Why the texts of a row make no record; "" where they do, or where there are none.

    Args:
        texts: uid, title and content.
        places: as of `parse_rows`.
    """
    if any(ESCAPED[0] <= letter <= ESCAPED[1] for text in texts if not text.isascii() for letter in text):
        return NOT_UTF8
    return MISSING.format("uid") if texts and places[0] is not None and not texts[0] else ""


def read_parquet(path: Path, columns: Columns, lines: int = 0) -> Iterator[Parsed]:
    """The records of a Parquet file in batches, in their order; a row's number stands for its line.

    Args:
        path: data.raw.
        columns: those of uid, title and content.
        lines: how many rows are read, from the first on; 0 for all.

    Raises:
        UserError: if the file is missing or damaged, or a column is missing or holds no text.
    """
    try:
        file = pq.ParquetFile(path)
        check_schema(file.schema_arrow, columns, path)
        named = [column for column in columns.values() if column]
        left, passed = min(lines or file.metadata.num_rows, file.metadata.num_rows), 0
        with progress_bar("Reading", left, "rows") as bar:
            for batch in file.iter_batches(BATCH_ROWS, columns=named):
                if left <= passed:
                    return
                batch = batch.slice(0, left - passed)
                batch.validate(full=True)  # text that is no UTF-8
                yield parse_batch(batch, columns, passed)
                passed += batch.num_rows
                bar.update(batch.num_rows)
    except (ArrowException, OSError) as error:
        raise refusals.damaged_parquet(path, error) from None


def check_schema(schema: "pa.Schema", columns: Columns, path: Path) -> None:
    """Refuses a Parquet file that lacks a column, or has no text in it.

    Args:
        schema: the file's.
        columns: those of uid, title and content.
        path: the file.

    Raises:
        UserError: naming the columns.
    """
    if not {column for column in columns.values() if column} <= set(schema.names):
        raise refusals.missing_columns(path, columns, schema.names)
    for field, column in columns.items():
        kind = str(getattr(schema.field(column).type, "value_type", schema.field(column).type)) if column else "string"
        whole = field == "uid" and kind.startswith(("int", "uint"))
        refusals.refuse_other_type(path, field, column, kind, kind in TEXT_TYPES or whole)


def parse_batch(batch: "pa.RecordBatch", columns: Columns, passed: int) -> Parsed:
    """The records of a batch, those without a uid set aside; texts that are null are empty.

    Args:
        batch: rows with the columns.
        columns: those of uid, title and content.
        passed: rows before these.
    """
    frame: Any = pl.from_arrow(batch)
    texts = frame.select(
        pl.col(column).cast(pl.String).alias(field) if column else pl.lit("").alias(field)
        for field, column in columns.items()
    ).select(*FIELDS)
    lacking = (texts["uid"].fill_null("") == "") if columns["uid"] else pl.repeat(False, texts.height, eager=True)
    rejected = [
        {"line": passed + row + 1, "reason": MISSING.format("uid"), "text": str(texts["title"][row])[:SHOWN_CHARS]}
        for row in lacking.arg_true().to_list()
    ]
    return Parsed(texts.filter(~lacking).fill_null(""), rejected, texts.height, 0, False)
