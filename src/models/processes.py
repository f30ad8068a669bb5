"""The processes that train.launcher started, one a device: how many there are, and which of them this is.

Covers what `accelerate launch` leaves in the environment. Starts none itself.
"""

import os
import re

from src.progress import print_line


def world_size() -> int:
    """The number of processes that train together; 1 without a launcher."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def global_rank() -> int:
    """This process among all of them, from 0."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """This process among those of its machine, from 0: the number of its GPU."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def launcher_world_size(launcher: str) -> int:
    """The number of processes that a launcher's command starts, over all machines."""
    found = re.search(r"--num[_-]processes[= ](\d+)", launcher)
    return int(found[1]) if found else 1


def is_sharded() -> bool:
    """Whether the model is sharded over the processes, each with a part of every weight (FSDP)."""
    return os.environ.get("ACCELERATE_USE_FSDP", "").lower() == "true"


def is_main() -> bool:
    """Whether this process is the one that prints and writes."""
    return global_rank() == 0


def print_once(line: str) -> None:
    """Prints a line from the main process alone."""
    if is_main():
        print_line(line)
