"""trl's SFTTrainer with counts of what it trained on, losses that have to be finite, and checkpoints with a manifest.

Covers what happens in a training step and at a checkpoint. Import it late: torch, transformers and trl come with it,
and unsloth wants to be imported before them.
"""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from safetensors.torch import load_file, save_file
from torch.utils.data import Sampler
from transformers import PrinterCallback, Trainer
from trl import SFTTrainer

from src.errors import UserError
from src.models import processes
from src.models.adapter import copy_trained_weights, restore_trained_weights
from src.models.collation import Batch, Row, split_records
from src.params import TrainParams
from src.prompts.encoding import IGNORE_INDEX
from src.training import checkpoints
from src.training.length_groups import LengthGroupedSampler
from src.training.refusals import not_finite_step
from src.training.sharding import configure_fsdp
from src.training.validation import ValidationCallback

if TYPE_CHECKING:
    from peft import PeftModel

COUNTS = ("samples", "tokens", "trained_tokens")
BEST = "best.safetensors"  # in a checkpoint: the weights of the lowest validation loss so far


class CompletionTrainer(SFTTrainer):
    """Trains on rows that are encoded and packed already, and stops where a loss is not finite.

    Args:
        validation: rows of one record each.
        params: the parameters of training.
        names: the name of each record, by its tokens, for messages.
        grouped: whether a batch holds records of about equal length.
        given: what SFTTrainer takes.
    """

    model: "PeftModel"  # the Trainer's own type admits other models, and none

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
        self.remove_callback(PrinterCallback)  # prints a dictionary a step; progress.py shows less
        self.validation, self.params, self.names = validation, params, names
        self.pad_id = given["processing_class"].pad_token_id
        if processes.is_sharded():
            configure_fsdp(self.accelerator.state.fsdp_plugin, self.model)
        self.groups = LengthGroupedSampler(given["train_dataset"], params) if grouped else None
        self.step_batches: list[tuple[Batch, torch.Tensor]] = []
        self.best: dict[str, torch.Tensor] = {}
        # On the device: to read a count in each step would make Python wait for the GPU.
        self.counts = torch.zeros(len(COUNTS), dtype=torch.int64, device=self.args.device)
        self.seconds, self.started = 0.0, time.perf_counter()

    def compute_loss(self, *given: Any, **named: Any) -> torch.Tensor | tuple[torch.Tensor, Any]:
        """The model's own loss, without the entropy and accuracy that trl adds from all logits.

        Args:
            given: as the Trainer passes them on.
            named: likewise.
        """
        return Trainer.compute_loss(self, *given, **named)

    def training_step(
        self, model: torch.nn.Module, inputs: Batch, num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """A forward and a backward pass, counted, and remembered until the step is over.

        Args:
            model: what is trained.
            inputs: a batch of input_ids, labels and position_ids, [rows, tokens].
            num_items_in_batch: trained tokens of all batches of the step, which their losses are divided by.

        Returns:
            The batch's part of the step's loss.
        """
        loss = super().training_step(model, {**inputs, "use_cache": False}, num_items_in_batch)
        self.counts[0] += (inputs["position_ids"] == 0).sum()
        self.counts[1] += (inputs["input_ids"] != self.pad_id).sum()
        self.counts[2] += (inputs["labels"][:, 1:] != IGNORE_INDEX).sum()
        self.step_batches.append((inputs, loss))
        return loss

    def _clip_grad_norm(self, model: torch.nn.Module) -> torch.Tensor:
        """Clips the gradients, before the weights change.

        Raises:
            UserError: if a loss or the gradients' norm is not finite.
        """
        norm = super()._clip_grad_norm(model)
        losses = torch.stack([loss for _, loss in self.step_batches])
        scaled = self.accelerator.scaler is not None  # in float16 an overflow lowers the scale, and the step is skipped
        if not losses.isfinite().all() or not (scaled or norm.isfinite()):
            raise UserError(self.describe_not_finite(losses, norm))
        self.step_batches.clear()
        return norm

    def describe_not_finite(self, losses: torch.Tensor, norm: torch.Tensor) -> str:
        """Names the step, what is not finite, and the records it came from.

        Args:
            losses: of the step's batches, [batches].
            norm: of the gradients.
        """
        bad = [batch for batch, loss in self.step_batches if not loss.isfinite()]
        value = f"training loss is {losses.sum().item()}" if bad else f"gradients' norm is {norm.item()}"
        batches = bad or [batch for batch, _ in self.step_batches]
        records = [self.names.get(tuple(ids), "?") for batch in batches for ids in split_records(batch, self.pad_id)]
        return not_finite_step(value, self.state.global_step + 1, records, self.params)

    def _get_train_sampler(self, *given: Any) -> Sampler[int] | None:
        return self.groups or super()._get_train_sampler(*given)

    def counted_tokens(self) -> int:
        """The tokens counted so far; in the main process with those of all processes before an interruption."""
        return int(self.counts[COUNTS.index("tokens")])

    def progress(self) -> dict[str, Any]:
        """Seconds of training and what was counted since step 0, by all processes and before interruptions."""
        counts = self.accelerator.reduce(self.counts).tolist()
        return {"seconds": self.seconds + time.perf_counter() - self.started} | dict(zip(COUNTS, counts, strict=True))

    def resume_counts(self) -> None:
        """Takes up the counts of the training that is resumed, which the last checkpoint has logged."""
        self.started, history = time.perf_counter(), cast(list[dict[str, Any]], self.state.log_history)
        for before in [entry["progress"] for entry in history if "progress" in entry][-1:]:
            self.seconds = before["seconds"]
            self._tr_loss += before["loss_since_log"]
            self._globalstep_last_logged = before["last_log"]
            if processes.is_main():  # the counts are of all processes
                self.counts += torch.tensor([before[name] for name in COUNTS], device=self.counts.device)

    def _save_checkpoint(self, model: torch.nn.Module, trial: Any) -> None:
        """Saves what a resumed training needs, and writes the manifest last.

        Raises:
            UserError: if it cannot be written; the one before is left.
        """
        history = cast(list[dict[str, Any]], self.state.log_history)
        loss = self.accelerator.reduce(self._tr_loss.clone(), "mean").item()  # which the next point is the mean of
        since = {"loss_since_log": loss, "last_log": self._globalstep_last_logged}
        history.append({"step": self.state.global_step, "progress": self.progress() | since})
        checkpoint = Path(str(self.args.output_dir), f"checkpoint-{self.state.global_step}")
        with checkpoints.guarded_write(checkpoint, checkpoint.parent):
            Trainer._save_checkpoint(self, model, trial)  # trl would add a model card
            if processes.is_main() and self.best:
                save_file(self.best, checkpoint / BEST)
            self.accelerator.wait_for_everyone()  # each process writes its own random state
            if processes.is_main():
                checkpoints.write_manifest(checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, *given: Any) -> None:
        """Loads the weights, and the best ones so far."""
        super()._load_from_checkpoint(resume_from_checkpoint, *given)
        best = Path(resume_from_checkpoint, BEST)
        self.best = load_file(best) if best.exists() else {}

    def store_best_weights(self) -> None:
        """Remembers the trained weights as the best so far."""
        self.best = copy_trained_weights(self.model)

    def restore_best_weights(self) -> None:
        """Puts the best weights in place of the last ones."""
        restore_trained_weights(self.model, self.best)
