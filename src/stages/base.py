"""base: models/base/, the model that fine-tuning starts from

An immutable input: a hub model at a pinned revision, a local folder, or the embedded tiny model, which is built here.
"""

from pathlib import Path

from src.synthetic import tiny_model
from src.files import atomic_folder
from src.models.sources import check, copy, download
from src.numerics import seed_everything
from src.params import Params
from src.stages.runner import run


def main(params: Params) -> None:
    """Fetches, copies or builds the base model."""
    base = params.base
    with atomic_folder("models/base") as folder:
        if base.source == "hub":
            download(base.repository, base.revision, folder)
        elif base.source == "local":
            copy(Path(base.folder), folder)
        else:
            seed_everything(base.seed)
            tiny_model.build(folder, base.pretrain_steps, base.seed)
        check(folder)
    print(f"Base model from {base.source} in models/base")


if __name__ == "__main__":
    run(main)
