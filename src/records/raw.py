"""The raw records: an archive or file of JSON Lines, read in blocks into columns, malformed lines set aside.

Covers the published zip, gzip and plain text, told apart by their first bytes; a byte-order mark, CRLF and blank lines;
a truncated file. Nothing is extracted to the disk. Does not drop a record for its texts: raw_filters.py does.

Every line is first compared with PUBLISHED, the form of the published file: what Polars' JSON reader makes of that is
certain. Of other lines it is not: Polars turns numbers and lists into text, missing fields into null, an unpaired
surrogate into NUL, and takes the first of two equal keys. So Python's reader takes those one by one (`normalise_line`).
"""

import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import IO, Any

import polars as pl
from isal import isal_zlib

from src.errors import UserError
from src.progress import progress_bar
from src.records.parquet import FIELDS, RECORDS, map_in_order

BLOCK_BYTES = 8 * 2**20  # large enough to keep a thread busy, small enough for a dozen of them in memory
PIECE_BYTES = 256 * 2**10  # of gzip: inflates to 264 MB at most, at deflate's greatest ratio of 1032
LONGEST_LINE_BYTES = 64 * 2**20  # beyond that it is a file of another kind, which would fill the memory
SHOWN_CHARS = 200  # of a malformed line
ONE_BY_ONE = 100  # lines that Python decodes one by one, where one of them is invalid UTF-8
MEMBERS = ("trn.json.gz", "trn.json")
ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
# Of the ways to pack a member, those that can be unpacked bit by bit; bzip2's blocks grow to gigabytes at once.
BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
GZIP_MAGIC = b"\x1f\x8b"
GZIP_FORMAT = 16 + zlib.MAX_WBITS
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Any, since isal's type stub has its exception class as an instance.
DAMAGE: Any = (EOFError, zlib.error, isal_zlib.error, zipfile.BadZipFile)

# Why a line is malformed, in the order in which metrics list it.
NOT_UTF8, NOT_JSON, NO_OBJECT, UNPAIRED = "invalid UTF-8", "not JSON", "not an object", "unpaired surrogate"
MISSING, NO_TEXT = "{} is missing", "{} is no text"
MID_LINE, MID_GZIP = "the file ends in mid-line", "the file ends in mid-gzip"
REASONS = (
    *(NOT_UTF8, NOT_JSON, NO_OBJECT, UNPAIRED),
    *(reason.format(field) for reason in (MISSING, NO_TEXT) for field in FIELDS),
    *(MID_LINE, MID_GZIP),
)

# A JSON string without an escaped surrogate; pairs of them, which are rare, are left to `normalise_line`.
STRING = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u(?:[0-9abcefABCEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}))*"'
NUMBER = r"(?:0|[1-9][0-9]*)(?:\.[0-9]+)?"
NUMBERS = rf"\[(?:{NUMBER}(?:, ?{NUMBER})*)?\]"
PUBLISHED = (
    rf'^\{{"uid": ?{STRING}, ?"title": ?(?:{STRING}|null), ?"content": ?(?:{STRING}|null)'
    rf'(?:, ?"target_ind": ?{NUMBERS}, ?"target_rel": ?{NUMBERS})?\}}\r?\n$'
)
AS_PUBLISHED = {field: field for field in FIELDS}
TARGETS = b', "target_ind"'  # with its quotes it can't be part of a JSON string


@dataclass(frozen=True)
class Block:
    """Whole lines of the file. The last line of all may lack its newline; if it is malformed, `end` is the reason."""

    text: bytes
    end: str = MID_LINE


@dataclass(frozen=True)
class Parsed:
    """What a block held.

    Attributes:
        records: uid, title and content of each well-formed line.
        rejected: number, reason and beginning of each malformed line.
        lines: how many lines there are.
        blank: how many of them are blank.
        cut_off: whether the file ends too early.
    """

    records: pl.DataFrame
    rejected: list[dict[str, Any]]
    lines: int
    blank: int
    cut_off: bool


def read_raw(path: Path, lines: int = 0, columns: Mapping[str, str] = AS_PUBLISHED) -> Iterator[Parsed]:
    """The raw records of a file, block by block in order, parsed in threads.

    Memory is bounded by the block, not by the file. Of a truncated file, what is there is read.

    Args:
        path: data.raw.
        lines: how many are read, from the first on; 0 for all.
        columns: what the file calls uid, title and content; "" for a uid that it does not have.

    Raises:
        UserError: if the file is missing, damaged, or not an archive of the kind that its name ends in.
    """
    passed = 0
    with open_packed(path) as (packed, size), progress_bar("Reading", size, "bytes") as bar:
        whole = line_blocks(decompress(packed), path)
        for parsed in map_in_order(
            partial(parse_block, columns=columns), whole if lines == 0 else first_lines(whole, lines)
        ):
            yield replace(parsed, rejected=[row | {"line": row["line"] + passed} for row in parsed.rejected])
            passed += parsed.lines
            bar.update(packed.tell() - bar.n)


