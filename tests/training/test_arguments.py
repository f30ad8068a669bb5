"""The optimiser and the workers in the Trainer's words, on a CPU and on a GPU."""

from pathlib import Path

import pytest
import torch
from transformers.training_args import OptimizerNames

from src.params import TrainParams
from src.training.arguments import collating_workers, optimizer_name, training_arguments


@pytest.mark.parametrize(
    ("asked", "on_a_cpu", "on_a_gpu"),
    [
        ("paged_adamw_8bit", "adamw_8bit", "paged_adamw_8bit"),
        ("adamw_8bit", "adamw_8bit", "adamw_8bit"),
        ("adamw_torch", "adamw_torch", "adamw_torch_fused"),
    ],
)
def test_an_optimiser_is_the_one_that_the_device_has(asked: str, on_a_cpu: str, on_a_gpu: str) -> None:
    assert (optimizer_name(asked, on_gpu=False), optimizer_name(asked, on_gpu=True)) == (on_a_cpu, on_a_gpu)
    assert {on_a_cpu, on_a_gpu} <= {name.value for name in OptimizerNames}


def test_a_compiled_model_is_left_to_its_backend(train_params: TrainParams, tmp_path: Path) -> None:
    compiled = train_params.model_copy(update={"compile": True})  # the Trainer would compile the whole model
    assert not training_arguments(compiled, tmp_path).torch_compile


def test_a_process_makes_batches_beside_a_gpu_alone(train_params: TrainParams, tmp_path: Path) -> None:
    assert (collating_workers(on_gpu=False), collating_workers(on_gpu=True)) == (0, 1)
    here = training_arguments(train_params, tmp_path).dataloader_num_workers
    assert here == collating_workers(torch.cuda.is_available())
