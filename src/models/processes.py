"""The processes that train.launcher asks for, one a device: starting them, how many there are, which of them this is.

Covers `accelerate launch`, and what it leaves in the environment.
"""

import os
import re
import sys

from src.progress import print_line

LAUNCHED = "SHELFTALK_LAUNCHED"  # set for the processes that were started below: they start no more


def launch(launcher: str, module: str) -> None:
    """Starts a module under accelerate in the place of this process; returns where that is not asked for, or done.

    No shell reads the launcher's words, and they name no program: a params.yaml cannot run a command.

    Args:
        launcher: train.launcher.
        module: the stage's module.
    """
    if not launcher.startswith("accelerate launch ") or "LOCAL_RANK" in os.environ or LAUNCHED in os.environ:
        return
    os.environ[LAUNCHED] = "1"
    options = launcher.split()[2:-1]
    os.execv(sys.executable, [sys.executable, "-m", "accelerate.commands.launch", *options, "-m", module])


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
