"""Tells which GPU training needs, as `sky launch --gpus` takes it: 24GB+ is any GPU with 24 GB or more, 24GB+:2 two.

The memory is the audit's estimate for the parameters as they are, with room for what the estimate leaves out; the
number of GPUs on a machine is that of train.launcher. For several machines add `--num-nodes` to SkyPilot's options.

    sky launch cloud/sky.yaml --gpus "$(python -m src.training.needed_gpu)" ...
"""

import argparse
import json
import math
import sys
from typing import Any

from src.errors import UserError
from src.experiments import run_dvc
from src.models.processes import launcher_world_size
from src.params import TrainParams, params_for_stage
from src.training.choices import CHECKPOINTING, PLAN, USABLE_MEMORY, Plan, read_plan
from src.training.machines import machine_count
from src.training.refusals import refuse_hosted_training, refuse_missing_plan, refuse_stale_plan

STAGE = "audit"


def needed_gpu(train: TrainParams, plan: Plan) -> str:
    """The GPUs that a machine needs: the least with which training fits.

    Args:
        train: the parameters of training.
        plan: the audit's.
    """
    least = CHECKPOINTING.get(train.gradient_checkpointing, "all")  # auto goes as far as it has to
    memory = math.ceil(plan.memory_gb[least] / USABLE_MEMORY)
    count = launcher_world_size(train.launcher) // machine_count(train.launcher)
    return f"{memory}GB+" + (f":{count}" if count > 1 else "")


def is_stale(status: Any) -> bool:
    """Whether parameters, code or data have changed since the audit; what a fresh clone has not pulled is no change.

    Args:
        status: what `dvc status --json` prints, or a part of it.
    """
    if isinstance(status, dict):
        return any(is_stale(value) for value in status.values())
    if isinstance(status, list):
        return any(is_stale(value) for value in status)
    return status in ("modified", "new")


def main() -> None:
    """Prints the GPU, or what keeps it from being known."""
    argparse.ArgumentParser(
        prog="python -m src.training.needed_gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    ).parse_args()
    try:
        train = params_for_stage("train").train
        refuse_hosted_training(train)
        refuse_missing_plan(PLAN)
        refuse_stale_plan(is_stale(json.loads(run_dvc("status", "--json", "--with-deps", STAGE))))
        print(needed_gpu(train, read_plan()))
    except UserError as error:
        sys.exit(f"needed_gpu: {error}")


if __name__ == "__main__":
    main()
