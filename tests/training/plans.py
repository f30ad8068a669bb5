"""The audit's plan of a training that leaves nothing to choose."""

from typing import Any


def training_plan(steps: int) -> dict[str, Any]:
    """What data/training_plan.json holds for so many optimiser steps of a tiny model."""
    return {"steps": steps, "optimizer": "adamw_torch", "memory_gb": {"none": 1, "alternate": 1, "all": 1}}
