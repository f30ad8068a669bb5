"""Measures a Trainer, whoever's it is: seconds a step, tokens and records, memory.

Covers the steps after a warm-up, up to a number of seconds. Import it late: transformers comes with it, and unsloth
wants to be imported before.
"""

import gc
import time
from typing import Any

import torch
from transformers import TrainerCallback

from benchmarks.flops import synchronize
from src.prompts.encoding import IGNORE_INDEX

WARM_UP = 5  # steps: kernels are compiled in the first
COUNTS = ("records", "tokens", "trained_tokens", "places")


class Meter(TrainerCallback):
    """Counts what goes through a trainer, and stops it some seconds after the warm-up."""

    def __init__(self, trainer: Any, pad_id: int, seconds: float) -> None:
        self.pad_id, self.seconds = pad_id, seconds
        self.counts = torch.zeros(len(COUNTS), dtype=torch.int64, device=trainer.args.device)
        self.marks: list[tuple[float, torch.Tensor]] = []
        self.step = trainer.training_step
        trainer.training_step = self.counted
        trainer.callback_handler.callbacks.insert(0, self)  # before others, who may measure something themselves
        if torch.cuda.is_available():  # what loading left behind is nobody's need
            gc.collect()
            torch.cuda.empty_cache()

    def counted(self, model: Any, inputs: Any, *given: Any, **named: Any) -> Any:
        """A training step on a batch that is counted."""
        self.counts += torch.stack(
            [
                count_records(inputs),
                (inputs["input_ids"] != self.pad_id).sum(),
                (inputs["labels"][:, 1:] != IGNORE_INDEX).sum(),
                torch.tensor(inputs["input_ids"].numel(), device=self.counts.device),
            ]
        )
        return self.step(model, inputs, *given, **named)

    def on_step_end(self, args: Any, state: Any, control: Any, **given: Any) -> None:
        """Marks the time at which the device had done the step."""
        synchronize()
        self.marks.append((time.perf_counter(), self.counts.clone()))
        if len(self.marks) == WARM_UP and torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        if len(self.marks) > WARM_UP and self.marks[-1][0] - self.marks[WARM_UP - 1][0] > self.seconds:
            control.should_training_stop = True

    def measured(self) -> dict[str, Any]:
        """Figures of the steps after the warm-up: seconds in all, and counts by their names."""
        (start, before), (end, after) = self.marks[WARM_UP - 1], self.marks[-1]
        counts = dict(zip(COUNTS, (after - before).tolist(), strict=True))
        return {"steps": len(self.marks) - WARM_UP, "seconds": round(end - start, 3), **counts, **memory_figures()}


def count_records(inputs: Any) -> torch.Tensor:
    """How many records a batch holds: places where positions start again, or rows."""
    if "position_ids" in inputs:
        return (inputs["position_ids"] == 0).sum()
    return torch.tensor(len(inputs["input_ids"]), device=inputs["input_ids"].device)


def memory_figures() -> dict[str, float]:
    """The GPU's memory in GB (2^30 bytes) that tensors took at most, and that was taken from the device."""
    if not torch.cuda.is_available():
        return {}
    taken = {"allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}
    return {f"peak_{name}_gb": round(size / 2**30, 2) for name, size in taken.items()}
