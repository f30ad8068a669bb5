"""Why cleaning over shards is refused, in words: what was set, why it fails, what to change."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from src.errors import UserError
from src.params import Params


def check_packages(executor: str) -> None:
    """Refuses to begin without the packages that an executor needs.

    Raises:
        UserError: naming how to install them.
    """
    if find_spec("datatrove") is None:
        raise UserError("datatrove is not installed: run `make extra-datatrove`.")
    if executor == "ray" and find_spec("ray") is None:
        raise UserError("--executor is ray, and Ray is not installed: run `make extra-ray` on every machine.")


def check_shards(shards: Sequence[str], params: Params, output: Path) -> None:
    """Refuses shards that can't be cleaned, and a folder that holds something.

    Args:
        shards: the files.
        params: the section data.
        output: the folder to write.

    Raises:
        UserError: naming what to change.
    """
    if not params.data.columns.uid:
        raise UserError(
            "data.columns.uid is '', which numbers the records of a file: over shards the same numbers would come "
            "again, so name a column of uids."
        )
    if output.exists() and any(output.iterdir()):
        raise UserError(f"{output} holds files already: name another folder, or remove it.")


def check_cluster(executor: str, partition: str) -> None:
    """Refuses Slurm without a partition.

    Args:
        executor: local, slurm or ray.
        partition: what --partition names.

    Raises:
        UserError: naming the option.
    """
    if executor == "slurm" and not partition:
        raise UserError("--executor is slurm, which needs --partition: `sinfo` lists those of your cluster.")
