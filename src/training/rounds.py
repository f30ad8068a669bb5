"""Training an adapter on one part of the records after another.

Covers settings in trl's words, rounds, resuming, and what to change where memory is short. Does not load models
(backends do), nor tokens (prompts does); trainer.py watches the steps, proof.py says what came of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.files import atomic_folder, read_json, write_json
from src.models import processes
from src.models.adapter import copy_trained_weights, restore_trained_weights, trained_weights
from src.models.attention import Attention
from src.models.collation import Row
from src.params import TrainParams
from src.training import checkpoints

WEIGHTS, CURVES = "weights.safetensors", "run.json"


@dataclass
class TrainingRun:
    """What training leaves beside the adapter: counts over all processes, and loss curves."""

    steps: int = 0
    kept_step: int = 0
    stopped_early: bool = False
    seconds: float = 0.0
    samples: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    training_loss: list[Row] = field(default_factory=list)
    validation_loss: list[Row] = field(default_factory=list)

    def then(self, later: "TrainingRun") -> "TrainingRun":
        """This run and another one behind it, as one: steps and epochs count on."""
        if not self.steps:
            return later
        epochs = self.training_loss[-1]["epoch"]
        return TrainingRun(
            steps=self.steps + later.steps,
            kept_step=self.steps + later.kept_step,
            stopped_early=self.stopped_early or later.stopped_early,
            seconds=self.seconds + later.seconds,
            samples=self.samples + later.samples,
            tokens=self.tokens + later.tokens,
            trained_tokens=self.trained_tokens + later.trained_tokens,
            training_loss=self.training_loss + shift_points(later.training_loss, self.steps, epochs),
            validation_loss=self.validation_loss + shift_points(later.validation_loss[1:], self.steps, epochs),
        )


def shift_points(points: list[Row], steps: int, epochs: float) -> list[Row]:
    """Points of a curve, so many steps and epochs later."""
    return [point | {"step": point["step"] + steps, "epoch": round(point["epoch"] + epochs, 4)} for point in points]


@dataclass
class TrainingContext:
    """What every round of training has in common."""

    tokenizer: Any
    validation: list[Row]
    names: dict[tuple[int, ...], str]
    train: TrainParams
    attention: Attention


def train_rounds(model: Any, job: TrainingContext, rounds: list[Any], folder: Path) -> TrainingRun:
    """Trains `model` in place on the rows of one round after the other, each with a fresh optimiser and schedule.

    A round that is done is kept in `folder` until the caller removes it, so that it is not done again after an
    interruption.

    Raises:
        UserError: as `fit` does.
    """
    whole = TrainingRun()
    for number, rows in enumerate(rounds, start=1):
        done, steps = folder / f"round-{number}", folder / f"round-{number}-steps"
        if done.exists():
            run = load_round(model, done)
        else:
            run = train_round(model, job, rows, steps)
            weights = copy_trained_weights(model)
            if processes.is_main():
                with checkpoints.guarded_write(done, steps):
                    save_round(weights, run, done)
        whole = whole.then(run)
    return whole


def save_round(weights: dict[str, Any], run: TrainingRun, folder: Path) -> None:
    """Keeps the weights and the curves of a round that is done."""
    from safetensors.torch import save_file

    with atomic_folder(folder) as partial:
        save_file(weights, partial / WEIGHTS)
        write_json(partial / CURVES, asdict(run))


def load_round(model: Any, folder: Path) -> TrainingRun:
    """Puts the weights of a round that is done into `model`."""
    from safetensors.torch import load_file

    restore_trained_weights(model, load_file(folder / WEIGHTS))
    return TrainingRun(**read_json(folder / CURVES))


def train_round(model: Any, job: TrainingContext, rows: Any, folder: Path) -> TrainingRun:
    """Trains `model` in place on packed or single rows; goes on from the newest whole checkpoint in `folder`.

    Raises:
        UserError: if a loss is not finite, the memory or the disk is full, or it is interrupted.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trainer = build_trainer(model, job, rows, folder)
    start = checkpoints.newest_checkpoint(folder)
    if start and processes.is_main():
        print(f"Going on from step {checkpoints.checkpoint_step(start)} ({start}).", flush=True)
    with explain_failures(trainer, job.train, folder):
        trainer.train(resume_from_checkpoint=str(start) if start else None)
    return collect_run(trainer, job.train)


