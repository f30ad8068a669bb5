"""Runs commands that have to end in time, and ends with each whatever it has started.

Covers their output, which goes to a file, and the reason where one fails or takes too long.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from signal import SIGKILL, Signals

TAIL_LINES = 60  # of the output of a command that failed: a traceback, and what libraries print around it


class CommandError(Exception):
    """A command has failed or was not done in time.

    Args:
        lines: the end of its output, and the reason where that cannot tell it.
    """

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))


def run_in_time(
    command: list[str], log: Path, seconds: float, environment: dict[str, str], folder: Path | None = None
) -> None:
    """Runs a command to its end.

    Args:
        command: its words.
        log: the file for what it prints.
        seconds: that it may take.
        environment: its variables.
        folder: in which it runs, if not in this one.

    Raises:
        CommandError: if it fails or takes longer.
    """
    with running(command, log, environment, folder) as process:
        try:
            status = process.wait(max(0, seconds))
        except subprocess.TimeoutExpired:
            raise CommandError(*tail(log), f"not done after {seconds:.0f} s") from None
    if status:
        raise CommandError(*tail(log), *killed_by(status))


@contextmanager
def running(
    command: list[str], log: Path, environment: dict[str, str], folder: Path | None = None
) -> "Iterator[subprocess.Popen[bytes]]":
    """Starts a command, and kills it and all that it has started when the block ends.

    A data worker that is left would hold memory of the GPU. It is a group and no session of its own, since on a machine
    that is lent by the call a session may outlive the call, and disturb the next one.

    Args:
        command: its words.
        log: the file for what it prints.
        environment: its variables.
        folder: in which it runs, if not in this one.

    Yields:
        The process.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # nothing is left of the group
            os.killpg(process.pid, SIGKILL)
        process.wait()


def killed_by(status: int) -> list[str]:
    """What a command's output cannot tell: the signal that ended it, such as where memory is lacking; else nothing."""
    return [f"killed by {Signals(-status).name}"] if status < 0 else []


def tail(log: Path) -> list[str]:
    """The last lines of a command's output."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-TAIL_LINES:] or ["it has printed nothing"]
