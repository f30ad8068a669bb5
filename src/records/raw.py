"""The raw records: an archive or file of JSON Lines, read in blocks into columns, malformed lines set aside.

Covers the published zip, gzip and plain text, told apart by their first bytes; a byte-order mark, CRLF and blank lines.
Nothing is extracted to the disk. Does not judge the texts: `triage` alone looks at their length.
"""

import gzip
import io
import json
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import polars as pl

from src.errors import UserError
from src.records.tables import FIELDS

BLOCK_BYTES = 16 * 2**20
LONGEST_LINE_BYTES = 64 * 2**20
SHOWN_CHARS = 200
MEMBERS = ("trn.json.gz", "trn.json")
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
GZIP_MAGIC = b"\x1f\x8b"
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile)
Stream = IO[bytes] | gzip.GzipFile
SCHEMA = dict.fromkeys(FIELDS, pl.String)


@dataclass(frozen=True)
class Parsed:
    """What a block of lines held: records, malformed lines, and how many lines there were and how many were blank."""

    records: pl.DataFrame
    rejected: list[dict[str, Any]]
    lines: int
    blank: int


def read(path: Path) -> Iterator[Parsed]:
    """The raw records of a file, block by block in order; memory is bounded by the block, not by the file.

    Raises:
        UserError: if the file is missing, damaged, cut short, or is no archive of the kind its name says.
    """
    line = 1
    with open_lines(path) as stream:
        for block in blocks(stream, path):
            parsed = parse(block, line)
            yield parsed
            line += parsed.lines


@contextmanager
def open_lines(path: Path) -> Iterator[Stream]:
    """Opens the JSON Lines inside a file, whatever they are packed in.

    Raises:
        UserError: see `read`; damage found while reading is reported here as well.
    """
    if not path.is_file():
        raise UserError(f"data.raw is {path}, and there is no such file: correct the path, or fetch it (`dvc pull`).")
    try:
        with path.open("rb") as file, unpack(file, path) as stream:
            yield stream
    except DAMAGE as error:
        raise UserError(
            f"data.raw: {path} is damaged or cut short ({error}): fetch it again. The last good result stays."
        ) from error


@contextmanager
def unpack(file: Stream, path: Path) -> Iterator[Stream]:
    """The text inside a zip, inside gzip, or the file itself; its first bytes decide, not its name."""
    start = file.read(4)
    file.seek(0)
    if start in ZIP_MAGIC:
        with zipfile.ZipFile(file) as archive:
            name = member_name(archive, path)
            with open_member(archive, name, path) as member, unpack(member, path / name) as stream:
                yield stream
    elif start.startswith(GZIP_MAGIC):
        yield gzip.GzipFile(fileobj=file)
    elif start and path.suffix.lower() in (".zip", ".gz"):
        raise UserError(
            f"data.raw: {path} is neither a zip nor gzip, it starts with {start!r}: "
            "a failed download often is a web page; fetch it again, or name a text file .json."
        )
    else:
        yield file


def member_name(archive: zipfile.ZipFile, path: Path) -> str:
    """The training records of the published archive, at whatever depth they lie.

    Raises:
        UserError: if there are none, or several.
    """
    names = [entry.filename for entry in archive.infolist() if not entry.is_dir()]
    found = [name for name in names if PurePosixPath(name).name in MEMBERS]
    if len(found) != 1:
        held = ", ".join((found or names)[:20]) or "nothing"
        wanted = "just one" if found else "one"
        raise UserError(f"data.raw: {path} holds {held}: it needs {wanted} file {' or '.join(MEMBERS)}.")
    return found[0]


def open_member(archive: zipfile.ZipFile, name: str, path: Path) -> IO[bytes]:
    """Opens a file of an archive.

    Raises:
        UserError: if it is encrypted, or packed in a way that Python can't read.
    """
    try:
        return archive.open(name)
    except (RuntimeError, NotImplementedError) as error:
        raise UserError(f"data.raw: {path}: {name} can't be read ({error}): unpack it and set that file.") from error


