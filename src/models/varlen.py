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
        attention_mask: for sdpa.
        scaling: what scores are multiplied by; None is one over the root of the width.
        cu_seq_lens_q: where each record starts, and the end of the last: int32, [records + 1].
        max_length_q: tokens of the longest record.
        options: for sdpa.

    Returns:
        [1, tokens, heads, width], and None for weights that are not kept.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    if cu_seq_lens_q is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)
    return attend_within_records(query, key, value, cu_seq_lens_q, max_length_q, scaling).unsqueeze(0), None


def attend_within_records(
    query: "Tensor", key: "Tensor", value: "Tensor", ends: "Tensor", longest: int, scale: float | None
) -> "Tensor":
    """PyTorch's kernel: causal attention within each record, [tokens, heads, width].

    Args:
        query: [1, heads, tokens, width]; key and value have as many heads, or fewer that groups of queries share.
        key: see query.
        value: see query.
        ends: where each record starts, and the end of the last: int32, [records + 1].
        longest: tokens of the longest record.
        scale: what scores are multiplied by; None is one over the root of the width.
    """
    from torch.nn.attention.varlen import varlen_attn

    shared: dict[str, Any] = {"enable_gqa": True}
    if "enable_gqa" not in signature(varlen_attn).parameters:  # PyTorch 2.11
        shared, key, value = {}, repeat_shared_heads(key, query), repeat_shared_heads(value, query)
    queries, keys, values = (
        heads[0].transpose(0, 1).to(autocast_dtype(query)).contiguous() for heads in (query, key, value)
    )
    # Without keys to the right (0) and with all to the left (-1) the window is causal.
    attended: Any = varlen_attn(
        queries, keys, values, ends, ends, longest, longest, scale=scale, window_size=(-1, 0), **shared
    )
    return attended


def repeat_shared_heads(states: "Tensor", query: "Tensor") -> "Tensor":
    """Keys or values with as many heads as the queries.

    Args:
        states: keys or values, [1, heads, tokens, width].
        query: the queries, with a multiple of these heads.
    """
    return states.repeat_interleave(query.shape[1] // states.shape[1], dim=1)


def autocast_dtype(states: "Tensor") -> "torch.dtype":
    """The 16-bit type that the kernel computes in: autocast's, which does not reach custom kernels by itself."""
    import torch

    device = states.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else states.dtype
