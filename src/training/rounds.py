"""Trains an adapter on one part of the records after another.

Covers rounds that are done and kept, and resuming within a round. Does not look at single steps: trainer.py does.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.errors import UserError, is_out_of_memory, unordered_kernel
from src.files import atomic_folder, read_json, write_json
from src.models import processes
from src.models.adapter import copy_trained_weights, restore_trained_weights, trained_weights
from src.models.attention import Attention
from src.models.collation import Row
from src.params import TrainParams
from src.training import checkpoints
from src.training.arguments import training_arguments
from src.training.history import TrainingRun, collect_run
from src.training.refusals import interruption_advice, memory_advice, unordered_kernel_advice

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import PeftModel
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from src.training.trainer import CompletionTrainer

WEIGHTS, HISTORY = "weights.safetensors", "run.json"  # of a round that is done


@dataclass
class TrainingContext:
    """What every round has in common: validation rows of one record each, and each training record's name by tokens."""

    tokenizer: "PreTrainedTokenizerBase"
    validation: list[Row]
    names: dict[tuple[int, ...], str]
    train: TrainParams
    attention: Attention


def train_rounds(model: "PeftModel", context: TrainingContext, rounds: "list[Dataset]", folder: Path) -> TrainingRun:
    """Trains a model in place on one round after the other, each with a fresh optimiser and schedule.

    Args:
        model: the base model with its adapter.
        context: what every round has in common.
        rounds: the rows of each round.
        folder: keeps checkpoints, and each round that is done, so that it is not done again after an interruption.

    Raises:
        UserError: as `train_round` does.
    """
    total = TrainingRun()
    for number, rows in enumerate(rounds, start=1):
        done, steps = folder / f"round-{number}", folder / f"round-{number}-steps"
        if done.exists():
            run = load_round(model, done)
        else:
            if len(rounds) > 1:
                processes.print_once(f"Round {number} of {len(rounds)}.")
            run = train_round(model, context, rows, steps, total.steps)
            weights = copy_trained_weights(model)
            if processes.is_main():
                with checkpoints.guarded_write(done, steps):
                    save_round(weights, run, done)
        total = total.then(run)
    return total


def save_round(weights: "dict[str, Tensor]", run: TrainingRun, folder: Path) -> None:
    """Keeps a round that is done.

    Args:
        weights: the trained weights by name.
        run: what training counted and logged.
        folder: is created.
    """
    from safetensors.torch import save_file

    with atomic_folder(folder) as partial:
        save_file(weights, partial / WEIGHTS)
        write_json(partial / HISTORY, asdict(run))


def load_round(model: "PeftModel", folder: Path) -> TrainingRun:
    """Puts the weights of a round that is done into a model, and gives what its training counted and logged.

    Args:
        model: the model that is changed.
        folder: what `save_round` wrote.
    """
    from safetensors.torch import load_file

    restore_trained_weights(model, load_file(folder / WEIGHTS))
    return TrainingRun(**read_json(folder / HISTORY))


def train_round(
    model: "PeftModel", context: TrainingContext, rows: "Dataset", folder: Path, first_step: int
) -> TrainingRun:
    """Trains a model in place on the rows of one round, on from the newest complete checkpoint.

    Args:
        model: the base model with its adapter.
        context: what every round has in common.
        rows: packed or single rows.
        folder: for checkpoints.
        first_step: steps of the rounds before.

    Raises:
        UserError: if a loss is not finite, the memory or the disk is full, or it is interrupted.
    """
    from src.training.live import live_curves
    from src.training.progress import shown_training

    folder.mkdir(parents=True, exist_ok=True)
    trainer = build_trainer(model, context, rows, folder)
    start = checkpoints.newest_checkpoint(folder)
    if start:
        processes.print_once(f"Going on from step {checkpoints.checkpoint_step(start)} ({start}).")
    live = live_curves(trainer, folder.parent.name, first_step)
    with explain_failures(trainer, context.train, folder), live, shown_training(trainer):
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    return collect_run(trainer)


@contextmanager
def explain_failures(trainer: "CompletionTrainer", train: TrainParams, folder: Path) -> Iterator[None]:
    """Tells what to do where training is interrupted, its memory is full, or a kernel adds in no fixed order.

    Args:
        trainer: what is training.
        train: its parameters.
        folder: its checkpoints.

    Raises:
        UserError: with that advice.
    """
    try:
        yield
    except KeyboardInterrupt:
        step, steps = trainer.state.global_step, trainer.state.max_steps
        raise UserError(interruption_advice(step, steps, checkpoints.resume_step(folder))) from None
    except (RuntimeError, MemoryError) as error:
        if kernel := unordered_kernel(error):
            raise UserError(unordered_kernel_advice(kernel)) from None
        if not is_out_of_memory(error):
            raise
        raise UserError(f"the memory is full at step {trainer.state.global_step + 1}: {memory_advice(train)}") from None


def build_trainer(model: "PeftModel", context: TrainingContext, rows: "Dataset", folder: Path) -> "CompletionTrainer":
    """The trainer of one round.

    Args:
        model: the base model with its adapter.
        context: what every round has in common.
        rows: packed or single rows.
        folder: for checkpoints.
    """
    from transformers.utils import logging as transformers_logging

    from src.training.trainer import CompletionTrainer

    transformers_logging.disable_progress_bar()  # a bar for each checkpoint
    trainer = CompletionTrainer(
        model=model,
        args=training_arguments(context.train, folder),
        train_dataset=rows,
        data_collator=context.attention.batches(context.tokenizer.pad_token_id),
        processing_class=context.tokenizer,
        validation=context.validation,
        params=context.train,
        names=context.names,
        grouped=context.train.packing and not context.attention.packing,
    )
    for _, weight in trained_weights(model):  # trl rounds a quantised base's adapter to bfloat16: small steps vanish
        weight.data = weight.data.float()
    return trainer
