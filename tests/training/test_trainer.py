"""The trainer: rows by groups of length, batches for each process, what it asks of FSDP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.utils import FullyShardedDataParallelPlugin
from hypothesis import given
from hypothesis import strategies as st
from torch.distributed.fsdp.wrap import size_based_auto_wrap_policy, transformer_auto_wrap_policy

from src.models.attention import Attention
from src.models.backends.transformers import load_trainable
from src.params import TrainParams
from src.prompts.encoding import IGNORE_INDEX, EncodedRecord
from src.prompts.packing import make_rows
from src.training.length_groups import LengthGroupedSampler
from src.training.rounds import TrainingContext, build_trainer
from src.training.sharding import configure_fsdp
from src.training.validation import shard_batches

LENGTHS = [7, 30, 8, 31, 9, 32, 10, 33] * 20


@pytest.fixture
def groups(train_params: TrainParams) -> LengthGroupedSampler:
    """An order of rows in batches of four."""
    short = train_params.model_copy(update={"batch_size": 4, "accumulation": 1})
    return LengthGroupedSampler({"input_ids": [[0] * length for length in LENGTHS]}, short)


def test_a_batch_holds_rows_of_about_equal_length(groups: LengthGroupedSampler) -> None:
    order = list(groups)
    assert sorted(order) == list(range(len(LENGTHS)))
    batches = [[LENGTHS[row] for row in order[start : start + 4]] for start in range(4, len(order), 4)]
    padding = sum(max(batch) * 4 - sum(batch) for batch in batches)
    assert padding < 0.15 * sum(LENGTHS)  # at random it is half of that sum


def test_each_epoch_has_its_own_order(groups: LengthGroupedSampler) -> None:
    first = list(groups)
    assert list(groups) == first
    groups.epoch = 1
    assert list(groups) != first


@pytest.mark.parametrize("packing", [True, False])
def test_records_that_no_kernel_can_pack_are_grouped(
    base_folder: Path, chat_tokenizer: Any, train_params: TrainParams, tmp_path: Path, packing: bool
) -> None:
    train = train_params.model_copy(update={"packing": packing, "epochs": 2, "accumulation": 1, "eval_steps": 100})
    encoded = [EncodedRecord([3] * length, [3] * length) for length in (5, 9, 5, 9)]
    single: Callable[..., Any] = make_rows(encoded, 128, packing=False)
    context = TrainingContext(
        chat_tokenizer, make_rows(encoded[:1], 128, packing=False).to_list(), {}, train, Attention("sdpa", False, "")
    )
    trainer = build_trainer(load_trainable(base_folder, train), context, single, tmp_path)
    trainer.train()
    assert (trainer._get_train_sampler() is trainer.groups) == packing
    assert not packing or (trainer.groups and trainer.groups.epoch == 1)


@given(st.integers(0, 9), st.integers(1, 5))
def test_every_process_has_as_many_batches_and_each_token_is_measured_once(batches: int, count: int) -> None:
    every = [[{"input_ids": [3, 4], "labels": [IGNORE_INDEX, number]}] for number in range(batches)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("WORLD_SIZE", str(count))
        shares = []
        for rank in range(count):
            patched.setenv("RANK", str(rank))
            shares.append(shard_batches(every))
    assert len({len(share) for share in shares}) == 1
    labels = [label for share in shares for [row] in share for label in row["labels"] if label != IGNORE_INDEX]
    assert sorted(labels) == list(range(batches))
    assert all(row["input_ids"] == [3, 4] for share in shares for [row] in share)


def test_a_model_is_sharded_by_layers_and_only_its_products_are_in_16_bits() -> None:
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, mixed_precision_policy="bf16")
    configure_fsdp(plugin, torch.nn.Linear(2, 2))
    policy = plugin.mixed_precision_policy
    assert (policy.param_dtype, policy.reduce_dtype, policy.output_dtype) == (torch.bfloat16, torch.float32, None)
    assert plugin.auto_wrap_policy is transformer_auto_wrap_policy


def test_other_choices_for_sharding_a_model_are_left() -> None:
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="SIZE_BASED_WRAP")
    configure_fsdp(plugin, torch.nn.Linear(2, 2))
    assert plugin.auto_wrap_policy is size_based_auto_wrap_policy
    assert plugin.mixed_precision_policy is None
