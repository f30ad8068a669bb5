"""Which attention kernel trains, and how records are laid out for it.

Covers the choice from train.attention, train.packing and the device, with its reason, and the batches it needs. Does
not load models.
"""

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

from src.errors import UserError
from src.models.batches import Row, collate, flatten
from src.params import TrainParams

FLEX_CAPABILITY = (8, 0)  # Ampere: before it Triton, which flex attention is written in, has no bfloat16


class Attention(NamedTuple):
    """The kernel by transformers' name, whether rows are packed for it, and the reason in a sentence."""

    implementation: str
    packing: bool
    reason: str

    def batches(self, pad_id: int) -> Callable[[list[Row]], dict[str, Any]]:
        """What makes a batch of rows: one flat row for flash attention on packed ones, else padded rows."""
        flat = self.packing and self.implementation == "flash_attention_2"
        return flatten if flat else partial(collate, pad_id=pad_id)


def choose(train: TrainParams) -> Attention:
    """The kernel that train.attention names, or the best that is here.

    Packed records must not see each other. Any kernel does that from the positions, but only flash and flex attention
    without the whole square of the row's length; on a GPU without them, records are padded by groups of equal length.

    Raises:
        UserError: if the kernel or train.compile cannot run here.
    """
    import torch

    on_gpu = torch.cuda.is_available()
    if train.compile and not on_gpu:
        raise UserError("train.compile is true, which needs an NVIDIA GPU, and there is none here: set it to false.")
    if train.attention != "auto":
        refuse(train.attention, on_gpu)
        return Attention(train.attention, train.packing, f"{train.attention}, as train.attention says")
    if not train.packing or train.backend == "unsloth":
        return Attention("sdpa", train.packing, "sdpa, as each row holds one record")
    if not on_gpu:
        return Attention("sdpa", True, "sdpa on packed rows, which is fast enough on a CPU")
    return packed_on_gpu(torch.cuda.get_device_capability())


def packed_on_gpu(capability: tuple[int, int]) -> Attention:
    """The kernel for packed rows on a GPU of a compute capability, or none."""
    if find_spec("flash_attn"):
        return Attention("flash_attention_2", True, "flash attention on packed rows, as flash-attn is installed")
    if capability >= FLEX_CAPABILITY and find_spec("triton"):
        return Attention("flex_attention", True, "flex attention on packed rows, as flash-attn is not installed")
    reason = (
        "sdpa on records padded by groups of equal length instead of packed: flash-attn is not installed, and flex "
        f"attention needs Triton and a GPU of compute capability {FLEX_CAPABILITY[0]}.{FLEX_CAPABILITY[1]}"
    )
    return Attention("sdpa", False, reason)


def refuse(implementation: str, on_gpu: bool) -> None:
    """Refuses a kernel that is not here.

    Raises:
        UserError: naming what is missing.
    """
    if implementation in ("flash_attention_2", "flex_attention") and not on_gpu:
        raise UserError(
            f"train.attention is {implementation!r}, which trains on an NVIDIA GPU only, and PyTorch sees none here: "
            "set train.attention to auto or sdpa."
        )
    if implementation == "flash_attention_2" and find_spec("flash_attn") is None:
        raise UserError(
            "train.attention is 'flash_attention_2', and the package flash-attn is not installed: "
            "install it, or set train.attention to auto."
        )
