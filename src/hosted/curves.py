"""The loss curves of jobs, as src/training/history.py has them, from the events of the jobs or from their results.

Covers the names that OpenAI and Azure give the figures. Where a loss over all validation records is told, it is taken
in place of the one over a batch of them.
"""

import base64
import binascii
import csv
import io
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from src.training.history import Point, shift_points

TRAINING, VALIDATION, WHOLE_VALIDATION = "train_loss", "valid_loss", "full_valid_loss"
DIGITS = 6

Metrics = Mapping[str, object]  # of a step


@dataclass
class Curves:
    """Steps, passes, and both loss curves of one round or several."""

    steps: int = 0
    epochs: float = 0.0
    training: list[Point] = field(default_factory=list)
    validation: list[Point] = field(default_factory=list)

    def then(self, later: "Curves") -> "Curves":
        """These curves and those of a later round as one: steps and epochs count on."""
        before = (self.steps, self.epochs)
        return Curves(
            self.steps + later.steps,
            self.epochs + later.epochs,
            self.training + shift_points(later.training, *before),
            self.validation + shift_points(later.validation, *before),
        )


def make_curves(metrics: Iterable[Metrics], epochs: float) -> Curves:
    """The curves of one round.

    Args:
        metrics: of single steps, in any order; what is no number is passed over.
        epochs: the passes over the examples.
    """
    by_step: dict[int, dict[str, float]] = {}
    for row in metrics:
        numbers = {name: number for name, value in row.items() if (number := as_number(value)) is not None}
        if "step" in numbers:
            by_step.setdefault(int(numbers["step"]), {}).update(numbers)
    steps = max([*by_step, *(int(row.get("total_steps", 0)) for row in by_step.values())], default=0)
    whole = any(WHOLE_VALIDATION in row for row in by_step.values())

    def curve(name: str) -> list[Point]:
        return [
            {"step": step, "epoch": round(step / max(1, steps) * epochs, 4), "loss": round(row[name], DIGITS)}
            for step, row in sorted(by_step.items())
            if name in row
        ]

    return Curves(steps, float(epochs), curve(TRAINING), curve(WHOLE_VALIDATION if whole else VALIDATION))


def as_number(value: object) -> float | None:
    """A number from 0 that is finite, also one that is written as text; None of anything else."""
    with suppress(TypeError, ValueError):
        number = float(value)  # type: ignore[arg-type]  # what it refuses is none
        return number if 0 <= number < float("inf") else None
    return None


def read_results(content: bytes) -> list[dict[str, Any]]:
    """The rows of a job's results, a CSV file that some services wrap in base64.

    Args:
        content: the file's.
    """
    if b"step" not in content[:200]:
        with suppress(binascii.Error):
            content = base64.b64decode(content, validate=True)
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig", errors="replace"), newline="")))
