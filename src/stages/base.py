"""base: models/base/, the model that fine-tuning starts from

An immutable input: a hub model at a pinned revision, a local folder, or the embedded tiny model, which is built here.
"""

from pathlib import Path

from src.files import atomic_folder
from src.models.refusals import check_model
from src.models.sources import copy_model, download_model
from src.numerics import seed_everything
from src.params import Params
from src.stages.runner import run_stage
from src.synthetic import tiny_model


def main(params: Params) -> None:
    """Fetches, copies or builds the base model."""
    base = params.base
    with atomic_folder("models/base") as folder:
        if base.source == "hub":
            download_model(base.repository, base.revision, folder)
        elif base.source == "local":
            copy_model(Path(base.folder), folder)
        else:
            seed_everything(base.seed)
            tiny_model.build_tiny_model(folder, base.pretrain_steps, base.seed)
        check_model(folder)
    print(f"Base model from {base.source} in models/base")


if __name__ == "__main__":
    run_stage(main)
