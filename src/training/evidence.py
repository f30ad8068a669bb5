"""What shows that training took place, and how fast.

Covers the figures of metrics/train.json, which two identical runs share, and of metrics/runtime.json, which they do
not.
"""

from importlib.metadata import version
from typing import Any

from src.errors import UserError
from src.models import processes
from src.models.collation import Row
from src.training.rounds import TrainingRun

PACKAGES = ("torch", "transformers", "trl", "peft", "bitsandbytes", "accelerate")


def training_evidence(model: Any, run: TrainingRun, predicted_steps: int) -> Row:
    """Steps, tokens, parameters, losses, and how many of LoRA's B matrices left zero.

    Raises:
        UserError: if a B matrix did not move, or the steps are not those predicted.
    """
    b_matrices = [weight for name, weight in model.named_parameters() if "lora_B" in name]
    moved = sum(bool(weight.detach().abs().max() > 0) for weight in b_matrices)
    as_predicted = run.steps == predicted_steps or (run.stopped_early and run.steps < predicted_steps)
    if moved < len(b_matrices) or not as_predicted:
        raise UserError(
            f"training proved nothing: {moved} of {len(b_matrices)} B matrices moved in {run.steps} steps of "
            f"{predicted_steps} predicted: check train.lr and that the prompts hold what the audit saw."
        )
    best = min(run.validation_loss[1:], key=lambda point: point["loss"])
    kept = best if run.kept_step == best["step"] else run.validation_loss[-1]
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
        "validation_loss_last": run.validation_loss[-1]["loss"],
        "validation_loss_kept": kept["loss"],
    }


def throughput(run: TrainingRun) -> Row:
    """Throughput of a run, the memory it needed, and on what it ran."""
    import torch

    on_gpu = torch.cuda.is_available()
    return {
        "training_seconds": round(run.seconds, 1),
        "tokens_per_second": round(run.tokens / run.seconds),
        "trained_tokens_per_second": round(run.trained_tokens / run.seconds),
        "samples_per_second": round(run.samples / run.seconds, 2),
        "device": torch.cuda.get_device_name() if on_gpu else "CPU",
        "processes": processes.world_size(),
        "gpu_peak_memory_mb": round(torch.cuda.max_memory_allocated() / 2**20) if on_gpu else 0,
        **{package: version(package) for package in PACKAGES},
    }
