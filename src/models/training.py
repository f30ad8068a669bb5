"""Training an adapter, and the proof that it trained.

Covers batches, the trainer, the loss curves, checkpoints that an interrupted run resumes from, and what is checked
afterwards. Does not load models (backends do), nor tokens (prompts does).
"""

import math
from dataclasses import dataclass, field
from functools import partial
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.params import TrainParams
from src.prompts.encoding import IGNORED

Row = dict[str, Any]


@dataclass
class Run:
    """What a training run leaves beside the adapter: loss curves and proof."""

    steps: int
    seconds: float
    training_loss: list[Row] = field(default_factory=list)
    validation_loss: list[Row] = field(default_factory=list)


def collate(rows: list[Row], pad_id: int) -> dict[str, Any]:
    """Rows as tensors of one length, [rows, tokens], padded on the right.

    Positions start again at 0 with each record and with the padding. There is no attention mask: from the positions
    transformers builds one in which packed neighbours do not see each other.
    """
    import torch

    length = max(len(row["input_ids"]) for row in rows)

    def padded(values: list[int], filler: list[int]) -> list[int]:
        return list(values) + filler[: length - len(values)]

    return {
        "input_ids": torch.tensor([padded(row["input_ids"], [pad_id] * length) for row in rows]),
        "labels": torch.tensor([padded(row["labels"], [IGNORED] * length) for row in rows]),
        "position_ids": torch.tensor([padded(positions(row), list(range(length))) for row in rows]),
    }


def positions(row: Row) -> list[int]:
    """The position of each token within its own record."""
    return [position for length in row["seq_lengths"] for position in range(length)]


def answer_loss(model: Any, rows: list[Row], pad_id: int) -> float:
    """Mean negative log-likelihood over all trained tokens of `rows`, in nats a token.

    Unlike the Trainer's own evaluation, which averages over batches, every token counts the same. Row by row, since
    the logits of one row of 2048 tokens over Llama 3's vocabulary take a gigabyte.
    """
    import torch
    from torch.nn.functional import cross_entropy

    total, tokens, training = 0.0, 0, model.training
    model.eval()
    with torch.no_grad():
        for row in rows:
            batch = {key: value.to(model.device) for key, value in collate([row], pad_id).items()}
            labels = batch.pop("labels")[:, 1:]
            logits = model(**batch, use_cache=False).logits[:, :-1].float()
            total += cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORED, reduction="sum").item()
            tokens += int((labels != IGNORED).sum())
    model.train(training)
    return total / tokens


def fit(model: Any, tokenizer: Any, rows: Any, validation: Any, train: TrainParams, checkpoints: Path) -> Run:
    """Trains `model` in place on packed or single rows; resumes from the last checkpoint.

    Raises:
        UserError: if a loss is not finite.
    """
    from transformers.trainer_utils import get_last_checkpoint

    checkpoints.mkdir(parents=True, exist_ok=True)
    trainer = build_trainer(model, tokenizer, rows, list(validation), train, checkpoints)
    last = get_last_checkpoint(str(checkpoints))
    if last:
        print(f"Resuming from {Path(last).name} in {checkpoints}.")
    outcome = trainer.train(resume_from_checkpoint=last)
    history = trainer.state.log_history
    return Run(
        steps=trainer.state.global_step,
        seconds=outcome.metrics["train_runtime"],
        training_loss=curve(history, "loss"),
        validation_loss=curve(history, "validation_loss"),
    )


def curve(history: list[Row], key: str) -> list[Row]:
    """The points of a loss curve in the Trainer's log, as step, epoch and loss in nats a token."""
    return [
        {"step": entry["step"], "epoch": round(entry["epoch"], 4), "loss": round(entry[key], 6)}
        for entry in history
        if key in entry
    ]


