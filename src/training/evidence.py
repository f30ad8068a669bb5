"""What shows that training took place, and how fast.

Covers the figures of reports/train.json, which two identical trainings share, and of runtime.json, which they
do not.
"""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.models import processes
from src.training.history import TrainingRun, best_point
from src.training.refusals import refuse_untrained

if TYPE_CHECKING:
    from torch.nn import Module

# Whose versions change how fast training is, or its last digits.
PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate")


def training_evidence(model: "Module", run: TrainingRun, predicted_steps: int) -> dict[str, Any]:
    """Steps, tokens, parameters, losses in nats a token, and how many of LoRA's B matrices left zero.

    Args:
        model: the trained model.
        run: what training counted and logged.
        predicted_steps: the optimiser steps that were to be taken.

    Raises:
        UserError: if a B matrix did not move, or the steps are not those predicted.
    """
    b_matrices = [weight for name, weight in model.named_parameters() if "lora_B" in name]
    moved = sum(bool(weight.detach().abs().max() > 0) for weight in b_matrices)  # they start from zero
    refuse_untrained(moved, len(b_matrices), run.steps, predicted_steps, run.stopped_early)
    best, last = best_point(run.validation_loss), run.validation_loss[-1]
    kept = best if run.kept_step == best["step"] else last
    return {
        "steps": run.steps,
        "predicted_steps": predicted_steps,
        "kept_step": run.kept_step,
        "tokens_seen": run.tokens,
        "trained_tokens_seen": run.trained_tokens,
        "b_matrices_moved": moved,
        "b_matrices": len(b_matrices),
        "trainable_parameters": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        "training_loss_last": run.training_loss[-1]["loss"],
        "validation_loss_first": run.validation_loss[0]["loss"],
        "validation_loss_best": best["loss"],
        "validation_loss_best_step": best["step"],
        "validation_loss_last": last["loss"],
        "validation_loss_kept": kept["loss"],
    }


def training_throughput(run: TrainingRun, estimated_memory: int) -> dict[str, Any]:
    """How fast training was, the memory it needed, and on what it ran.

    Args:
        run: what training counted and logged.
        estimated_memory: what it was to need on a GPU, GB, rounded up.
    """
    import torch

    on_gpu = torch.cuda.is_available()
    return {
        "training_seconds": round(run.seconds, 1),
        "tokens_per_second": round(run.tokens / run.seconds),
        "trained_tokens_per_second": round(run.trained_tokens / run.seconds),
        "samples_per_second": round(run.samples / run.seconds, 2),
        "device": torch.cuda.get_device_name() if on_gpu else processor_name(),
        "processes": processes.world_size(),
        "gpu_peak_memory_mb": round(torch.cuda.max_memory_allocated() / 2**20) if on_gpu else 0,
        "gpu_estimated_memory_mb": estimated_memory * 2**10 if on_gpu else 0,
        **{package: version(package) for package in PACKAGES},
    }


def device_name() -> str:
    """What equal floats depend on, for metrics/train.json: the model of the GPU, but of a processor the maker alone."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{processor_name().split()[0].removesuffix('(R)')} CPU"


def processor_name() -> str:
    """The processor as the system names it."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine() or "unknown")
