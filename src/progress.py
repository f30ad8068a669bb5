"""What a stage shows while it works: a bar with the time left and the speed, and lines that leave the bar whole.

Covers the terminal alone: a bar counts and gives nothing back, so that no result can depend on it. Where the standard
error is no terminal, as in a log, no bar is shown.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm

COUNTED = "{desc} {percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt}{unit}, {remaining} left"
SPEED, FIGURES = ", {rate_noinv_fmt}", "{postfix}"  # what stands behind the time left
LONG = 10_000  # a total from which on 12.3k is easier to read than 12345

# Of tqdm, read when it is imported: libraries draw bars too, also into logs, and leave them behind when they are full.
QUIET = {"TQDM_LEAVE": ""}
SILENT = {"TQDM_DISABLE": "1"}


def in_terminal() -> bool:
    """Whether somebody can watch a bar."""
    return sys.stderr.isatty()


def library_settings() -> dict[str, str]:
    """The environment under which the bars of libraries go when they are full, and are not drawn in logs."""
    return QUIET if in_terminal() else QUIET | SILENT


def progress_bar(label: str, total: int, unit: str, done: int = 0, figures: bool = False) -> "tqdm[Any]":
    """A bar on the standard error, which goes when it is closed: `with progress_bar(…) as bar: bar.update(count)`.

    Args:
        label: what is done, such as Answering.
        total: how many units there are.
        unit: what is counted, in the plural.
        done: how many were done before.
        figures: whether what `set_postfix_str` sets stands in the place of the speed.
    """
    from tqdm import tqdm

    return tqdm(
        desc=label,
        total=total,
        initial=done,
        unit=f" {unit}",
        unit_scale=total >= LONG,
        bar_format=COUNTED + (FIGURES if figures else SPEED),
        dynamic_ncols=True,
        leave=False,
        disable=None,  # tqdm's word for: where there is no terminal
    )


@contextmanager
def activity(label: str) -> Iterator[None]:
    """Shows what is done in this block, where it cannot be counted; bars of libraries go below it."""
    from tqdm import tqdm

    with tqdm(desc=label, bar_format="{desc} …", leave=False, disable=None):
        yield


def print_line(line: str) -> None:
    """Prints a line above the bars that are shown."""
    from tqdm import tqdm

    tqdm.write(line)
    sys.stdout.flush()


def describe_seconds(seconds: float) -> str:
    """A duration in the two largest of its units."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 1:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
