"""A file of rows that are kept as they come, so that what was done before an interruption is not done again.

Covers JSON Lines that are only ever appended to, each row on the disk before the next thing happens. What a killed
process left of its last row is removed. Not for results of stages, which appear complete or not at all: src/files.py.
"""

import json
import os
from pathlib import Path
from threading import Lock
from typing import Any

from src.files import read_jsonl


class Journal:
    """The rows of a file, in their order, and a way to add one.

    Attributes:
        path: the file; it appears with the first row.
        rows: what it holds.
    """

    def __init__(self, path: Path) -> None:
        """Reads the file, where there is one.

        Raises:
            DamagedFileError: naming the first line that is not JSON.
        """
        self.path, self.lock = path, Lock()
        if path.is_file():
            remove_torn_row(path)
        self.rows: list[Any] = read_jsonl(path) if path.is_file() else []

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


def remove_torn_row(path: Path) -> None:
    """Removes what follows a file's last line break: a row that was not written to its end."""
    content = path.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        os.truncate(path, whole)
