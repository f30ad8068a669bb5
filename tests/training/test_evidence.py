"""The evidence of training: matrices that moved, steps as predicted; and speed by what was counted."""

from pathlib import Path

import pytest
import torch

from src.errors import UserError
from src.models.backends.transformers import load_trainable
from src.params import TrainParams
from src.training.evidence import training_evidence, training_throughput
from src.training.history import TrainingRun


def finished(steps: int, stopped_early: bool = False) -> TrainingRun:
    points = [{"step": step, "epoch": 2.0, "loss": loss} for step, loss in ((0, 3.0), (1, 1.0), (2, 2.0))]
    return TrainingRun(
        steps=steps,
        kept_step=1,
        stopped_early=stopped_early,
        seconds=10.0,
        samples=40,
        tokens=2000,
        trained_tokens=1000,
        training_loss=points,
        validation_loss=points,
    )


def test_matrices_that_stood_still_and_other_steps_are_refused(base_folder: Path, train_params: TrainParams) -> None:
    untrained = load_trainable(base_folder, train_params)
    with pytest.raises(UserError, match="0 of 21 B matrices moved in 6 steps of 6 predicted"):
        training_evidence(untrained, finished(6), predicted_steps=6)
    for name, weight in untrained.named_parameters():
        if "lora_B" in name:
            torch.nn.init.ones_(weight)
    for steps, stopped_early in ((5, False), (7, True)):
        with pytest.raises(UserError, match=f"21 of 21 B matrices moved in {steps} steps of 6 predicted"):
            training_evidence(untrained, finished(steps, stopped_early), predicted_steps=6)
    assert training_evidence(untrained, finished(5, stopped_early=True), predicted_steps=6)["steps"] == 5
    found = training_evidence(untrained, finished(6), predicted_steps=6)
    assert (found["validation_loss_first"], found["validation_loss_best"], found["validation_loss_last"]) == (
        3,
        1,
        2,
    )
    assert (found["validation_loss_best_step"], found["kept_step"]) == (1, 1)
    assert found["validation_loss_kept"] == found["validation_loss_best"] < found["validation_loss_last"]
    assert (found["tokens_seen"], found["trained_tokens_seen"]) == (2000, 1000)
    assert found["trainable_parameters"] == sum(w.numel() for w in untrained.parameters() if w.requires_grad)


def test_speed_is_what_was_counted_by_seconds() -> None:
    measured = training_throughput(finished(6), 3)
    assert (measured["tokens_per_second"], measured["trained_tokens_per_second"]) == (200, 100)
    assert (measured["samples_per_second"], measured["training_seconds"], measured["processes"]) == (4.0, 10.0, 1)
    # Not what one of them may add, the CUDA that PyTorch was built for: 2.13.0+cu130.
    assert measured["torch"].split("+")[0] == torch.__version__.split("+")[0]
