"""Lists the checkpoints of trainings that did not finish, and removes those that nothing will go on from.

Covers the folders in .checkpoints/. A training that ends removes its own; one that was given up, because other
parameters were tried, leaves it there for the day its parameters are set again.

    python -m src.training.kept_checkpoints                  # list: size, date, last step, whether it would go on
    python -m src.training.kept_checkpoints remove           # all but those that `dvc repro` would go on from now
    python -m src.training.kept_checkpoints remove --all     # those too
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from src.errors import UserError
from src.fingerprints import list_files
from src.models.processes import launcher_world_size
from src.params import params_for_stage
from src.training.checkpoints import CHECKPOINTS, STAGE, checkpoint_step, training_fingerprint
from src.training.choices import current_device, settle_params
from src.training.refusals import unknown_current_training


class KeptTraining(NamedTuple):
    """The folder of a training that did not finish."""

    folder: Path
    bytes: int
    changed: datetime
    steps: int
    """Of the last checkpoint of its last round; 0 where there is none."""
    current: bool
    """Whether training goes on from it with the parameters and inputs as they are."""

    def line(self) -> str:
        """What the list shows of it."""
        use = "goes on with the current parameters" if self.current else "of other parameters or inputs"
        return f"{self.folder}  {self.bytes / 1e6:9,.1f} MB  {self.changed:%Y-%m-%d %H:%M}  step {self.steps:,}  {use}"


def kept_trainings() -> list[KeptTraining]:
    """Every folder of .checkpoints/, the oldest first."""
    folders = [path for path in CHECKPOINTS.glob("*") if path.is_dir()]
    names = current_names() if folders else set()
    return sorted((describe_training(path, path.name in names) for path in folders), key=lambda one: one.changed)


def describe_training(folder: Path, current: bool) -> KeptTraining:
    """What a folder holds.

    Args:
        folder: of a training.
        current: whether training would go on from it.
    """
    files = [path.stat() for path in list_files(folder)]
    newest = max([file.st_mtime for file in files] or [folder.stat().st_mtime])
    rounds = sorted(folder.glob("round-*-steps"), key=lambda path: int(path.name.split("-")[1]))
    steps = [checkpoint_step(path) for path in rounds[-1].glob("checkpoint-*")] if rounds else []
    size = sum(file.st_size for file in files)
    return KeptTraining(folder, size, datetime.fromtimestamp(newest), max(steps, default=0), current)


def current_names() -> set[str]:
    """The names under which training would go on now: sharded or not is known only once its processes run.

    Raises:
        UserError: if an input of training is missing, without which the names are not known.
    """
    asked = params_for_stage(STAGE)
    size = launcher_world_size(asked.train.launcher)
    try:
        params, _ = settle_params(asked, current_device())
        return {training_fingerprint(params, size, sharded) for sharded in (False, True)}
    except OSError as error:
        raise unknown_current_training(error.filename) from None


def remove_trainings(everything: bool) -> Iterator[str]:
    """Removes the folders that training would not go on from, and tells each.

    Args:
        everything: the others too; nothing has to be known about them.
    """
    if everything:
        kept = [path for path in CHECKPOINTS.glob("*") if path.is_dir()]
        chosen = [describe_training(path, current=False) for path in kept]
    else:
        chosen = [one for one in kept_trainings() if not one.current]
    for training in chosen:
        shutil.rmtree(training.folder)
        yield f"removed {training.folder} ({training.bytes / 1e6:,.1f} MB)"
    if not chosen:
        yield f"{CHECKPOINTS} holds nothing to remove."


def main() -> None:
    """The commands `list` and `remove`."""
    parser = argparse.ArgumentParser(
        prog="python -m src.training.kept_checkpoints", description="Lists and removes what trainings left unfinished."
    )
    parser.add_argument("command", nargs="?", choices=["list", "remove"], default="list")
    parser.add_argument("--all", action="store_true", help="remove those too that training would go on from")
    arguments = parser.parse_args()
    try:
        if arguments.command == "remove":
            print(*remove_trainings(arguments.all), sep="\n")
        else:
            print(*([one.line() for one in kept_trainings()] or [f"{CHECKPOINTS} holds no checkpoints."]), sep="\n")
    except UserError as error:
        sys.exit(f"checkpoints: {error}")
    except OSError as error:
        sys.exit(f"checkpoints: {error.filename}: {error.strerror}.")


if __name__ == "__main__":
    main()
