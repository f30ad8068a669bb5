"""PyTorch's varlen kernel as transformers calls it: shapes, ends, shared keys, types. The kernel itself needs a GPU, so
one that computes what its documentation describes, record by record, is in its place."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import (
    AutoModelForCausalLM,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    Qwen2Config,
    modeling_flash_attention_utils,
)

from src.models import varlen
from src.models.attention import Attention
from src.models.collation import collate_padded, collate_with_cu_seqlens
from src.models.loss import trained_logits_only
from src.prompts.encoding import IGNORE_INDEX

ROWS = [
    {"input_ids": [5, 6, 7, 8, 9], "labels": [IGNORE_INDEX, 6, 7, IGNORE_INDEX, 9], "seq_lengths": [3, 2]},
    {"input_ids": [11, 12, 13, 14], "labels": [IGNORE_INDEX, IGNORE_INDEX, 13, 14], "seq_lengths": [4]},
]
Kernel = Callable[..., torch.Tensor]


def documented(query: Any, key: Any, value: Any, **options: Any) -> Any:
    """What torch.nn.attention.varlen documents of its kernel: [tokens, heads, width], causal within [start, end)."""
    cu = options["cu_seq_q"]
    assert options["window_size"] == (-1, 0) and cu.dtype == torch.int32
    assert cu.equal(options["cu_seq_k"]) and cu[-1] == len(query)
    assert options["max_q"] == options["max_k"] == int(cu.diff().max())
    heads = [states.transpose(0, 1) for states in (query, key, value)]
    records = [
        scaled_dot_product_attention(
            *[states[:, start:end] for states in heads],  # type: ignore[misc]
            is_causal=True,
            scale=options["scale"],
            enable_gqa=options.get("enable_gqa", False),
        )
        for start, end in zip(cu[:-1].tolist(), cu[1:].tolist(), strict=True)
    ]
    return torch.cat(records, dim=1).transpose(0, 1)


def newest(
    query: Any, key: Any, value: Any, cu_seq_q: Any, cu_seq_k: Any, max_q: int, max_k: int, *,
    scale: Any = None, window_size: Any = (-1, -1), enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """The kernel with the options of PyTorch 2.12 and newer."""
    return documented(**locals())


def older(
    query: Any, key: Any, value: Any, cu_seq_q: Any, cu_seq_k: Any, max_q: int, max_k: int, *,
    scale: Any = None, window_size: Any = (-1, -1),
) -> Any:  # fmt: skip
    """The kernel with the options of PyTorch 2.11, which wants a key for each query."""
    assert key.shape == query.shape
    return documented(**locals())


SHAPE: dict[str, Any] = {
    **{"vocab_size": 32, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "pad_token_id": 2},
}
CONFIGS = [LlamaConfig(**SHAPE), MistralConfig(**SHAPE, sliding_window=4), Qwen2Config(**SHAPE)]


def loss_and_gradient(
    attention: str, batch: dict[str, Any], config: PreTrainedConfig = CONFIGS[0]
) -> tuple[float, torch.Tensor]:
    """The loss of one model on a batch, and its gradient in the first layer's keys."""
    torch.manual_seed(3)
    model: Any = AutoModelForCausalLM.from_config(config, attn_implementation="sdpa")
    model.config._attn_implementation = attention  # flash-attn need not be installed
    trained_logits_only(model)
    loss = model(**batch, use_cache=False).loss
    loss.backward()
    return loss.item(), model.model.layers[0].self_attn.k_proj.weight.grad


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.model_type)
@pytest.mark.parametrize("kernel", [newest, older])
def test_packed_rows_have_the_loss_and_gradient_of_sdpa(
    monkeypatch: pytest.MonkeyPatch, kernel: Kernel, config: PreTrainedConfig
) -> None:
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", kernel)
    varlen.register_kernel()
    loss, gradient = loss_and_gradient(varlen.NAME, collate_with_cu_seqlens(ROWS), config)
    expected, expected_gradient = loss_and_gradient("sdpa", collate_padded(ROWS, pad_id=2), config)
    assert loss == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(gradient, expected_gradient)


def flash_varlen(
    query: Any, key: Any, value: Any, cu_seqlens_q: Any, cu_seqlens_k: Any, max_seqlen_q: int, max_seqlen_k: int,
    softmax_scale: float, causal: bool,
) -> Any:  # fmt: skip
    """flash-attn's kernel for records of various lengths; its lengths are numbers, or Python would wait for the GPU."""
    assert causal and isinstance(max_seqlen_q, int)
    ends = {"cu_seq_q": cu_seqlens_q, "cu_seq_k": cu_seqlens_k, "max_q": max_seqlen_q, "max_k": max_seqlen_k}
    return documented(query, key, value, **ends, scale=softmax_scale, window_size=(-1, 0), enable_gqa=True)


def test_flash_attention_is_told_the_ends_and_looks_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels = (None, flash_varlen, None, None, None)  # those that padded rows, single ones and caches take
    monkeypatch.setattr(modeling_flash_attention_utils, "_lazy_imports", lambda *given, **named: kernels)
    monkeypatch.setattr(modeling_flash_attention_utils, "_loaded_implementation", None)
    monkeypatch.delattr(modeling_flash_attention_utils, "_prepare_from_posids")
    batch = Attention("flash_attention_2", True, "").batches(pad_id=2)(ROWS)
    loss, gradient = loss_and_gradient("flash_attention_2", batch)
    expected, expected_gradient = loss_and_gradient("sdpa", collate_padded(ROWS, pad_id=2))
    assert loss == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(gradient, expected_gradient)


def test_the_scaling_of_scores_is_the_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", newest)
    states = torch.randn(1, 2, 4, 8, generator=torch.Generator().manual_seed(1))
    ends = torch.tensor([0, 4], dtype=torch.int32)
    found, _ = varlen.varlen_attention_forward(
        torch.nn.Identity(), states, states, states, None, scaling=0.9, cu_seq_lens_q=ends, max_length_q=4
    )
    expected = scaled_dot_product_attention(states, states, states, is_causal=True, scale=0.9)
    torch.testing.assert_close(found, expected.transpose(1, 2))


def test_rows_without_ends_take_sdpa(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("torch.nn.attention.varlen.varlen_attn")
    varlen.register_kernel()
    single = collate_padded([ROWS[1]], pad_id=2)
    assert loss_and_gradient(varlen.NAME, single)[0] == loss_and_gradient("sdpa", single)[0]


def test_the_kernel_computes_in_the_type_of_autocast() -> None:
    states = torch.ones(2, dtype=torch.float32)
    assert varlen.autocast_dtype(states) == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert varlen.autocast_dtype(states) == torch.bfloat16


def test_an_older_pytorch_does_not_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert varlen.is_available()
    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", lambda query, key, value, is_causal=False: query)
    assert not varlen.is_available()
