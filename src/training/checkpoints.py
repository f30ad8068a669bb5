"""Checkpoints that can be trusted: what names their folder, which of them is whole, what a full disk leaves.

Covers folders and files. Does not know what is in them: trainer.py writes them.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest, sha256
from pathlib import Path

from src.errors import UserError
from src.files import read_json, write_json
from src.models import processes
from src.params import TrainParams

MANIFEST = "complete.json"  # written last: the size and the SHA-256 of every other file
WITHOUT_EFFECT = {"launcher", "save_steps"}  # parameters that a run may go on with after they changed


def training_fingerprint(inputs: list[Path], train: TrainParams) -> str:
    """A name for all that training depends on: the files in the input folders, the parameters, the processes."""
    together = {"processes": processes.world_size(), "sharded": processes.is_sharded()}
    parameters = train.model_dump(exclude=WITHOUT_EFFECT) | together
    digest = sha256(json.dumps(parameters, sort_keys=True).encode())
    for path in sorted(path for folder in inputs for path in list_files(folder) if "__pycache__" not in path.parts):
        digest.update(path.as_posix().encode() + hash_file(path).encode())
    return digest.hexdigest()[:16]


def list_files(folder: Path) -> Iterator[Path]:
    """All files of a folder and its subfolders."""
    return (path for path in folder.rglob("*") if path.is_file())


def hash_file(path: Path) -> str:
    """A file's SHA-256."""
    with open(path, "rb") as content:
        return file_digest(content, "sha256").hexdigest()


def write_manifest(checkpoint: Path) -> None:
    """Declares a checkpoint whole, after its files have reached the disk."""
    contents = {}
    for path in sorted(list_files(checkpoint)):
        with open(path, "rb+") as written:
            os.fsync(written.fileno())
        contents[path.relative_to(checkpoint).as_posix()] = [path.stat().st_size, hash_file(path)]
    write_json(checkpoint / MANIFEST, contents)


def is_complete(checkpoint: Path) -> bool:
    """Whether every file of a checkpoint is what it was when it was sealed."""
    try:
        contents = read_json(checkpoint / MANIFEST)
        return bool(contents) and all(
            (checkpoint / name).stat().st_size == size and hash_file(checkpoint / name) == digest
            for name, (size, digest) in contents.items()
        )
    except (OSError, ValueError):
        return False


def newest_checkpoint(folder: Path) -> Path | None:
    """The last whole checkpoint-STEP in a folder; those that are not whole are named and removed."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=checkpoint_step, reverse=True):
        if is_complete(checkpoint):
            return checkpoint
        if processes.is_main():
            print(f"{checkpoint} was cut off while it was written, or has changed since: it is not used.")
            shutil.rmtree(checkpoint, ignore_errors=True)
    return None


def checkpoint_step(checkpoint: Path) -> int:
    """The optimiser step after which a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])


@contextmanager
def guarded_write(target: Path, checkpoints: Path) -> Iterator[None]:
    """Removes a folder that cannot be written, and says which step in the folder of checkpoints is left.

    Raises:
        UserError: naming the reason, the room on the disk, and the step that training can go on from.
    """
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:
        shutil.rmtree(target, ignore_errors=True)
        free = shutil.disk_usage(checkpoints).free // 2**20
        raise UserError(
            f"{target} could not be written ({error_reason(error)}; {free} MB are free on that disk): make room, then "
            f"start again: training goes on from step {resume_step(checkpoints)}."
        ) from None


def resume_step(checkpoints: Path) -> int:
    """The step that a run goes on from when it is started again."""
    checkpoint = newest_checkpoint(checkpoints)
    return checkpoint_step(checkpoint) if checkpoint else 0


def error_reason(error: BaseException) -> str:
    """The operating system's words for an error of writing, or the library's first line."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error).splitlines()[0]
