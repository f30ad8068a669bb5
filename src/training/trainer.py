"""trl's SFTTrainer, watched: the validation loss, losses that are not finite, checkpoints that can be trusted.

Covers what happens in a training step and between steps. Import it late: torch, transformers and trl come with it, and
unsloth wants to be imported before them.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch.distributed.fsdp import FSDPModule
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer, TrainerCallback
from transformers.trainer_pt_utils import get_length_grouped_indices
from trl import SFTTrainer

from src.errors import UserError
from src.models import processes
from src.models.adapter import copy_trained_weights, restore_trained_weights
from src.models.collation import Row, split_records
from src.models.loss import batches_by_length, summed_loss
from src.params import TrainParams
from src.prompts.encoding import IGNORE_INDEX
from src.training import checkpoints

COUNTS = ("samples", "tokens", "trained_tokens")
BEST = "best.safetensors"  # in a checkpoint: the weights of the lowest validation loss so far


class AnswerTrainer(SFTTrainer):
    """Trains on rows that are encoded and packed already, and stops where a loss is not finite.

    Args:
        validation: rows of one record each.
        params: the parameters of training.
        names: the name of each record, by its tokens, for messages.
        grouped: whether a batch holds records of about equal length.
    """

    def __init__(
        self,
        *,
        validation: list[Row],
        params: TrainParams,
        names: dict[tuple[int, ...], str],
        grouped: bool,
        **given: Any,
    ) -> None:
        super().__init__(**given, callbacks=[ValidationCallback(self)])
        self.remove_callback(PrinterCallback)  # prints a dictionary a step; Watch prints a line
        self.validation, self.params, self.names = validation, params, names
        self.pad_id = given["processing_class"].pad_token_id
        if processes.is_sharded():
            configure_fsdp(self.accelerator.state.fsdp_plugin, self.model)
        self.groups = LengthGroupedSampler(given["train_dataset"], params) if grouped else None
        self.step_batches: list[tuple[Any, torch.Tensor]] = []
        self.best: dict[str, torch.Tensor] = {}
        self.counts = torch.zeros(len(COUNTS), dtype=torch.int64, device=self.args.device)
        self.seconds, self.started = 0.0, time.perf_counter()

    def compute_loss(self, *given: Any, **named: Any) -> Any:
        """The model's own loss, without the entropy and accuracy that trl adds from all logits."""
        return Trainer.compute_loss(self, *given, **named)

    def training_step(self, model: Any, inputs: Any, num_items_in_batch: Any = None) -> torch.Tensor:
        """A forward and a backward pass, counted, and remembered until the step is over."""
        loss = super().training_step(model, {**inputs, "use_cache": False}, num_items_in_batch)
        self.counts[0] += (inputs["position_ids"] == 0).sum()
        self.counts[1] += (inputs["input_ids"] != self.pad_id).sum()
        self.counts[2] += (inputs["labels"][:, 1:] != IGNORE_INDEX).sum()
        self.step_batches.append((inputs, loss))
        return loss

    def _clip_grad_norm(self, model: Any) -> torch.Tensor:
        """Clips the gradients, before the weights change.

        Raises:
            UserError: if a loss or the gradients' norm is not finite.
        """
        norm = super()._clip_grad_norm(model)
        losses = torch.stack([loss for _, loss in self.step_batches])
        scaled = self.accelerator.scaler is not None  # in float16 an overflow lowers the scale, and the step is skipped
        if not losses.isfinite().all() or not (scaled or norm.isfinite()):
            raise UserError(self.not_finite(losses, norm))
        self.step_batches.clear()
        return norm

    def not_finite(self, losses: torch.Tensor, norm: torch.Tensor) -> str:
        """Names the step, the number that is none, and the records it came from."""
        bad = [batch for batch, loss in self.step_batches if not loss.isfinite()]
        value = f"training loss is {losses.sum().item()}" if bad else f"gradients' norm is {norm.item()}"
        records = [
            ids for batch in bad or [one for one, _ in self.step_batches] for ids in split_records(batch, self.pad_id)
        ]
        named = ", ".join(self.names.get(tuple(ids), "?") for ids in records)
        return (
            f"the {value} at step {self.state.global_step + 1}, in a batch of the records {named}: look at those, "
            f"lower train.lr (now {self.params.lr}) or raise train.warmup_steps (now {self.params.warmup_steps})."
        )

    def _get_train_sampler(self, *given: Any) -> Any:
        return self.groups or super()._get_train_sampler(*given)

    def validation_loss(self) -> float:
        """Mean loss over the trained tokens of the validation rows, whose batches the processes share out."""
        every = list(batches_by_length(self.validation, self.params.batch_size * self.params.max_length))
        loss, tokens = summed_loss(self.model, shard_batches(every), self.pad_id)
        sums = torch.tensor([loss, float(tokens)], dtype=torch.float64, device=self.args.device)
        loss, tokens = self.accelerator.reduce(sums).tolist()
        return loss / tokens

    def progress(self) -> Row:
        """Seconds of training and what was counted since step 0, by all processes and before interruptions."""
        counts = self.accelerator.reduce(self.counts).tolist()
        return {"seconds": self.seconds + time.perf_counter() - self.started} | dict(zip(COUNTS, counts, strict=True))

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Saves all that a resumed run needs, and seals it.

        Raises:
            UserError: if it cannot be written; the one before is left.
        """
        history: list[Row] = self.state.log_history
        history.append({"step": self.state.global_step, "progress": self.progress()})
        checkpoint = Path(str(self.args.output_dir), f"checkpoint-{self.state.global_step}")
        with checkpoints.guarded_write(checkpoint, checkpoint.parent):
            Trainer._save_checkpoint(self, model, trial)  # trl would add a model card
            if processes.is_main() and self.best:
                save_file(self.best, checkpoint / BEST)
            self.accelerator.wait_for_everyone()
            if processes.is_main():
                checkpoints.write_manifest(checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, *given: Any) -> None:
        """Loads the weights, and the best ones so far."""
        super()._load_from_checkpoint(resume_from_checkpoint, *given)
        best = Path(resume_from_checkpoint, BEST)
        self.best = load_file(best) if best.exists() else {}

    def count_on(self) -> None:
        """Takes up the counts of the run that is resumed."""
        self.started, history = time.perf_counter(), cast(list[Row], self.state.log_history)
        for before in [entry["progress"] for entry in history if "progress" in entry][-1:]:
            self.seconds = before["seconds"]
            if processes.is_main():  # the counts are of all processes
                self.counts += torch.tensor([before[name] for name in COUNTS], device=self.counts.device)

    def keep_best(self) -> None:
        """Remembers the trained weights as the best so far."""
        self.best = copy_trained_weights(self.model)

    def restore_best(self) -> None:
        """Puts the best weights in place of the last ones."""
        restore_trained_weights(self.model, self.best)


def shard_batches(every: list[list[Row]]) -> list[list[Row]]:
    """This process's batches of all: as many as every other has, for a model that is cut over them computes in step.

    Those that make up the number have no trained token.
    """
    missing = -len(every) % processes.world_size()
    blank = [[row | {"labels": [IGNORE_INDEX] * len(row["labels"])} for row in batch] for batch in every[-1:]]
    return (every + blank * missing)[processes.global_rank() :: processes.world_size()]


def measurement_due(step: int, train: TrainParams) -> bool:
    """Whether the validation loss is measured after a step that is not the last."""
    return step % train.eval_steps == 0


def stopping_due(losses: list[float], train: TrainParams) -> bool:
    """Whether enough validation losses have passed since the lowest one, the base model's being the first."""
    return 0 < train.early_stopping <= len(losses) - 1 - losses.index(min(losses))


