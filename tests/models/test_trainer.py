"""The trainer's order of rows by groups of length."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.models.attention import Attention
from src.models.backends.transformers import load_trainable
from src.models.trainer import LengthGroups
from src.models.training import Job, build_trainer
from src.params import TrainParams
from src.prompts.encoding import Encoded, rows

LENGTHS = [7, 30, 8, 31, 9, 32, 10, 33] * 20


@pytest.fixture
def groups(train_params: TrainParams) -> LengthGroups:
    """An order of rows in batches of four."""
    short = train_params.model_copy(update={"batch_size": 4, "accumulation": 1})
    return LengthGroups({"input_ids": [[0] * length for length in LENGTHS]}, short)


def test_a_batch_holds_rows_of_about_equal_length(groups: LengthGroups) -> None:
    order = list(groups)
    assert sorted(order) == list(range(len(LENGTHS)))
    batches = [[LENGTHS[row] for row in order[start : start + 4]] for start in range(4, len(order), 4)]
    padding = sum(max(batch) * 4 - sum(batch) for batch in batches)
    assert padding < 0.15 * sum(LENGTHS)  # at random it is half of that sum


def test_each_epoch_has_its_own_order(groups: LengthGroups) -> None:
    first = list(groups)
    assert list(groups) == first
    groups.epoch = 1
    assert list(groups) != first


@pytest.mark.parametrize("packing", [True, False])
def test_records_that_no_kernel_can_pack_are_grouped(
    base_folder: Path, chat_tokenizer: Any, train_params: TrainParams, tmp_path: Path, packing: bool
) -> None:
    train = train_params.model_copy(update={"packing": packing, "epochs": 2, "accumulation": 1, "eval_steps": 100})
    encoded = [Encoded([3] * length, [3] * length) for length in (5, 9, 5, 9)]
    single: Callable[..., Any] = rows(encoded, 128, packing=False)
    job = Job(chat_tokenizer, rows(encoded[:1], 128, packing=False).to_list(), {}, train, Attention("sdpa", False, ""))
    trainer = build_trainer(load_trainable(base_folder, train), job, single, tmp_path)
    trainer.train()
    assert (trainer._get_train_sampler() is trainer.groups) == packing
    assert not packing or trainer.groups.epoch == 1
