"""Checkpoints that can be trusted: what names their folder, which of them is complete, what a full disk leaves.

Covers folders and files. Does not know what is in them: trainer.py writes them.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from src.errors import UserError
from src.files import read_json, write_json
from src.fingerprints import hash_file, list_files, stage_fingerprint
from src.models import processes
from src.params import Params
from src.training.refusals import disk_advice

STAGE = "train"
# A folder in there for each training, by its fingerprint. On a machine that is taken away it lies elsewhere.
CHECKPOINTS = Path(os.environ.get("SHELFTALK_CHECKPOINTS") or ".checkpoints")
MANIFEST = "complete.json"  # written last: the size and the SHA-256 of every other file
# Training may be resumed after these changed.
WITHOUT_EFFECT = {("train", "launcher"), ("train", "save_steps"), ("train", "report_to")}


def training_fingerprint(params: Params, world_size: int | None = None, sharded: bool | None = None) -> str:
    """A name for everything that training depends on: what dvc.yaml declares for the stage, and the processes.

    Another number of processes, by which the order of records changes, counts too; parameters without effect do not.

    Args:
        params: the parameters of the stage.
        world_size: the processes that train together; None for those that this one is of.
        sharded: whether each has a part of the model; None for what this one has.
    """
    world_size = processes.world_size() if world_size is None else world_size
    sharded = processes.is_sharded() if sharded is None else sharded
    further = {"world_size": world_size, "sharded": sharded}
    return stage_fingerprint(STAGE, params, without_effect=WITHOUT_EFFECT, further=further)


def write_manifest(checkpoint: Path) -> None:
    """Declares a checkpoint complete, after its files have reached the disk."""
    manifest = {}
    for path in sorted(list_files(checkpoint)):
        with open(path, "rb+") as written:
            os.fsync(written.fileno())
        manifest[path.relative_to(checkpoint).as_posix()] = [path.stat().st_size, hash_file(path)]
    write_json(checkpoint / MANIFEST, manifest)


def is_complete(checkpoint: Path) -> bool:
    """Whether every file of a checkpoint is what it was when its manifest was written."""
    try:
        manifest = read_json(checkpoint / MANIFEST)
        return bool(manifest) and all(
            (checkpoint / name).stat().st_size == size and hash_file(checkpoint / name) == digest
            for name, (size, digest) in manifest.items()
        )
    except (OSError, ValueError):
        return False


def newest_checkpoint(folder: Path) -> Path | None:
    """The last complete checkpoint-STEP in a folder; those that are not complete are named and removed."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=checkpoint_step, reverse=True):
        if is_complete(checkpoint):
            return checkpoint
        if processes.is_main():
            print(f"{checkpoint} is incomplete, or has changed since it was written: it is not used.")
            shutil.rmtree(checkpoint, ignore_errors=True)
    return None


def checkpoint_step(checkpoint: Path) -> int:
    """The optimiser step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


@contextmanager
def guarded_write(target: Path, checkpoints: Path) -> Iterator[None]:
    """Removes a folder that cannot be written, and tells from which step training goes on.

    Args:
        target: the folder that is written.
        checkpoints: the folder of the round's checkpoints.

    Raises:
        UserError: naming the reason, the room on the disk, and that step.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(target, ignore_errors=True)
        raise UserError(disk_advice(target, error, resume_step(checkpoints))) from None


def resume_step(checkpoints: Path) -> int:
    """The step that training goes on from when it is started again."""
    checkpoint = newest_checkpoint(checkpoints)
    return checkpoint_step(checkpoint) if checkpoint else 0
