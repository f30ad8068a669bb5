"""A terminal for tests: what programs write to it, and what it shows in the end.

Covers the few signs that progress bars move the cursor by.
"""

import fcntl
import os
import pty
import re
import struct
import termios
from threading import Thread

UP = "\x1b[A"


class Terminal:
    """A pseudo-terminal; `file` is what a program under test gets as its standard error, or as all its streams."""

    def __init__(self, width: int) -> None:
        self._ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, width, 0, 0))
        self.file = os.fdopen(theirs, "w", encoding="utf-8")
        self._written = b""
        self._reader = Thread(target=self._read)  # beside the program, which would wait for a full terminal
        self._reader.start()

    def _read(self) -> None:
        try:
            while data := os.read(self._ours, 65536):
                self._written += data
        except OSError:  # what Linux says once nobody writes any more
            pass

    def output(self) -> str:
        """Everything that was written; closes the terminal."""
        self.file.close()
        self._reader.join()
        os.close(self._ours)
        return self._written.decode()


def frames(output: str) -> list[str]:
    """What stood in some line at some time."""
    return [frame.strip() for frame in re.split(r"\r|\n|" + re.escape(UP), output)]


def screen(output: str) -> list[str]:
    """The lines that are left in the end: a carriage return goes back to a line's start, where it is overwritten."""
    shown: list[list[str]] = [[]]
    line = column = 0
    for sign in re.findall(rf"{re.escape(UP)}|\r|\n|.", output):
        if sign == UP:
            line -= 1
        elif sign == "\r":
            column = 0
        elif sign == "\n":
            line += 1
            shown += [[]] * (line == len(shown))
        else:
            shown[line] = [
                *shown[line][:column],
                *[" "] * (column - len(shown[line])),
                sign,
                *shown[line][column + 1 :],
            ]
            column += 1
    return [text for text in ("".join(signs).rstrip() for signs in shown) if text]
