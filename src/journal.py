"""A file of rows that are kept as they come, so that what was done before an interruption is not done again.

Covers JSON Lines that are only ever appended to, each row on the disk before the next thing happens. What a killed
process left of its last row is removed. Not for results of stages, which appear complete or not at all: src/files.py.
"""

import json
import os
from pathlib import Path
from threading import Lock
from typing import Any

from src.errors import UserError


class Journal:
    """The rows of a file, in their order, and a way to add one.

    Attributes:
        path: the file; it appears with the first row.
        rows: what it holds.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file, where there is one.

        Raises:
            UserError: naming the first line that is not JSON.
        """
        self.path, self.lock = path, Lock()
        self.rows: list[Any] = read_rows(path) if path.is_file() else []

    def append(self, row: Any) -> None:
        """Adds a row, which is on the disk when this returns; several threads may."""
        line = json.dumps(row, ensure_ascii=False) + "\n"
        with self.lock:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with open(self.path, "ab") as lines:
                lines.write(line.encode())
                lines.flush()
                os.fsync(lines.fileno())
            self.rows.append(row)


def read_rows(path: Path) -> list[Any]:
    """The rows of a file, from which what follows its last line break is removed: a row not written to its end.

    Raises:
        UserError: naming the first line that is not JSON.
    """
    *lines, torn = path.read_bytes().split(b"\n")
    if torn:
        os.truncate(path, path.stat().st_size - len(torn))
    return [parse_row(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]


def parse_row(line: bytes, place: str) -> Any:
    """The row that a line holds.

    Args:
        line: in UTF-8.
        place: the file and line that an error names.

    Raises:
        UserError: if it is not JSON.
    """
    try:
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError):
        raise UserError(f"{place} is damaged: correct that line, or remove it; all others are kept.") from None
