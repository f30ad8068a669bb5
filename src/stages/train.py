"""Trains an adapter for models/base on data/prompts, and writes it to models/adapter with its loss curves.

LoRA on the completions alone, over a base in 4 bits or more, here or by a service (train.backend openai), whose model
models/adapter then names. An interrupted training goes on from .checkpoints/, in a
folder named after everything it depends on. train.launcher may start several processes, one a device: one of them
writes.
"""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from src.files import atomic_folder, read_jsonl, write_json, write_tsv
from src.hosted.training import train_hosted
from src.models import backends, processes
from src.models.adapter import copy_trained_weights, save_adapter
from src.models.attention import Attention, choose_attention
from src.models.base_note import BaseNote, describe_base
from src.models.sources import base_origin
from src.numerics import seed_everything
from src.params import Params, TrainParams
from src.prompts.tokenizers import load_tokenizer
from src.stages.runner import Outcome, run_stage
from src.training.checkpoints import CHECKPOINTS, training_fingerprint
from src.training.choices import current_device, estimated_memory, read_plan, settle_params
from src.training.evidence import device_name, training_evidence, training_throughput
from src.training.machines import launcher_here
from src.training.refusals import refuse_missing_packages, refuse_other_steps
from src.training.rounds import TrainingContext, train_rounds
from src.training.rows import TrainingRows, make_training_rows
from src.training.schedule import predict_steps

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedTokenizerBase

BASE, PROMPTS = Path("models/base"), Path("data/prompts")
ADAPTER = Path("models/adapter")


def main(params: Params) -> Outcome:
    """Trains an adapter, makes sure that it was trained, and writes it with its loss curves."""
    if params.train.backend == "openai":
        return Outcome(*train_hosted(params))
    refuse_missing_packages(params.train.report_to)
    params, reasons = settle_params(params, current_device())
    train = params.train
    for reason in reasons:
        processes.print_once(reason)
    backend, attention = backends.get_backend(train, BASE), choose_attention(train)
    processes.print_once(f"Attention: {attention.reason}.")
    tokenizer = load_tokenizer(BASE, params.format.template)
    records = {split: read_jsonl(PROMPTS / f"{split}.jsonl") for split in ("train", "validation")}
    rows = make_training_rows(tokenizer, records, train, attention.packing)
    steps = planned_steps(rows, train, attention)
    checkpoints = CHECKPOINTS / training_fingerprint(params)

    seed_everything(train.seed, train.deterministic)
    model = backend.load_trainable(BASE, train, attention.implementation)
    context = TrainingContext(tokenizer, rows.validation, rows.names, train, attention)
    run = train_rounds(model, context, rows.rounds, checkpoints)
    metrics = training_evidence(model, run, steps)
    base = write_adapter(model, tokenizer, params)

    write_tsv("data/tables/train/training.tsv", run.training_loss)
    write_tsv("data/tables/train/validation.tsv", run.validation_loss)
    sizes = {"records": len(records["train"]), "rows": sum(rows.per_round()), "rounds": train.rounds}
    origin = {"base": base_origin(params.base), "base_sha256": base["sha256"]}
    taken = {key: getattr(train, key) for key in ("backend", "optimizer", "gradient_checkpointing", "compile")}
    write_json("data/reports/train.json", sizes | metrics | origin | taken)
    told = {"device": device_name(), "backend": train.backend, "validation_loss": metrics["validation_loss_kept"]}
    write_json("metrics/train.json", told)
    shutil.rmtree(checkpoints, ignore_errors=True)  # not before all is in place: until then training can be resumed
    measured = training_throughput(run, estimated_memory(train))
    first, kept = metrics["validation_loss_first"], metrics["validation_loss_kept"]
    speed = f"{run.steps:,} steps at {measured['tokens_per_second']:,} tokens/s"
    return Outcome(f"validation loss {first:.3f} to {kept:.3f} nats a token, {speed}", measured)


def planned_steps(rows: TrainingRows, train: TrainParams, attention: Attention) -> int:
    """The optimiser steps to expect: those the audit planned, unless the kernel here pads what it packed.

    Args:
        rows: what is trained on.
        train: the parameters of training.
        attention: the kernel, which may not take packed rows.

    Raises:
        UserError: if the audit planned others.
    """
    steps = predict_steps(rows.per_round(), train, processes.world_size())
    if attention.packing == train.packing:
        refuse_other_steps(steps, read_plan().steps)
    return steps


def write_adapter(model: "PeftModel", tokenizer: "PreTrainedTokenizerBase", params: Params) -> BaseNote:
    """Writes the adapter from the main process, which goes on alone: the others end here.

    Args:
        model: the base model with its adapter, sharded or whole.
        tokenizer: with the chat template that it was trained in.
        params: the parameters.

    Returns:
        What it was trained on.
    """
    weights = copy_trained_weights(model)  # every process has to ask for its shards
    if not processes.is_main():
        sys.exit()
    base = describe_base(BASE, params.train.four_bit, params.base)
    with atomic_folder(ADAPTER) as folder:
        save_adapter(model, tokenizer, base, folder, weights)
    return base


def launch_processes(params: Params) -> None:
    """Starts as many processes as train.launcher names for this machine."""
    processes.launch(launcher_here(params), "src.stages.train")


if __name__ == "__main__":
    run_stage(main, launch=launch_processes)