def collect_run(trainer: Any, train: TrainParams) -> TrainingRun:
    """Restores the best weights if they are to be kept, and gives what the trainer's log tells of the run."""
    state = trainer.state
    validation, kept_step = loss_curve(state.log_history, "validation_loss"), state.global_step
    if train.best_checkpoint:
        kept_step = min(validation[1:], key=lambda point: point["loss"])["step"]
        trainer.restore_best()
    return TrainingRun(
        steps=state.global_step,
        kept_step=kept_step,
        stopped_early=state.global_step < state.max_steps,
        **trainer.progress(),
        training_loss=loss_curve(state.log_history, "loss"),
        validation_loss=validation,
    )


def loss_curve(history: list[Row], key: str) -> list[Row]:
    """The points of a loss curve in the Trainer's log, as step, epoch and loss in nats a token."""
    return [
        {"step": entry["step"], "epoch": round(entry["epoch"], 4), "loss": round(entry[key], 6)}
        for entry in history
        if key in entry
    ]


@contextmanager
def explain_failures(trainer: Any, train: TrainParams, folder: Path) -> Iterator[None]:
    """Says what to do where training is interrupted or its memory is short.

    Raises:
        UserError: with that advice.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise UserError(
            f"interrupted at step {trainer.state.global_step} of {trainer.state.max_steps}: run the same command again "
            f"and training goes on from step {checkpoints.resume_step(folder)}."
        ) from None
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        raise UserError(f"the memory is full at step {trainer.state.global_step + 1}: {memory_advice(train)}") from None


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is of a device, or of the machine, that has no memory left."""
    named = type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError)
    return named or "can't allocate memory" in str(error)


def memory_advice(train: TrainParams) -> str:
    """The parameter to lower and by how much, the one first that changes no result."""
    batch, rows = train.batch_size, train.batch_size * train.accumulation
    if batch > 1:
        smaller = max(size for size in range(1, batch // 2 + 1) if rows % size == 0)
        return (
            f"set train.batch_size to {smaller} (now {batch}) and train.accumulation to {rows // smaller} "
            f"(now {train.accumulation}): a step has the same {rows} rows."
        )
    if not train.gradient_checkpointing:
        return "set train.gradient_checkpointing to true: the same result, for about a third more time."
    if not train.four_bit:
        return "set train.four_bit to true: the base model then takes a quarter of the memory."
    return f"set train.max_length to {train.max_length // 2} (now {train.max_length}), or take a smaller base model."


def build_trainer(model: Any, job: TrainingContext, rows: Any, folder: Path) -> Any:
    """The trainer of one round."""
    from transformers.utils import logging as transformers_logging

    from src.training.trainer import AnswerTrainer

    transformers_logging.disable_progress_bar()  # a bar for each checkpoint
    trainer = AnswerTrainer(
        model=model,
        args=sft_config(job.train, folder),
        train_dataset=rows,
        data_collator=job.attention.batches(job.tokenizer.pad_token_id),
        processing_class=job.tokenizer,
        validation=job.validation,
        params=job.train,
        names=job.names,
        grouped=job.train.packing and not job.attention.packing,
    )
    for _, weight in trained_weights(model):  # trl rounds a quantised base's adapter to bfloat16: small steps vanish
        weight.data = weight.data.float()
    return trainer


def sft_config(train: TrainParams, folder: Path) -> Any:
    """The parameters of training in trl's words."""
    import torch
    from trl import SFTConfig

    from src.models.backends.transformers import compute_dtype

    dtype, on_gpu = compute_dtype(), torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(folder),
        num_train_epochs=train.epochs,
        max_steps=train.max_steps or -1,
        per_device_train_batch_size=train.batch_size,
        gradient_accumulation_steps=train.accumulation,
        learning_rate=train.lr,
        lr_scheduler_type=train.scheduler,
        warmup_steps=train.warmup_steps,
        optim=train.optimizer if on_gpu else train.optimizer.removeprefix("paged_"),  # there is nothing to page out
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        gradient_checkpointing=train.gradient_checkpointing,
        torch_compile=train.compile,
        use_cpu=not on_gpu,  # else several processes on a CPU would not know of each other
        seed=train.seed,
        data_seed=train.seed,
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16,
        logging_steps=train.log_steps,
        logging_nan_inf_filter=False,
        save_steps=train.save_steps,
        save_total_limit=2,
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_pin_memory=on_gpu,
        ddp_find_unused_parameters=False,
        loss_type="nll",  # the model's own: see loss.py
        dataset_kwargs={"skip_prepare_dataset": True},
    )
