"""train: data/prompts/, models/base/ -> models/adapter/, metrics/train.json, plots/train/

QLoRA on the answers alone. An interrupted run resumes from .checkpoints/, in a folder named after what it depends on.
"""

import shutil
from pathlib import Path
from typing import Any

from src.files import atomic_folder, read_json, read_jsonl, write_json, write_tsv
from src.models import backends
from src.models.adapter import save_adapter
from src.models.training import fingerprint, fit, prove, speed
from src.numerics import seed_everything
from src.params import Params
from src.prompts.encoding import encode, load_tokenizer, rows
from src.stages.runner import run

BASE, PROMPTS = Path("models/base"), Path("data/prompts")


def main(params: Params) -> dict[str, Any]:
    """Trains an adapter and proves it."""
    train = params.train
    backend = backends.get(train.backend)
    audit = read_json("metrics/audit.json")
    tokenizer = load_tokenizer(BASE, params.format.template)
    records = {split: read_jsonl(PROMPTS / f"{split}.jsonl") for split in ("train", "validation")}
    records["validation"] = records["validation"][: train.eval_records or None]
    packed = {
        split: rows([encode(tokenizer, record, train.max_length) for record in chosen], train.max_length, train.packing)
        for split, chosen in records.items()
    }
    checkpoints = Path(".checkpoints") / fingerprint([BASE, PROMPTS], train)

    seed_everything(train.seed)
    model = backend.load_trainable(BASE, train)
    outcome = fit(model, tokenizer, packed["train"], packed["validation"], train, checkpoints)
    proof = prove(model, outcome, audit["predicted_steps"])

    with atomic_folder("models/adapter") as folder:
        save_adapter(model, tokenizer, folder)
    shutil.rmtree(checkpoints)
    write_tsv("plots/train/training.tsv", outcome.training_loss)
    write_tsv("plots/train/validation.tsv", outcome.validation_loss)
    write_json("metrics/train.json", {"records": len(records["train"]), "rows": len(packed["train"]), **proof})
    print(
        f"{proof['steps']} steps: validation loss {proof['validation_loss_first']} to {proof['validation_loss_last']}"
    )
    return speed(outcome, audit)


if __name__ == "__main__":
    run(main)
