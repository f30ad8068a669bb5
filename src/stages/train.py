"""train: data/prompts/, models/base/ -> models/adapter/, metrics/train.json, plots/train/

LoRA on the answers alone, over a 4-bit base or another. An interrupted run goes on from .checkpoints/, in a folder
named after all that it depends on. train.launcher may start several processes, one a device: one of them writes.
"""

import shutil
import sys
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.files import atomic_folder, read_json, read_jsonl, write_json, write_tsv
from src.models import attention, backends, processes
from src.models.adapter import copy_trained_weights, save_adapter
from src.models.backends.transformers import weights_digest
from src.numerics import seed_everything
from src.params import BaseParams, Params, TrainParams
from src.prompts.encoding import encode_record
from src.prompts.packing import make_rows
from src.prompts.tokenizers import load_tokenizer
from src.stages.runner import run_stage
from src.training.checkpoints import training_fingerprint
from src.training.evidence import throughput, training_evidence
from src.training.rounds import TrainingContext, train_rounds
from src.training.schedule import predict_steps, split_rounds

BASE, PROMPTS, ADAPTER = Path("models/base"), Path("data/prompts"), Path("models/adapter")
INPUTS = [BASE, PROMPTS, Path("src/models"), Path("src/prompts")]


def main(params: Params) -> dict[str, Any]:
    """Trains an adapter and proves it."""
    train = params.train
    backend = backends.get_backend(train, BASE)
    kernel = attention.choose_attention(train)
    print_line(f"Attention: {kernel.reason}.")
    tokenizer = load_tokenizer(BASE, params.format.template)
    records = {split: read_jsonl(PROMPTS / f"{split}.jsonl") for split in ("train", "validation")}
    held_out = records["validation"][: train.eval_records or None]
    encoded = [encode_record(tokenizer, record, train.max_length) for record in records["train"]]
    rounds = [make_rows(part, train.max_length, kernel.packing) for part in split_rounds(encoded, train.rounds)]
    steps = agreed_steps([len(part) for part in rounds], train, kernel)
    checkpoints = Path(".checkpoints") / training_fingerprint(INPUTS, train)

    seed_everything(train.seed)
    model = backend.load_trainable(BASE, train, kernel.implementation)
    job = TrainingContext(
        tokenizer=tokenizer,
        validation=list(
            make_rows([encode_record(tokenizer, one, train.max_length) for one in held_out], train.max_length, False)
        ),
        names={tuple(one.input_ids): record["uid"] for one, record in zip(encoded, records["train"], strict=True)},
        train=train,
        attention=kernel,
    )
    outcome = train_rounds(model, job, rounds, checkpoints)
    proof, weights = training_evidence(model, outcome, steps), copy_trained_weights(model)
    if not processes.is_main():
        sys.exit()  # one process writes

    with atomic_folder(ADAPTER) as folder:
        save_adapter(model, tokenizer, folder, weights)
    shutil.rmtree(checkpoints)
    write_tsv("plots/train/training.tsv", outcome.training_loss)
    write_tsv("plots/train/validation.tsv", outcome.validation_loss)
    sizes = {"records": len(encoded), "rows": sum(len(part) for part in rounds), "rounds": train.rounds}
    write_json(
        "metrics/train.json", sizes | proof | {"base": base_origin(params.base), "base_sha256": weights_digest(BASE)}
    )
    print_line(
        f"{proof['steps']} steps: validation loss {proof['validation_loss_first']} to {proof['validation_loss_kept']}"
    )
    return throughput(outcome)


def print_line(line: str) -> None:
    """Prints a line, from one of the processes."""
    if processes.is_main():
        print(line, flush=True)


def agreed_steps(rows_a_round: list[int], train: TrainParams, kernel: attention.Attention) -> int:
    """The optimiser steps to expect: those the audit predicted, unless the kernel here pads what it packed.

    Raises:
        UserError: if the audit's prediction is another one.
    """
    steps = predict_steps(rows_a_round, train, processes.world_size())
    audited = read_json("metrics/audit.json")["predicted_steps"]
    if kernel.packing == train.packing and steps != audited:
        raise UserError(
            f"metrics/audit.json predicts {audited} steps, and the prompts make {steps}: run the audit again "
            "(`dvc repro audit`)."
        )
    return steps


def base_origin(base: BaseParams) -> str:
    """Where the base model comes from: the embedded one, a repository at its revision, or a folder."""
    return {"tiny": "tiny", "hub": f"{base.repository}@{base.revision}", "local": base.folder}[base.source]


if __name__ == "__main__":
    run_stage(main)
