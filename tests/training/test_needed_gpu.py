"""The GPU that training needs: the audit's estimate with room, for the processes of one machine."""

from typing import Any

import pytest

from src.errors import UserError
from src.params import TrainParams
from src.training.choices import Plan
from src.training.needed_gpu import is_stale, needed_gpu
from src.training.refusals import refuse_hosted_training

PLAN = Plan(steps=10, optimizer="adamw_torch", memory_gb={"none": 30, "alternate": 21, "all": 12})


@pytest.mark.parametrize(
    ("values", "gpus"),
    [
        ({"gradient_checkpointing": "auto"}, "15GB+"),
        ({"gradient_checkpointing": True}, "15GB+"),
        ({"gradient_checkpointing": "alternate"}, "27GB+"),
        ({"gradient_checkpointing": False}, "38GB+"),
        ({"launcher": "accelerate launch --num_processes 2 -m"}, "38GB+:2"),
        ({"launcher": "accelerate launch --num_machines 2 --num_processes 16 -m"}, "38GB+:8"),
        ({"launcher": "accelerate launch --num_machines 2 --num_processes 2 -m"}, "38GB+"),
    ],
)
def test_the_estimate_takes_four_fifths_of_the_gpu(
    train_params: TrainParams, values: dict[str, Any], gpus: str
) -> None:
    assert needed_gpu(train_params.model_copy(update=values), PLAN) == gpus


def test_no_gpu_is_needed_where_a_service_trains(train_params: TrainParams) -> None:
    with pytest.raises(UserError, match="no GPU has to be borrowed"):
        refuse_hosted_training(train_params.model_copy(update={"backend": "openai"}))


@pytest.mark.parametrize(
    ("status", "stale"),
    [
        ({}, False),
        (
            {"format": [{"changed deps": {"data/split": "deleted"}}, {"changed outs": {"data/prompts": "deleted"}}]},
            False,
        ),
        ({"audit": [{"changed outs": {"data/training_plan.json": "not in cache"}}]}, False),
        ({"audit": [{"changed deps": {"params.yaml": {"train.lora_r": "modified"}}}]}, True),
        ({"format": [{"changed deps": {"src/prompts/encoding.py": "modified"}}]}, True),
        ({"decompress": [{"changed deps": {"params.yaml": {"data.columns": "new"}}}]}, True),
    ],
)
def test_what_a_fresh_clone_lacks_is_no_change(status: Any, stale: bool) -> None:
    assert is_stale(status) is stale
