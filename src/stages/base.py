"""Puts the model that fine-tuning starts from into models/base, as an immutable input.

It is downloaded from a hub at a pinned revision, copied from a local folder, or the tiny model of src/synthetic, which
is built here so that the pipeline runs anywhere.
"""

from pathlib import Path

from src.files import atomic_folder
from src.models.refusals import check_model
from src.models.sources import copy_model, download_model
from src.numerics import seed_everything
from src.params import BaseParams, Params
from src.stages.runner import run_stage
from src.synthetic.tiny_model import build_tiny_model

BASE = "models/base"


def main(params: Params) -> None:
    """Writes the base model's folder, complete or not at all."""
    with atomic_folder(BASE) as folder:
        write_model(params.base, folder)
        check_model(folder)
    print(f"Base model from {params.base.source} in {BASE}")


def write_model(base: BaseParams, folder: Path) -> None:
    """Writes the files of the model that base.source names.

    Args:
        base: which model, and where it comes from.
        folder: an empty one.

    Raises:
        UserError: if the model cannot be downloaded or its folder does not exist.
    """
    if base.source == "hub":
        download_model(base.repository, base.revision, folder)
    elif base.source == "local":
        copy_model(Path(base.folder), folder)
    else:
        seed_everything(base.seed)
        build_tiny_model(folder, base.pretrain_steps, base.seed)


if __name__ == "__main__":
    run_stage(main)
