"""Operations counted by formula against those that PyTorch counts, and the device's rate."""

from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode
from transformers import LlamaConfig, LlamaForCausalLM

from benchmarks.flops import matrix_flops, training_flops
from src.models.adapter import LINEAR_LAYERS
from src.models.loss import trained_logits_only
from src.training.memory import linear_layers

RANK, TOKENS, TRAINED = 4, 64, 24
CONFIG: dict[str, Any] = {
    "vocab_size": 320, "hidden_size": 32, "intermediate_size": 80, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip


def counted() -> int:
    """What PyTorch counts in a forward and a backward pass of LoRA on one record; attention as a plain square."""
    config = LlamaConfig(**CONFIG)
    model = get_peft_model(
        LlamaForCausalLM._from_config(config, attn_implementation="eager"),
        LoraConfig(r=RANK, target_modules=LINEAR_LAYERS),
    )
    trained_logits_only(model)
    ids = torch.arange(TOKENS)[None] % CONFIG["vocab_size"]
    labels = torch.where(torch.arange(TOKENS) >= TOKENS - TRAINED, ids, -100)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=ids, labels=labels, use_cache=False).loss.backward()
    return counter.get_total_flops()


def test_the_formula_counts_what_pytorch_counts() -> None:
    # Eager attention multiplies the whole square, of which a causal kernel needs half. The first layer's frozen q, k
    # and v hand no gradient to the embeddings, nor their adapters' A.
    hidden = CONFIG["hidden_size"]
    first = sum(2 * wide * high + 2 * wide * RANK for wide, high in linear_layers(CONFIG)[:3])
    square = 6 * CONFIG["num_hidden_layers"] * hidden * TOKENS**2
    expected = training_flops(CONFIG, RANK, TOKENS, TRAINED, 2 * TOKENS**2) - TOKENS * first
    assert square < expected
    assert counted() == pytest.approx(expected, rel=0.01)


def test_each_term_grows_with_what_it_counts() -> None:
    none = training_flops(CONFIG, RANK, 0, 0, 0)
    assert none == 0
    assert training_flops(CONFIG, RANK, 0, 1, 0) == 4 * CONFIG["vocab_size"] * CONFIG["hidden_size"]
    assert training_flops(CONFIG, RANK, 20, 0, 0) == 2 * training_flops(CONFIG, RANK, 10, 0, 0)


def test_a_matrix_product_has_a_rate() -> None:
    assert 1e9 < matrix_flops() < 1e16