def build_trainer(
    model: Any, tokenizer: Any, rows: Any, validation: list[Row], train: TrainParams, folder: Path
) -> Any:
    """trl's SFTTrainer on rows that are encoded and packed already."""
    from transformers import PrinterCallback
    from transformers.utils import logging as transformers_logging
    from trl import SFTTrainer

    transformers_logging.disable_progress_bar()  # a bar for each checkpoint
    trainer = SFTTrainer(
        model=model,
        args=settings(train, folder),
        train_dataset=rows,
        data_collator=partial(collate, pad_id=tokenizer.pad_token_id),
        processing_class=tokenizer,
        callbacks=[loss_watch(validation, tokenizer.pad_token_id, train)],
    )
    trainer.remove_callback(PrinterCallback)  # prints a dictionary a step; LossWatch prints a line
    for parameter in model.parameters():  # trl rounds a quantised base's adapter to bfloat16, where small steps vanish
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return trainer


def loss_watch(validation: list[Row], pad_id: int, train: TrainParams) -> Any:
    """A callback that logs the validation loss from step 0 to the last, and stops at a loss that is not finite."""
    from transformers import TrainerCallback

    class LossWatch(TrainerCallback):
        def measure(self, state: Any, model: Any) -> None:
            if all(entry["step"] != state.global_step for entry in state.log_history if "validation_loss" in entry):
                loss = answer_loss(model, validation, pad_id)
                entry = {"step": state.global_step, "epoch": state.epoch or 0.0, "validation_loss": loss}
                state.log_history.append(entry)
                print(f"step {state.global_step} of {state.max_steps}: validation loss {loss:.4f}", flush=True)

        def on_train_begin(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            if state.global_step == 0:
                self.measure(state, model)

        def on_step_end(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            last = state.global_step == state.max_steps
            control.should_log |= last  # the training curve ends at the last step as well
            if last or state.global_step % train.eval_steps == 0:
                self.measure(state, model)

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if logs and not math.isfinite(logs.get("loss", 0.0)):
                raise UserError(
                    f"the training loss is {logs['loss']} at step {state.global_step}: "
                    f"lower train.lr (now {train.lr}) or raise train.warmup_steps (now {train.warmup_steps})."
                )

    return LossWatch()


def settings(train: TrainParams, folder: Path) -> Any:
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
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def prove(model: Any, run: Run, predicted_steps: int) -> Row:
    """What shows that training took place: steps, parameters, and how many of LoRA's B matrices left zero.

    Raises:
        UserError: if no B matrix moved or the steps are not those predicted.
    """
    b_matrices = [weight for name, weight in model.named_parameters() if "lora_B" in name]
    moved = sum(bool(weight.detach().abs().max() > 0) for weight in b_matrices)
    if moved < len(b_matrices) or run.steps != predicted_steps:
        raise UserError(
            f"training proved nothing: {moved} of {len(b_matrices)} B matrices moved in {run.steps} steps of "
            f"{predicted_steps} predicted: check train.lr and that the prompts hold what the audit saw."
        )
    return {
        "steps": run.steps,
        "predicted_steps": predicted_steps,
        "b_matrices_moved": moved,
        "b_matrices": len(b_matrices),
        "trainable_parameters": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        "training_loss_last": run.training_loss[-1]["loss"],
        "validation_loss_first": run.validation_loss[0]["loss"],
        "validation_loss_best": min(point["loss"] for point in run.validation_loss),
        "validation_loss_last": run.validation_loss[-1]["loss"],
    }


def speed(run: Run, audit: Row) -> Row:
    """Throughput of a run on `audit`'s records, and where it ran."""
    import torch

    epochs = run.training_loss[-1]["epoch"]
    tokens = audit["tokens_per_epoch"] * epochs
    return {
        "tokens_per_second": round(tokens / run.seconds),
        "trained_tokens_per_second": round(tokens * audit["trained_token_share"] / run.seconds),
        "samples_per_second": round(audit["records"] * epochs / run.seconds, 2),
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU",
        "gpu_peak_memory_mb": round(torch.cuda.max_memory_allocated() / 2**20) if torch.cuda.is_available() else 0,
        "torch": torch.__version__,
    }


def fingerprint(inputs: list[Path], train: TrainParams) -> str:
    """A name for everything that training depends on: the files in the input folders and the parameters."""
    digest = sha256(train.model_dump_json().encode())
    for path in sorted(path for folder in inputs for path in folder.rglob("*") if path.is_file()):
        with open(path, "rb") as content:
            digest.update(path.as_posix().encode() + file_digest(content, "sha256").digest())
    return digest.hexdigest()[:16]
