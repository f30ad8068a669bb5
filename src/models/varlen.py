"""PyTorch's own flash attention over records of various lengths, as a kernel that transformers knows by name.

Covers packed rows, flattened with their ends (collate_with_cu_seqlens), on NVIDIA GPUs from Ampere on; rows without
ends go to sdpa. Needs no package beside PyTorch and compiles nothing.
"""

from inspect import signature
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module

NAME = "varlen"


def is_available() -> bool:
    """Whether PyTorch has the kernel (2.11 or newer, built with flash attention)."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return False
    return "window_size" in signature(varlen_attn).parameters


def register_kernel() -> None:
    """Makes the kernel known to transformers; without a mask, since the ends keep the records apart."""
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, varlen_attention_forward)


def varlen_attention_forward(
    module: "Module",
    query: "Tensor",
    key: "Tensor",
    value: "Tensor",
    attention_mask: "Tensor | None",
    scaling: float | None = None,
    cu_seq_lens_q: "Tensor | None" = None,
    max_length_q: int = 0,
    **options: Any,
) -> "tuple[Tensor, None]":
    """Causal attention within each record.

    Args:
        module: the attention layer, of which sdpa reads how many heads share a key.
        query: [1, heads, tokens, width].
        key: as the query, or with fewer heads, each of which a group of queries shares.
        value: as the key.
        attention_mask: sdpa's, where rows have no ends.
        scaling: what scores are multiplied by; None is one over the root of the width.
        cu_seq_lens_q: where each record starts, and the end of the last: int32, [records + 1].
        max_length_q: tokens of the longest record.
        options: what else transformers passes to kernels, for sdpa.

    Returns:
        [1, tokens, heads, width], and None for weights that are not kept.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if cu_seq_lens_q is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)
    from torch.nn.attention.varlen import varlen_attn

    shared: dict[str, Any] = {"enable_gqa": True}
    if "enable_gqa" not in signature(varlen_attn).parameters:  # PyTorch 2.11
        shared, groups = {}, query.shape[1] // key.shape[1]
        key, value = (heads.repeat_interleave(groups, dim=1) for heads in (key, value))
    queries, keys, values = (
        heads[0].transpose(0, 1).to(autocast_dtype(query)).contiguous() for heads in (query, key, value)
    )
    ends: Any = (cu_seq_lens_q, cu_seq_lens_q, max_length_q, max_length_q)
    attended: Any = varlen_attn(queries, keys, values, *ends, scale=scaling, window_size=(-1, 0), **shared)
    return attended.unsqueeze(0), None


def autocast_dtype(states: "Tensor") -> "torch.dtype":
    """The 16-bit type that the kernel computes in: autocast's, which does not reach custom kernels by itself."""
    import torch

    device = states.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
