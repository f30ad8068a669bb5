"""Writing results so that a crash leaves either the old or the new one, and reading them back.

Covers files and folders written beside their place and renamed, JSON, JSON Lines and tab-separated values. Does not
know what is in them.
"""

import csv
import gzip
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from src.errors import DamagedFileError


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """Yields a path beside `path` to write to; it takes `path`'s place when the block ends without an error."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    partial = final.with_name(f".{final.name}.partial")
    try:
        yield partial
        # On the disk before the rename, or a power failure could leave an empty file under the final name.
        with open(partial, "rb+") as written:
            os.fsync(written.fileno())
        os.replace(partial, final)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """Yields an empty folder beside `path`; it takes `path`'s place when the block ends without an error."""
    final = Path(path)
    partial, old = (final.with_name(f".{final.name}.{state}") for state in ("partial", "old"))
    if old.exists() and not final.exists():  # killed between the two renames below
        os.rename(old, final)
    for leftover in (partial, old):
        shutil.rmtree(leftover, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        set_usual_permissions(partial)
        if final.exists():
            os.rename(final, old)
        os.rename(partial, final)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def set_usual_permissions(folder: Path) -> None:
    """Lets everybody read a folder's files who may read the folder: safetensors writes its own for the owner alone."""
    usual = folder.stat().st_mode & 0o666  # as the umask left it
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(usual)


def write_json(path: str | Path, value: object) -> None:
    """Writes a value as indented JSON in the order of its keys.

    Args:
        path: the file; an older one stays until the new one is complete.
        value: what JSON can hold.

    Raises:
        ValueError: if a number is NaN or infinite, which JSON does not have.
    """
    with atomic_file(path) as partial:
        partial.write_text(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    """The value in a JSON file, which may be packed by gzip (.gz).

    Raises:
        DamagedFileError: if it is not JSON.
    """
    content = Path(path).read_bytes()
    with explained_damage(path):
        return json.loads((gzip.decompress(content) if Path(path).suffix == ".gz" else content).decode("utf-8"))


@contextmanager
def explained_damage(place: object) -> Iterator[None]:
    """Turns what readers raise on a damaged file into a sentence.

    Args:
        place: the file, with the line where one is known.

    Raises:
        DamagedFileError: with the reader's reason.
    """
    try:
        yield
    except (ValueError, RecursionError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DamagedFileError(place, error) from None


def write_jsonl(path: str | Path, rows: Iterable[object]) -> None:
    """Writes one JSON value a line.

    Args:
        path: the file; an older one stays until the new one is complete.
        rows: what JSON can hold, read one by one.
    """
    with atomic_file(path) as partial, open(partial, "w", encoding="utf-8", newline="\n") as lines:
        lines.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def read_jsonl(path: str | Path) -> list[Any]:
    """The values of a JSON Lines file, in order.

    Raises:
        DamagedFileError: naming the first line that is not JSON.
    """
    with open(path, "rb") as lines:
        return [parse_line(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]


def parse_line(line: bytes, place: str) -> Any:
    """The value that a line of JSON holds.

    Args:
        line: in UTF-8.
        place: the file and line that an error names.

    Raises:
        DamagedFileError: if it is not JSON.
    """
    with explained_damage(place):
        return json.loads(line.decode("utf-8"))


def write_tsv(path: str | Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Writes rows as tab-separated values under a header, the form `dvc plots` reads; quoted where they have to be.

    Args:
        path: the file; an older one stays until the new one is complete.
        rows: at least one, all with the same keys.
    """
    with atomic_file(path) as partial, open(partial, "w", encoding="utf-8", newline="") as lines:
        table = csv.writer(lines, delimiter="\t", lineterminator="\n")
        table.writerow(rows[0])
        table.writerows(map(str, row.values()) for row in rows)


def read_tsv(path: str | Path) -> list[dict[str, str]]:
    """The rows of tab-separated values under a header, in order."""
    with open(path, encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))
