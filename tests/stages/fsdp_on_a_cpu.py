"""The train stage with its model sharded over processes on a CPU: a script for `accelerate launch --use_fsdp`.

accelerate shards models over GPUs alone: on a CPU it leaves the distributed type at MULTI_CPU. This puts FSDP there, as
AcceleratorState does for a GPU, and lifts our refusal of it. Everything else is real: accelerate's preparation of the
model and torch's fully_shard, over gloo.
"""

import argparse
import itertools
import runpy
import signal
import sys
from collections.abc import Callable
from typing import Any

from src import numerics

numerics.fix_cpu()  # before torch

import torch  # noqa: E402
from accelerate.state import AcceleratorState, PartialState  # noqa: E402
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin  # noqa: E402
from bitsandbytes.nn import Linear4bit  # noqa: E402
from torch.distributed.tensor import DTensor  # noqa: E402

from src.models import loading, loss  # noqa: E402
from src.models.backends import transformers  # noqa: E402
from src.training import rounds  # noqa: E402
from src.training.history import TrainingRun  # noqa: E402
from src.training.trainer import CompletionTrainer  # noqa: E402

initialise, finish = AcceleratorState.__init__, rounds.collect_run


def initialised(
    self: AcceleratorState, *given: Any, fsdp_plugin: FullyShardedDataParallelPlugin | None = None, **named: Any
) -> None:
    """accelerate's own, for a CPU as for a GPU."""
    initialise(self, *given, fsdp_plugin=fsdp_plugin, **named)
    if fsdp_plugin and self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = PartialState._shared_state["distributed_type"] = DistributedType.FSDP
        self.fsdp_plugin = fsdp_plugin
        if self._mixed_precision != "no":
            fsdp_plugin.set_mixed_precision(self._mixed_precision)


def finished(trainer: CompletionTrainer) -> TrainingRun:
    """Our own, once each of the two processes is seen to hold one of two shards of every weight."""
    weights: list[Any] = list(trainer.model.parameters())
    assert all(isinstance(weight, DTensor) for weight in weights)
    assert all(weight.to_local().numel() * 2 == weight.numel() for weight in weights)
    return finish(trainer)


def in_4_bits(model: Any) -> Any:
    """A 4-bit model as it is, as on a GPU; without the kernel that our own keeps bitsandbytes from."""
    for module in model.modules():
        if isinstance(module, Linear4bit):
            module.support_avx512bf16_for_cpu = False
    return model


def killed_at(number: int) -> Callable[..., None]:
    """What saves a checkpoint, and kills the process after one of them."""
    save, saved = CompletionTrainer._save_checkpoint, itertools.count(1)

    def saved_and_killed(self: Any, *given: Any) -> None:
        save(self, *given)
        self.accelerator.wait_for_everyone()  # its manifest is written
        if next(saved) == number:
            signal.raise_signal(signal.SIGKILL)

    return saved_and_killed


if __name__ == "__main__":
    AcceleratorState.__init__, rounds.collect_run = initialised, finished
    transformers.refuse_sharding = lambda *given: None
    loading.dequantise = in_4_bits
    parser = argparse.ArgumentParser()
    parser.add_argument("--dtype", default="float32", help="of the products, as on a GPU that has it")
    parser.add_argument("--killed-at", type=int, default=0, help="the number of a checkpoint, once it is written")
    parser.add_argument("--logits-at-once", type=int, default=loss.LOGITS_AT_ONCE, help="more are computed in chunks")
    chosen = parser.parse_args()
    loss.LOGITS_AT_ONCE = chosen.logits_at_once
    loading.compute_dtype = lambda: getattr(torch, chosen.dtype)
    CompletionTrainer._save_checkpoint = killed_at(chosen.killed_at)  # type: ignore[method-assign]
    sys.argv = ["src.stages.train"]
    runpy.run_module("src.stages.train", run_name="__main__")