def blocks(stream: Stream, path: Path) -> Iterator[bytes]:
    """Whole lines, about BLOCK_BYTES at a time; a byte-order mark is left out.

    Raises:
        UserError: if a line is so long that the file can't be JSON Lines.
    """
    rest = stream.read(len(BYTE_ORDER_MARK)).removeprefix(BYTE_ORDER_MARK)
    while piece := stream.read(BLOCK_BYTES):
        head, newline, tail = (rest + piece).rpartition(b"\n")
        if newline:
            yield head + newline
        if len(tail) > LONGEST_LINE_BYTES:
            raise UserError(
                f"data.raw: {path} has a line of over {LONGEST_LINE_BYTES} bytes: it is no JSON Lines file."
            )
        rest = tail
    if rest:
        yield rest


def parse(block: bytes, first_line: int) -> Parsed:
    """The records of a block of lines: at once where all is well, line by line where it is not."""
    lines = block.count(b"\n") + (not block.endswith(b"\n"))
    records = parse_fast(block, lines)
    return Parsed(records, [], lines, 0) if records is not None else parse_lines(block, first_line)


def parse_fast(block: bytes, lines: int) -> pl.DataFrame | None:
    """The records of a block through Polars' reader, or None unless every line surely is a good record."""
    if any(block.count(f'"{field}": "'.encode()) + block.count(f'"{field}":"'.encode()) != lines for field in FIELDS):
        return None  # Polars would turn numbers, lists and objects into text
    try:
        records = pl.read_ndjson(io.BytesIO(block), schema=SCHEMA)
    except pl.exceptions.PolarsError:
        return None
    # Polars reads a missing field as null and half a surrogate pair as NUL.
    doubtful = pl.any_horizontal(pl.all().is_null() | pl.all().str.contains("\0", literal=True))
    return records if records.height == lines and not records.select(doubtful.any()).item() else None


def parse_lines(block: bytes, first_line: int) -> Parsed:
    """The records of a block, each line on its own, malformed ones set aside with their number and the reason."""
    records, rejected, blank = [], [], 0
    lines = io.BytesIO(block).readlines()
    for number, line in enumerate(lines, first_line):
        if not line.strip():
            blank += 1
            continue
        try:
            records.append(parse_line(line))
        except ValueError as error:
            shown = line[: 4 * SHOWN_CHARS].decode("utf-8", "replace").strip()[:SHOWN_CHARS]
            rejected.append({"line": number, "reason": str(error), "text": shown})
    return Parsed(pl.DataFrame(records, schema=SCHEMA, orient="row"), rejected, len(lines), blank)


def parse_line(line: bytes) -> tuple[str, ...]:
    """The uid, title and content of one line.

    Raises:
        ValueError: with the reason why the line is malformed.
    """
    try:
        record = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("invalid UTF-8") from None
    except (ValueError, RecursionError):
        raise ValueError("not JSON" if line.endswith(b"\n") else "not JSON: the file ends in mid-line") from None
    if not isinstance(record, dict):
        raise ValueError("not an object")
    return tuple(text_of(record, field) for field in FIELDS)


def text_of(record: dict[str, Any], field: str) -> str:
    """A field's text.

    Raises:
        ValueError: with the reason if the field is missing or no valid text.
    """
    if field not in record:
        raise ValueError(f"{field} is missing")
    value = record[field]
    if not isinstance(value, str):
        raise ValueError(f"{field} is no text")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{field} holds half a surrogate pair")
    return value


def triage(records: pl.DataFrame, min_title_chars: int, min_content_chars: int) -> pl.DataFrame:
    """Adds the column `verdict`: empty_title, empty_content, too_short or kept, by the stripped texts' lengths."""
    title, content = (pl.col(field).str.strip_chars().str.len_chars() for field in ("title", "content"))
    verdict = (
        pl.when(title == 0)
        .then(pl.lit("empty_title"))
        .when(content == 0)
        .then(pl.lit("empty_content"))
        .when((title < min_title_chars) | (content < min_content_chars))
        .then(pl.lit("too_short"))
        .otherwise(pl.lit("kept"))
    )
    return records.with_columns(verdict=verdict)