@contextmanager
def open_packed(path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Opens a file, or the training records inside a zip, as they are packed; with their size in bytes.

    Raises:
        UserError: see `read_raw`; damage found while reading is reported here as well.
    """
    if not path.is_file():
        raise UserError(f"data.raw is {path}, and there is no such file: correct the path, or fetch it (`dvc pull`).")
    try:
        with path.open("rb") as file:
            start = peek_bytes(file, 4)
            if start in ZIP_MAGIC:
                with zipfile.ZipFile(file) as archive, open_member(archive, path) as member:
                    yield member
            elif start and path.suffix.lower() in (".zip", ".gz") and not start.startswith(GZIP_MAGIC):
                raise UserError(
                    f"data.raw: {path} is neither a zip nor gzip, it starts with {start!r}: "
                    "a failed download often is a web page; fetch it again, or name a text file .json."
                )
            else:
                yield file, path.stat().st_size
    except DAMAGE as error:
        found = str(error) or "it holds less than its header states"
        raise UserError(f"data.raw: {path} is damaged ({found}): fetch it again.") from error


@contextmanager
def open_member(archive: zipfile.ZipFile, path: Path) -> Iterator[tuple[IO[bytes], int]]:
    """Opens the training records of the published archive, at any depth; with their size in bytes.

    Args:
        archive: the zip, open.
        path: its file, for messages.

    Raises:
        UserError: if there are none, or several, or they are encrypted or packed in a way that Python can't read.
    """
    files = [entry for entry in archive.infolist() if not entry.is_dir()]
    found = [entry for entry in files if PurePosixPath(entry.filename).name in MEMBERS]
    if len(found) != 1:
        held = ", ".join(entry.filename for entry in (found or files)[:20]) or "nothing"
        wanted = "just one" if found else "one"
        raise UserError(f"data.raw: {path} holds {held}: it needs {wanted} file {' or '.join(MEMBERS)}.")
    if found[0].compress_type not in BOUNDED:
        packed = {zipfile.ZIP_BZIP2: "bzip2", zipfile.ZIP_LZMA: "lzma"}.get(found[0].compress_type, "another method")
        raise UserError(
            f"data.raw: {path}: {found[0].filename} is packed by {packed}, which could fill the memory when it is "
            "read: unpack it and set that file."
        )
    try:
        member = archive.open(found[0])
    except (RuntimeError, NotImplementedError) as error:
        name = found[0].filename
        raise UserError(f"data.raw: {path}: {name} can't be read ({error}): unpack it and set that file.") from error
    with member:
        yield member, found[0].file_size


def peek_bytes(file: IO[bytes], size: int) -> bytes:
    """A file's first bytes; it is left at its beginning.

    Args:
        file: one at its beginning.
        size: how many bytes, or fewer where it is shorter.
    """
    start = file.read(size)
    file.seek(0)
    return start


class CutOffError(Exception):
    """The file ends within gzip."""


def decompress(packed: IO[bytes]) -> Iterator[bytes]:
    """The bytes of a file, inflated if it is gzip, in pieces of any size."""
    pieces = iter(partial(packed.read, PIECE_BYTES), b"")
    return inflate_gzip(pieces) if peek_bytes(packed, 2) == GZIP_MAGIC else pieces


def inflate_gzip(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of one gzip member after the other; zeros that pad them are skipped, as gzip does.

    Raises:
        CutOffError: if the last member has no end; everything before has been yielded.
        isal_zlib.error: if a member is damaged, its checksum is wrong, or what follows it is not gzip.
    """
    member = None
    for piece in pieces:
        while piece:
            if member is None and not (piece := piece.lstrip(b"\0")):
                break
            member = member or isal_zlib.decompressobj(GZIP_FORMAT)
            yield member.decompress(piece)
            piece = member.unused_data
            if member.eof:
                member = None
    if member:
        raise CutOffError


def line_blocks(pieces: Iterable[bytes], path: Path) -> Iterator[Block]:
    """Whole lines, up to BLOCK_BYTES at a time, or one that is longer; a byte-order mark is left out.

    The blocks do not depend on where one piece ends and the next begins.

    Args:
        pieces: the bytes of the file.
        path: the file, for messages.

    Raises:
        UserError: if a line is so long that the file can't be JSON Lines.
    """
    held, mark, end = bytearray(), BYTE_ORDER_MARK, MID_LINE
    try:
        for piece in pieces:
            held += piece
            while size := block_size(held):
                yield Block(bytes(held[:size]).removeprefix(mark))
                del held[:size]
                mark = b""
            if len(held) > LONGEST_LINE_BYTES:
                raise UserError(
                    f"data.raw: {path} has a line of over {LONGEST_LINE_BYTES} bytes: it is not a JSON Lines file."
                )
    except CutOffError:
        end = MID_GZIP
    yield Block(bytes(held).removeprefix(mark), end)


def block_size(held: bytearray) -> int:
    """How many of the bytes held make a block; 0 if more are needed to tell."""
    if len(held) < BLOCK_BYTES:
        return 0
    return held.rfind(b"\n", 0, BLOCK_BYTES) + 1 or held.find(b"\n", BLOCK_BYTES) + 1


def first_lines(whole: Iterable[Block], lines: int) -> Iterator[Block]:
    """The first lines of a file.

    Args:
        whole: all of its blocks, read no further than needed.
        lines: how many, 1 or more.
    """
    for block in whole:
        count = block.text.count(b"\n")
        if count >= lines:
            yield Block(b"".join(islice(BytesIO(block.text), lines)))
            return
        yield block
        lines -= count


def parse_block(block: Block, columns: Mapping[str, str] = AS_PUBLISHED) -> Parsed:
    """The records of a block, malformed lines set aside with their number in the block, counted from 1.

    Args:
        block: whole lines.
        columns: what the file calls uid, title and content.
    """
    lines, rejected, blank = BytesIO(block.text).readlines(), [], 0
    for index in unpublished_lines(lines) if columns == AS_PUBLISHED else range(len(lines)):
        line, lines[index] = lines[index], b""
        if not line.strip():
            blank += 1
            continue
        try:
            lines[index] = normalise_line(line, block.end, columns)
        except ValueError as error:
            shown = line[: 4 * SHOWN_CHARS].decode("utf-8", "replace").strip()[:SHOWN_CHARS]
            rejected.append({"line": index + 1, "reason": str(error), "text": shown})
    cut_off = block.end == MID_GZIP or any(row["reason"] == MID_LINE for row in rejected)
    return Parsed(read_columns(lines), rejected, len(lines), blank, cut_off)


def unpublished_lines(lines: list[bytes]) -> pl.Series:
    """Which lines are not of the PUBLISHED form."""
    return (~decode_lines(pl.Series(lines, dtype=pl.Binary)).str.contains(PUBLISHED).fill_null(False)).arg_true()


def decode_lines(lines: pl.Series) -> pl.Series:
    """The lines decoded, null where one is invalid UTF-8."""
    try:
        return lines.cast(pl.String)
    except pl.exceptions.ComputeError:  # which does not name the line: it is in one of the halves
        if len(lines) <= ONE_BY_ONE:
            return pl.Series([decode_line(line) for line in lines], dtype=pl.String)
    middle = len(lines) // 2
    return pl.concat([decode_lines(lines[:middle]), decode_lines(lines[middle:])], rechunk=False)


def decode_line(line: bytes) -> str | None:
    """A line's text, or None if it is invalid UTF-8."""
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        return None


def read_columns(lines: list[bytes]) -> pl.DataFrame:
    """The records of lines of the PUBLISHED form; the targets are removed first, which takes a third of the time."""
    heads = [line.rpartition(TARGETS)[0] or line.rstrip(b"}\r\n") for line in lines if line]
    texts = pl.read_ndjson(b"}\n".join([*heads, b""]), schema=RECORDS)
    return texts.with_columns(pl.col("title", "content").fill_null(""))


def normalise_line(line: bytes, unfinished: str, columns: Mapping[str, str] = AS_PUBLISHED) -> bytes:
    """A good line of another form in the PUBLISHED form, its targets left out; null becomes the empty text.

    Args:
        line: with its newline, which only the last one may lack.
        unfinished: the reason to give if the line lacks its end.
        columns: what the line calls uid, title and content.

    Raises:
        ValueError: with the reason why the line is malformed.
    """
    try:
        record = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        reason = NOT_UTF8 if isinstance(error, UnicodeDecodeError) else NOT_JSON
        raise ValueError(reason if line.endswith(b"\n") else unfinished) from None
    if not isinstance(record, dict):
        raise ValueError(NO_OBJECT)
    texts = {field: text_field(record, field, column) for field, column in columns.items()}
    try:
        return json.dumps(texts, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(UNPAIRED) from None


def text_field(record: dict[str, Any], field: str, column: str) -> str:
    """A field's text, empty where a title or content is null, or where the file has no uids.

    Args:
        record: the JSON object of a line.
        field: one of FIELDS.
        column: what the line calls it.

    Raises:
        ValueError: with the reason if the field is missing or not text.
    """
    if not column:
        return ""
    if column not in record:
        raise ValueError(MISSING.format(field))
    value = record[column]
    if value is None and field != "uid":
        return ""
    if not isinstance(value, str):
        raise ValueError(NO_TEXT.format(field))
    return value
