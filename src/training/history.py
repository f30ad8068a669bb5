"""What training leaves beside the adapter: how far it went, what it counted, and its loss curves.

Covers one round and several joined into one. Does not check them: evidence.py does.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from src.training.trainer import CompletionTrainer

Point = dict[str, Any]  # step, epoch, and loss in nats a token


@dataclass
class TrainingRun:
    """Counts over all processes, and loss curves."""

    steps: int = 0
    kept_step: int = 0
    stopped_early: bool = False
    seconds: float = 0.0
    samples: int = 0
    tokens: int = 0
    trained_tokens: int = 0
    training_loss: list[Point] = field(default_factory=list)
    validation_loss: list[Point] = field(default_factory=list)

    def then(self, later: "TrainingRun") -> "TrainingRun":
        """This training and a later one as one: steps and epochs count on."""
        if not self.steps:
            return later
        epochs = self.training_loss[-1]["epoch"]
        return TrainingRun(
            steps=self.steps + later.steps,
            kept_step=self.steps + later.kept_step,
            stopped_early=self.stopped_early or later.stopped_early,
            seconds=self.seconds + later.seconds,
            samples=self.samples + later.samples,
            tokens=self.tokens + later.tokens,
            trained_tokens=self.trained_tokens + later.trained_tokens,
            training_loss=self.training_loss + shift_points(later.training_loss, self.steps, epochs),
            # The first point of a later round is the last one of the round before.
            validation_loss=self.validation_loss + shift_points(later.validation_loss[1:], self.steps, epochs),
        )


def shift_points(points: list[Point], steps: int, epochs: float) -> list[Point]:
    """Points of a loss curve, so many steps and epochs later.

    Args:
        points: of a later training, from 0.
        steps: optimiser steps before it.
        epochs: epochs before it.
    """
    return [point | {"step": point["step"] + steps, "epoch": round(point["epoch"] + epochs, 4)} for point in points]


def collect_run(trainer: "CompletionTrainer") -> TrainingRun:
    """What a trainer that has finished counted and logged."""
    state, train = trainer.state, trainer.params
    validation = loss_curve(state.log_history, "validation_loss")
    return TrainingRun(
        steps=state.global_step,
        kept_step=best_point(validation)["step"] if train.best_checkpoint else state.global_step,
        stopped_early=state.global_step < state.max_steps,
        **trainer.progress(),
        training_loss=loss_curve(state.log_history, "loss"),
        validation_loss=validation,
    )


def loss_curve(history: list[dict[str, Any]], key: str) -> list[Point]:
    """The points of a loss curve.

    Args:
        history: the Trainer's log.
        key: what the log calls the loss.
    """
    return [
        {"step": entry["step"], "epoch": round(entry["epoch"], 4), "loss": round(entry[key], 6)}
        for entry in history
        if key in entry
    ]


def best_point(validation: list[Point]) -> Point:
    """The first of the lowest validation losses; the first point is the base model's, of which nothing is kept."""
    return min(validation[1:], key=lambda point: point["loss"])
