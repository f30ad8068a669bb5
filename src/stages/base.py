"""Puts the model that fine-tuning starts from into models/base, as an immutable input.

It is downloaded from a hub at a pinned revision, or copied from a local folder: models/embedded holds a small one, so
that the pipeline runs anywhere.
"""

from pathlib import Path

from src.files import atomic_folder
from src.models.base_checks import check_model
from src.models.refusals import odd_token
from src.models.sources import base_origin, copy_model, download_model
from src.params import BaseParams, Params
from src.stages.runner import Outcome, run_stage

BASE = "models/base"


def main(params: Params) -> Outcome:
    """Writes the base model's folder, complete or not at all."""
    with atomic_folder(BASE) as folder:
        write_model(params.base, folder)
        check_model(folder)
        megabytes = sum(path.stat().st_size for path in folder.glob("*.safetensors")) / 1e6
    return Outcome(f"the model of {base_origin(params.base)}, {megabytes:,.0f} MB of weights")


def write_model(base: BaseParams, folder: Path) -> None:
    """Writes the files of the model that base.source names.

    Args:
        base: which model, and where it comes from.
        folder: an empty one.

    Raises:
        UserError: if the model cannot be downloaded, no request can hold the hub's token, the folder does not exist or
            its files have changed.
    """
    if base.source == "hub":
        try:
            download_model(base.repository, base.revision, folder)
        except UnicodeEncodeError:  # before a request is made
            raise odd_token() from None
    else:
        copy_model(Path(base.folder), folder)


if __name__ == "__main__":
    run_stage(main)
