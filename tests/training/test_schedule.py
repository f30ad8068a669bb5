"""Rounds: consecutive parts of equal size, and the steps that transformers' Trainer and accelerate really take."""

from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from hypothesis import given
from hypothesis import strategies as st
from torch.utils.data import BatchSampler, Dataset, SequentialSampler
from transformers import Trainer, TrainingArguments

from src.params import TrainParams
from src.training.schedule import predict_steps, split_rounds


@given(st.lists(st.integers()), st.integers(1, 9))
def test_parts_are_consecutive_and_of_equal_size(records: list[int], rounds: int) -> None:
    found = split_rounds(records, rounds)
    assert len(found) == rounds
    assert [record for part in found for record in part] == records
    assert max(map(len, found)) - min(map(len, found)) <= 1


class Numbers(Dataset):
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict[str, float]:
        return {"number": float(index)}


class Weight(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, number: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": (self.weight * number).mean()}


def steps_taken(folder: Path, rows: int, train: TrainParams) -> int:
    """The optimiser steps of the Trainer on so many rows, in one process."""
    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=train.batch_size,
        gradient_accumulation_steps=train.accumulation,
        num_train_epochs=train.epochs,
        max_steps=train.max_steps or -1,
        use_cpu=True,
        report_to="none",
        save_strategy="no",
        disable_tqdm=True,
        dataloader_pin_memory=False,
    )
    trainer = Trainer(Weight(), arguments, train_dataset=Numbers(rows))
    trainer.train()
    assert trainer.state.global_step == trainer.state.max_steps
    return trainer.state.global_step


@pytest.mark.parametrize(
    ("rows_a_round", "batch_size", "accumulation", "epochs", "max_steps"),
    [
        ([8], 2, 2, 1.0, 0),
        ([7], 2, 3, 2.0, 0),
        ([9], 4, 2, 1.5, 0),
        ([5], 2, 8, 3.0, 0),
        ([10], 2, 2, 0.3, 0),
        ([7], 2, 2, 2.5, 0),
        ([9], 2, 1, 1.0, 3),
        ([3], 4, 1, 1.0, 5),
        ([5, 6], 4, 1, 1.5, 0),
        ([5, 5, 6], 2, 2, 1.0, 2),
    ],
)
def test_steps_are_predicted_as_the_trainer_takes_them(
    tmp_path: Path,
    train_params: TrainParams,
    rows_a_round: list[int],
    batch_size: int,
    accumulation: int,
    epochs: float,
    max_steps: int,
) -> None:
    values = {"batch_size": batch_size, "accumulation": accumulation, "epochs": epochs, "max_steps": max_steps}
    train = train_params.model_copy(update=values)
    taken = sum(steps_taken(tmp_path, rows, train) for rows in rows_a_round)
    assert predict_steps(rows_a_round, train, processes=1) == taken


class Shard(BatchSamplerShard):
    """The batches that accelerate gives one of several processes."""

    def __init__(self, rows: int, batch_size: int, processes: int, process: int) -> None:
        every: Any = BatchSampler(SequentialSampler(range(rows)), batch_size, drop_last=False)
        super().__init__(every, processes, process)


@given(st.integers(1, 60), st.integers(1, 5), st.integers(1, 5))
def test_processes_share_the_batches_as_accelerate_does(rows: int, batch_size: int, processes: int) -> None:
    train = TrainParams.model_construct(batch_size=batch_size, accumulation=1, epochs=1.0, max_steps=0)
    taken = {len(list(Shard(rows, batch_size, processes, process))) for process in range(processes)}
    assert taken == {predict_steps([rows], train, processes)}