class ValidationCallback(TrainerCallback):
    """Measures the validation loss from step 0 to the last, keeps the best weights, stops early."""

    def __init__(self, trainer: AnswerTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Measures the base model, or takes up the counts of the run that is resumed."""
        if state.global_step == 0:
            self.measure(state)
        self.trainer.count_on()

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Gives the batches of equal length another order in each epoch, the same one after a resume."""
        if self.trainer.groups:
            self.trainer.groups.epoch = int(state.epoch or 0)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Measures where it is due; the training curve ends at the last step as well."""
        last = state.global_step == state.max_steps
        if last or measurement_due(state.global_step, self.trainer.params):
            self.measure(state)
            losses = [entry["validation_loss"] for entry in state.log_history if "validation_loss" in entry]
            if len(losses) < 3 or losses[-1] < min(losses[1:-1]):  # the first is the base model's
                self.trainer.keep_best()
            control.should_training_stop |= stopping_due(losses, self.trainer.params)
        control.should_log |= last or control.should_training_stop

    def measure(self, state: Any) -> None:
        """Adds the validation loss to the log, unless the checkpoint that is resumed has it.

        Raises:
            UserError: if it is not finite.
        """
        if any(entry["step"] == state.global_step for entry in state.log_history if "validation_loss" in entry):
            return
        loss = self.trainer.validation_loss()
        if not math.isfinite(loss):
            raise UserError(
                f"the validation loss is {loss} at step {state.global_step}: lower train.lr "
                f"(now {self.trainer.params.lr}) or raise train.warmup_steps (now {self.trainer.params.warmup_steps})."
            )
        state.log_history.append({"step": state.global_step, "epoch": state.epoch or 0.0, "validation_loss": loss})
        print_once(f"step {state.global_step} of {state.max_steps}: validation loss {loss:.4f}")


def print_once(line: str) -> None:
    """Prints a line from one of the processes."""
    if processes.is_main():
        print(line, flush=True)


def configure_fsdp(plugin: Any, model: Any) -> None:
    """Changes what accelerate has set up for a model that is to be cut over the processes (FSDP).

    It would give the loss, and add up gradients, in the 16 bits of the products: 8.4296 for a loss of 8.4393. It would
    put the whole model together at once, not a layer at a time, and look in vain for the layers of a model that the
    round before has cut.
    """
    cut = isinstance(model, FSDPModule)
    plugin.auto_wrap_policy = None if cut else plugin.auto_wrap_policy or transformer_auto_wrap_policy
    if plugin.mixed_precision_policy:
        plugin.mixed_precision_policy = replace(
            plugin.mixed_precision_policy, reduce_dtype=torch.float32, output_dtype=None
        )


class LengthGroupedSampler(Sampler[int]):
    """Rows in an order that brings rows of about equal length into a batch, another one in each epoch."""

    def __init__(self, rows: Any, params: TrainParams) -> None:
        self.lengths, self.seed, self.epoch = [len(ids) for ids in rows["input_ids"]], params.seed, 0
        self.batch_size = params.batch_size * params.accumulation * processes.world_size()

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))
