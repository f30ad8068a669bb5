"""Measures any transformers Trainer: seconds, steps, tokens, records, memory; or profiles some of its steps.

Covers the steps after a warm-up. Import it late: it imports transformers, and unsloth has to be imported before that.
"""

import gc
import time
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from benchmarks.flops import synchronize
from src.prompts.encoding import IGNORE_INDEX

WARM_UP = 5  # steps: kernels are compiled in the first ones
COUNTS = ("records", "tokens", "trained_tokens", "places")  # places: tokens and padding


class Meter(TrainerCallback):
    """Counts what goes through a trainer, and stops it some seconds after the warm-up.

    Args:
        trainer: its training_step is replaced by one that counts.
        pad_id: the padding's token id.
        seconds: of training to measure.
    """

    def __init__(self, trainer: Trainer, pad_id: int, seconds: float) -> None:
        self.pad_id, self.seconds = pad_id, seconds
        self.counts = torch.zeros(len(COUNTS), dtype=torch.int64, device=trainer.args.device)
        self.marks: list[tuple[float, Tensor]] = []
        self.training_step = trainer.training_step
        trainer.training_step = self.counted_step  # type: ignore[method-assign]
        trainer.callback_handler.callbacks.insert(0, self)  # before others, whose own work is not to be measured
        if torch.cuda.is_available():  # else the memory that loading needed for a moment would count as training's
            gc.collect()
            torch.cuda.empty_cache()

    def counted_step(self, model: nn.Module, inputs: dict[str, Tensor], *given: Any, **named: Any) -> Tensor:
        """Runs a training step and counts its batch.

        Args:
            model: passed on.
            inputs: the batch: input_ids and labels, [rows, tokens].
            given: passed on.
            named: passed on.

        Returns:
            The trainer's loss.
        """
        self.counts += torch.stack(
            [
                count_records(inputs),
                (inputs["input_ids"] != self.pad_id).sum(),
                (inputs["labels"][:, 1:] != IGNORE_INDEX).sum(),
                on_device(inputs["input_ids"].numel(), inputs["input_ids"]),
            ]
        )
        return self.training_step(model, inputs, *given, **named)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Notes the time and the counts after a step, and ends training when it was measured for long enough.

        Args:
            args: not used.
            state: not used.
            control: told to stop.
            given: not used.
        """
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
        taken = {"steps": len(self.marks) - WARM_UP, "seconds": round(end - start, 3)}
        return {**taken, **counts, **memory_figures(), "graphs": compiled_graphs()}


class StepProfiler(TrainerCallback):
    """Profiles some steps after the warm-up, and stops the trainer then.

    Args:
        trainer: what trains.
        steps: to profile.
    """

    def __init__(self, trainer: Trainer, steps: int) -> None:
        self.steps, self.start, self.seconds = steps, 0.0, 0.0
        self.on_gpu = torch.cuda.is_available()
        self.profile = profile(activities=[ProfilerActivity.CUDA if self.on_gpu else ProfilerActivity.CPU])
        trainer.callback_handler.callbacks.insert(0, self)  # before others, whose own work is not to be profiled

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Starts the profiler after the warm-up, and ends it and the training after its steps.

        Args:
            args: not used.
            state: tells the step.
            control: told to stop.
            given: not used.
        """
        if state.global_step == WARM_UP:
            synchronize()
            self.profile.start()
            self.start = time.perf_counter()
        elif state.global_step == WARM_UP + self.steps:
            synchronize()
            self.seconds = time.perf_counter() - self.start
            self.profile.stop()
            control.should_training_stop = True


def count_records(batch: dict[str, Tensor]) -> Tensor:
    """How many records a batch holds: the positions that are 0, or its rows where it has no positions."""
    if "position_ids" in batch:
        return (batch["position_ids"] == 0).sum()
    return on_device(len(batch["input_ids"]), batch["input_ids"])


def on_device(count: int, tensor: Tensor) -> Tensor:
    """A count beside a tensor. A GPU fills it in turn; to copy it there would wait for all that is still to run.

    Args:
        count: the number.
        tensor: on the device that is meant.
    """
    return torch.full((), count, device=tensor.device)


def memory_figures() -> dict[str, float]:
    """The GPU's memory in GB (2^30 bytes) that tensors took at most, and that PyTorch took from the device for them."""
    if not torch.cuda.is_available():
        return {}
    taken = {"allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}
    return {f"peak_{name}_gb": round(size / 2**30, 2) for name, size in taken.items()}


def compiled_graphs() -> int:
    """How many graphs torch.compile has made: layers that it gave up on run all the same, and nothing else tells."""
    from torch._dynamo.utils import counters

    return counters["stats"]["unique_graphs"]
