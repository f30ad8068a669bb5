"""The estimate's parts beside what torch, peft and bitsandbytes hold in memory; figures known from published models."""

from typing import Any

import pytest
import torch

from src.models.adapter import LINEAR_LAYERS
from src.models.loss import LOGITS_AT_ONCE, whole_loss
from src.params import TrainParams
from src.training.memory import (
    ADAM,
    GIGABYTE,
    LOGIT,
    NF4,
    activation_bytes,
    adapter_weights,
    base_bytes,
    choose_optimizer,
    estimate_memory,
    layer_bytes,
    linear_layers,
    memory_by_checkpointing,
)

LLAMA_1B = {
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_attention_heads": 32,
    "num_hidden_layers": 16,
    "num_key_value_heads": 8,
    "tie_word_embeddings": True,
    "vocab_size": 128256,
}
LLAMA_8B = LLAMA_1B | {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "tie_word_embeddings": False,
}
MISTRAL_7B = LLAMA_8B | {"model_type": "mistral", "vocab_size": 32000}
QWEN_HALF_B = {
    "hidden_size": 896,
    "intermediate_size": 4864,
    "model_type": "qwen2",
    "num_attention_heads": 14,
    "num_hidden_layers": 24,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
    "vocab_size": 151936,
}
SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 192,
    "num_attention_heads": 4,
    "num_hidden_layers": 1,
    "num_key_value_heads": 2,
    "head_dim": 24,
    "tie_word_embeddings": False,
    "vocab_size": 96,
}
ROWS, TOKENS, RANK = 2, 32, 8


def adapted(layers: int, checkpointing: bool) -> Any:
    """A model of SMALL's shape in 16 bits with an adapter in 32."""
    from peft import LoraConfig, get_peft_model
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(**(SMALL | {"num_hidden_layers": layers}))
    model: Any = LlamaForCausalLM(config).bfloat16()
    if checkpointing:
        model.gradient_checkpointing_enable()
        model.enable_input_require_grads()
    return get_peft_model(model, LoraConfig(r=RANK, target_modules=LINEAR_LAYERS, task_type="CAUSAL_LM")).train()


def saved_bytes(layers: int, checkpointing: bool) -> int:
    """What autograd keeps for the backward pass in products of 16 bits, beside the weights themselves."""
    model, saved = adapted(layers, checkpointing), {}
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    inputs = torch.arange(ROWS * TOKENS).reshape(ROWS, TOKENS) % SMALL["vocab_size"]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), torch.autocast("cpu", torch.bfloat16):
        kept = model(input_ids=inputs, labels=inputs, use_cache=False)
    assert kept.loss.requires_grad
    return sum(saved.values())


def test_a_layer_keeps_what_autograd_keeps() -> None:
    measured = saved_bytes(3, checkpointing=False) - saved_bytes(2, checkpointing=False)
    copies = 2 * adapter_weights(SMALL, RANK)  # the adapter's weights in 16 bits: they do not grow with the batch
    assert layer_bytes(SMALL, RANK) == pytest.approx((measured - copies) / (ROWS * TOKENS), rel=0.02)


def test_with_checkpointing_a_layer_keeps_its_input(train_params: TrainParams) -> None:
    measured = saved_bytes(3, checkpointing=True) - saved_bytes(2, checkpointing=True)
    train = train_params.model_copy(update={"gradient_checkpointing": True, "lora_r": RANK})
    grown = activation_bytes(SMALL | {"num_hidden_layers": 3}, train) - activation_bytes(
        SMALL | {"num_hidden_layers": 2}, train
    )
    assert grown == measured / (ROWS * TOKENS)
    assert activation_bytes(SMALL, train) == grown + layer_bytes(SMALL, RANK)


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_with_checkpointing_of_every_second_layer_the_others_keep_all(train_params: TrainParams, layers: int) -> None:
    config, again = SMALL | {"num_hidden_layers": layers}, layers // 2
    train = train_params.model_copy(update={"gradient_checkpointing": "alternate", "lora_r": RANK})
    inputs = 2 * again * SMALL["hidden_size"]
    assert activation_bytes(config, train) == (layers - again + (again > 0)) * layer_bytes(SMALL, RANK) + inputs


def test_weights_are_those_of_the_model() -> None:
    model = adapted(1, checkpointing=False)
    trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    assert adapter_weights(SMALL, RANK) == trained
    assert base_bytes(SMALL, four_bit=False) == 2 * (sum(weight.numel() for weight in model.parameters()) - trained)


def test_weights_of_published_models_are_counted() -> None:
    assert base_bytes(LLAMA_1B, four_bit=False) == 2 * 1_235_814_400
    assert base_bytes(LLAMA_8B, four_bit=False) == 2 * 8_030_261_248
    assert base_bytes(MISTRAL_7B, four_bit=False) == 2 * 7_241_732_096
    assert base_bytes(QWEN_HALF_B, four_bit=False) == 2 * 494_032_768
    assert adapter_weights(LLAMA_8B, 16) == 41_943_040
    assert linear_layers(LLAMA_1B)[1] == (2048, 512)


