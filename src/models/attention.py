"""Which attention kernel trains, and how records are laid out for it.

Covers the choice from train.attention, train.packing and the device, with its reason, and the batches it needs. Does
not load models.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import NamedTuple

from src.models import varlen
from src.models.collation import (
    Batch,
    Row,
    collate_padded,
    collate_with_cu_seqlens,
    collate_with_lengths,
)
from src.models.refusals import refuse_compile, refuse_kernel
from src.params import TrainParams

FLASH_CAPABILITY = (8, 0)  # Ampere: before it flash attention does not run, and Triton has no bfloat16
FLAT: dict[str, Callable[[list[Row]], Batch]] = {  # packed rows as each kernel takes them
    "flash_attention_2": collate_with_cu_seqlens,  # without ends it would look for them, and wait, in every layer
    varlen.NAME: collate_with_cu_seqlens,
    "unsloth": collate_with_lengths,
}


class Attention(NamedTuple):
    """The kernel by transformers' name, or unsloth; whether rows are packed for it; and the reason in a sentence.

    Rows are padded to `row_tokens` at least.
    """

    implementation: str
    packing: bool
    reason: str
    row_tokens: int = 0

    def batches(self, pad_id: int) -> Callable[[list[Row]], Batch]:
        """What makes a batch of rows: one flat row for kernels that take packed ones so, else padded rows."""
        if self.packing and self.implementation in FLAT:
            return FLAT[self.implementation]
        return partial(collate_padded, pad_id=pad_id, length=self.row_tokens)


def choose_attention(train: TrainParams) -> Attention:
    """The kernel that train.attention names, or the best that is here.

    Packed records must not see each other. Any kernel does that from the positions, but only flash and flex attention
    without the whole square of the row's length; on a GPU without them, records are padded by groups of equal length.

    Raises:
        UserError: if the kernel or train.compile cannot run here.
    """
    import torch

    on_gpu = torch.cuda.is_available()
    if train.compile:
        refuse_compile(on_gpu)
    if train.backend == "unsloth":
        return Attention("unsloth", train.packing, "Unsloth's own, which keeps packed records apart by their lengths")
    if train.attention != "auto":
        refuse_kernel(train.attention, on_gpu)
        return registered_kernel(train, train.attention, f"{train.attention}, as train.attention asks")
    if not train.packing:
        return registered_kernel(train, "sdpa", "sdpa, as each row holds one record")
    if not on_gpu:
        return registered_kernel(train, "sdpa", "sdpa on packed rows, which is fast enough on a CPU")
    return choose_packed_kernel(train, torch.cuda.get_device_capability())


def registered_kernel(train: TrainParams, implementation: str, reason: str) -> Attention:
    """A kernel, made known to transformers, for rows packed as train.packing asks.

    Flex attention is compiled anew for rows of another length, so they all get the longest one's.

    Args:
        train: the parameters of training.
        implementation: the kernel's name.
        reason: why it was chosen, in a sentence.
    """
    if implementation == varlen.NAME:
        varlen.register_kernel()
    fixed = train.packing and implementation == "flex_attention"
    return Attention(implementation, train.packing, reason, train.max_length if fixed else 0)


def choose_packed_kernel(train: TrainParams, capability: tuple[int, int]) -> Attention:
    """The kernel for packed rows on a GPU of a compute capability, or none.

    Args:
        train: the parameters of training.
        capability: the GPU's compute capability, such as (8, 0).
    """
    if capability >= FLASH_CAPABILITY and varlen.is_available():
        return registered_kernel(train, varlen.NAME, "varlen on packed rows: PyTorch's own flash attention")
    if find_spec("flash_attn"):
        return registered_kernel(
            train, "flash_attention_2", "flash attention on packed rows, as flash-attn is installed"
        )
    if capability >= FLASH_CAPABILITY and find_spec("triton"):
        return registered_kernel(
            train, "flex_attention", "flex attention on packed rows, as flash-attn is not installed"
        )
    reason = (
        "sdpa on records padded by groups of equal length instead of packed: flash-attn is not installed, and other "
        f"kernels for packed rows need a GPU of compute capability {FLASH_CAPABILITY[0]}.{FLASH_CAPABILITY[1]}"
    )
    return Attention("sdpa", False, reason)
