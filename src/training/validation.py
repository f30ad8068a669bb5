"""The validation loss during training: when it is measured, on what, and what follows from it.

Covers the best weights and stopping early. The Trainer's own evaluation is no substitute: it averages over batches
instead of tokens, and keeps the best weights only where a checkpoint is due at the same step.
"""

import math
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from src.errors import UserError
from src.models import processes
from src.models.collation import Row
from src.models.loss import batches_by_length, summed_loss
from src.params import TrainParams
from src.prompts.encoding import IGNORE_INDEX
from src.training.refusals import not_finite_validation

if TYPE_CHECKING:
    from src.training.trainer import CompletionTrainer


def validation_loss(trainer: "CompletionTrainer") -> float:
    """Mean loss over the trained tokens of the validation rows, in nats a token, by all processes together."""
    train = trainer.params
    batches = list(batches_by_length(trainer.validation, train.batch_size * train.max_length))
    total, tokens = summed_loss(trainer.model, shard_batches(batches), trainer.pad_id)
    sums = torch.tensor([total, float(tokens)], dtype=torch.float64, device=trainer.args.device)
    total, tokens = trainer.accelerator.reduce(sums).tolist()
    return total / tokens


def shard_batches(batches: list[list[Row]]) -> list[list[Row]]:
    """This process's share of the batches, as many as every other has: a sharded model has to compute in step.

    Those that make up the number have no trained token.
    """
    missing = -len(batches) % processes.world_size()
    blank = [[row | {"labels": [IGNORE_INDEX] * len(row["labels"])} for row in batch] for batch in batches[-1:]]
    return (batches + blank * missing)[processes.global_rank() :: processes.world_size()]


def measurement_due(step: int, train: TrainParams) -> bool:
    """Whether the validation loss is measured after a step that is not the last.

    Args:
        step: the optimiser step, from 1.
        train: the parameters of training.
    """
    return step % train.eval_steps == 0


def stopping_due(losses: list[float], train: TrainParams) -> bool:
    """Whether enough validation losses have passed since the lowest one, the base model's being the first.

    Args:
        losses: in nats a token, in the order of their measurement.
        train: the parameters of training.
    """
    return 0 < train.early_stopping <= len(losses) - 1 - losses.index(min(losses))


class ValidationCallback(TrainerCallback):
    """Measures the validation loss from step 0 to the last, keeps the best weights, stops early.

    The methods on_* have the arguments that transformers passes to every callback.
    """

    def __init__(self, trainer: "CompletionTrainer") -> None:
        self.trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Measures the base model, or takes up the counts of the training that is resumed."""
        if state.global_step == 0:
            self.measure(state)
        self.trainer.resume_counts()

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Gives the batches of equal length another order in each epoch, the same one after a resume."""
        if self.trainer.groups:
            self.trainer.groups.epoch = int(state.epoch or 0)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Measures where it is due; the training curve ends at the last step as well."""
        last = state.global_step == state.max_steps
        if last or measurement_due(state.global_step, self.trainer.params):
            self.measure(state)
            losses = [entry["validation_loss"] for entry in state.log_history if "validation_loss" in entry]
            if len(losses) < 3 or losses[-1] < min(losses[1:-1]):  # the first is the base model's
                self.trainer.store_best_weights()
            control.should_training_stop |= stopping_due(losses, self.trainer.params)
        control.should_log |= last or control.should_training_stop

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Goes back to the best weights, if they are to be kept."""
        if self.trainer.params.best_checkpoint:
            self.trainer.restore_best_weights()

    def measure(self, state: TrainerState) -> None:
        """Adds the validation loss to the log, unless the checkpoint that is resumed has it.

        Raises:
            UserError: if it is not finite.
        """
        if any(entry["step"] == state.global_step for entry in state.log_history if "validation_loss" in entry):
            return
        loss = validation_loss(self.trainer)
        if not math.isfinite(loss):
            raise UserError(not_finite_validation(loss, state.global_step, self.trainer.params))
        state.log_history.append({"step": state.global_step, "epoch": state.epoch or 0.0, "validation_loss": loss})