def test_nf4_takes_as_many_bytes_as_bitsandbytes() -> None:
    from bitsandbytes.functional import quantize_4bit

    weights = torch.randn(512, 1024, generator=torch.Generator().manual_seed(1))
    packed, state = quantize_4bit(weights, compress_statistics=True, quant_type="nf4")
    size = packed.nbytes + state.absmax.nbytes + state.state2.absmax.nbytes
    assert size / weights.numel() == NF4
    four_bit, rest = base_bytes(LLAMA_1B, four_bit=True), 128256 * 2048 + 33 * 2048
    assert four_bit == (1_235_814_400 - rest) * NF4 + rest * 2


@pytest.mark.parametrize("optimizer", ADAM)
def test_adams_moments_take_as_many_bytes_as_they_do(optimizer: str) -> None:
    from bitsandbytes.optim import AdamW8bit

    weight = torch.nn.Parameter(torch.ones(256, 256))
    kind = torch.optim.AdamW if optimizer == "adamw_torch" else AdamW8bit
    adam = kind([weight])
    weight.sum().backward()
    adam.step()
    parts = adam.state[weight].items()
    size = sum(part.nbytes for name, part in parts if torch.is_tensor(part) and not name.startswith(("qmap", "step")))
    assert size / weight.numel() == ADAM[optimizer]


def test_parts_add_up_and_follow_the_parameters(train_params: TrainParams) -> None:
    train = train_params.model_copy(update={"four_bit": True, "batch_size": 16, "optimizer": "paged_adamw_8bit"})
    parts = estimate_memory(LLAMA_1B, train, 2048)
    total = parts.pop("memory_total_gb")
    assert total == pytest.approx(sum(parts.values()), abs=0.005)
    assert parts["memory_activations_gb"] > 50
    less = estimate_memory(LLAMA_1B, train.model_copy(update={"batch_size": 1, "gradient_checkpointing": True}), 2048)
    assert less["memory_activations_gb"] < 0.6
    plain = estimate_memory(LLAMA_1B, train.model_copy(update={"optimizer": "adamw_torch", "lora_r": 64}), 2048)
    assert plain["memory_optimizer_gb"] == pytest.approx(8 * adapter_weights(LLAMA_1B, 64) / GIGABYTE, abs=0.001)
    assert plain["memory_adapter_gb"] == plain["memory_gradients_gb"] > parts["memory_adapter_gb"]


def test_logits_are_those_of_a_batch_or_of_one_chunk(train_params: TrainParams) -> None:
    one = train_params.model_copy(update={"batch_size": 1})
    assert estimate_memory(LLAMA_1B, one, 200)["memory_logits_gb"] == round(200 * 128256 * 12 / GIGABYTE, 3)
    assert estimate_memory(LLAMA_1B, one, 2048)["memory_logits_gb"] == round(LOGITS_AT_ONCE * 12 / GIGABYTE, 3)


def test_a_loss_keeps_as_many_bytes_a_logit() -> None:
    saved: list[int] = []

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        saved.append(tensor.nbytes)
        return tensor

    states, head = torch.randn(64, 32, requires_grad=True), torch.nn.Linear(32, 4096, bias=False)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        loss = whole_loss(head, states, torch.zeros(64, dtype=torch.long))
    logits = 64 * 4096
    assert max(saved) == 4 * logits  # the log-softmax, in 32 bits; both gradients are as large
    assert loss.requires_grad
    assert 3 * max(saved) == LOGIT * logits


def test_a_base_that_is_stored_in_four_bits_stays_so(train_params: TrainParams) -> None:
    stored = LLAMA_1B | {"quantization_config": {"load_in_4bit": True}}
    asked = train_params.model_copy(update={"four_bit": True})
    assert (
        estimate_memory(stored, train_params, 128)
        == estimate_memory(LLAMA_1B, asked, 128)
        != estimate_memory(LLAMA_1B, train_params, 128)
    )


def test_large_adapters_get_the_small_optimiser(train_params: TrainParams) -> None:
    narrow, wide = (train_params.model_copy(update={"optimizer": "auto", "lora_r": rank}) for rank in (32, 256))
    assert choose_optimizer(LLAMA_8B, narrow) == "adamw_torch"  # 0.6 GB
    assert choose_optimizer(LLAMA_8B, wide) == "paged_adamw_8bit"
    assert choose_optimizer(LLAMA_8B, wide.model_copy(update={"optimizer": "adamw_torch"})) == "adamw_torch"


def test_the_more_is_computed_again_the_less_memory_is_needed(train_params: TrainParams) -> None:
    shape = {"four_bit": True, "batch_size": 16, "lora_r": 32, "optimizer": "adamw_torch"}
    found = memory_by_checkpointing(LLAMA_1B, train_params.model_copy(update=shape), 2048)
    assert found["all"] < found["alternate"] < found["none"]
    assert found["none"] == 59
