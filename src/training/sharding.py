"""Sets accelerate up so that a sharded model (FSDP) reaches what a whole one does."""

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch.distributed.fsdp import FSDPModule
from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy

if TYPE_CHECKING:
    from accelerate.utils import FullyShardedDataParallelPlugin


def configure_fsdp(plugin: "FullyShardedDataParallelPlugin", model: torch.nn.Module) -> None:
    """Changes what accelerate has set up for a model that is to be sharded over the processes.

    It would give the loss, and add up gradients, in the 16 bits of the products: 8.4296 for a loss of 8.4393. It would
    gather the whole model at once, not a layer at a time, and would not find the layers of a model that the round
    before has sharded.

    Args:
        plugin: accelerate's settings, which are changed.
        model: the model, before it is sharded or after an earlier round sharded it.
    """
    sharded = isinstance(model, FSDPModule)
    plugin.auto_wrap_policy = None if sharded else plugin.auto_wrap_policy or transformer_auto_wrap_policy
    if plugin.mixed_precision_policy:
        plugin.mixed_precision_policy = replace(
            plugin.mixed_precision_policy, reduce_dtype=torch.float32, output_dtype=None
        )
