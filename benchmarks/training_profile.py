"""Profiles a few steps of training: which kernels take the time, and for how long none runs.

Covers the steps after a warm-up, in which kernels are compiled. Tells what to change next; how fast it is without a
profiler, training_speed.py tells.

    python -m benchmarks.training_profile TASK.json RESULT.json
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.training_speed import TrainingTask, prepare_training
from src import numerics
from src.files import read_json, write_json

if TYPE_CHECKING:
    from torch.profiler import profile

PROFILED = 3  # steps
LARGEST = 25  # kernels that are named


def main() -> None:
    """Profiles the training of a task."""
    task, target = TrainingTask(**read_json(sys.argv[1])), Path(sys.argv[2])
    numerics.fix_cpu()
    write_json(target, profile_training(task))


def profile_training(task: TrainingTask) -> dict[str, Any]:
    """How many steps were profiled, the seconds they took, and what `largest_kernels` tells of them."""
    (trainer, _), _, _ = prepare_training(task)

    from benchmarks.meter import StepProfiler

    profiler = StepProfiler(trainer, PROFILED)
    trainer.train()
    return {
        "steps": PROFILED,
        "seconds": round(profiler.seconds, 3),
        **largest_kernels(profiler.profile, profiler.seconds, profiler.on_gpu),
    }


def largest_kernels(profiler: "profile", seconds: float, on_gpu: bool) -> dict[str, Any]:
    """The share of the time in which a kernel ran, and the kernels that took most of it.

    Args:
        profiler: stopped.
        seconds: that were profiled.
        on_gpu: whether kernels of the GPU are meant; else operators of PyTorch on the CPU.
    """
    time_of = "self_device_time_total" if on_gpu else "self_cpu_time_total"  # in microseconds
    taken = {event.key: (getattr(event, time_of) / 1e6 / seconds, event.count) for event in profiler.key_averages()}
    largest = sorted(taken.items(), key=lambda entry: -entry[1][0])[:LARGEST]
    return {
        "busy": round(sum(share for share, _ in taken.values()), 4),
        "kernels": [
            {"name": name, "share": round(share, 4), "calls_per_step": round(calls / PROFILED, 1)}
            for name, (share, calls) in largest
        ],
    }


if __name__ == "__main__":
    main()
