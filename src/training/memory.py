"""How much memory training needs on a GPU, estimated from the base model's configuration before a GPU is asked for.

Covers the transformers backend on one GPU with bfloat16, a Llama, Mistral or Qwen2, an attention kernel that keeps no
scores. Does not cover CUDA's own context (about half a GB), fragmentation, short-lived copies, the inputs' dropout
masks; nor older GPUs, where a quantised base keeps its other weights in 32 bits; nor the kernels of unsloth, which are
made to keep less.

Not yet measured on a GPU. On the CPU, in float32 and without autocast's copies, the same way of counting gives 67 KB a
token for the tiny model; 71 KB were measured, besides what Python and its libraries take.
"""

import math
from typing import Any

from src.models.loss import LOGITS_AT_ONCE
from src.params import TrainParams

GIGABYTE = 2**30  # as the makers of GPUs count

# Bytes a weight. NF4: 4 bits and, for each block of 64, a scale of 8 bits, whose own scales are 32 bits for each 256 of
# them: 4.127 bits (Dettmers et al. 2023, "QLoRA", section 3, "Double Quantization").
NF4, BITS_16, BITS_32 = (4 + 8 / 64 + 32 / (64 * 256)) / 8, 2, 4

# Bytes a trained weight for Adam's two moments: float32, or 8 bits with a float32 scale for each block of 256 (Dettmers
# et al. 2022, "8-bit Optimizers via Block-wise Quantization").
ADAM = {"adamw_torch": 8.0, "adamw_8bit": 2 + 8 / 256, "paged_adamw_8bit": 2 + 8 / 256}

LARGEST_MOMENTS = 1.0  # GB: more than that for Adam's moments in 32 bits, and the 8-bit optimiser is taken

# Bytes a logit at the peak, where its backward pass starts: log-softmax, its gradient and the logits', in float32.
LOGIT = 3 * BITS_32

Config = dict[str, Any]


def estimate_memory(config: Config, train: TrainParams, row_tokens: int) -> dict[str, float]:
    """Memory in GB (2^30 bytes) by part and in total.

    Each operation keeps for the backward pass what its gradient needs (the method of Korthikanti et al. 2022, "Reducing
    Activation Recomputation in Large Transformer Models", section 4, counted anew for Llama's layers and LoRA); the
    counts by layer were compared with what autograd saves.

    Args:
        config: a base model's config.json.
        train: the parameters of training, with train.batch_size rows in a batch.
        row_tokens: tokens of the longest row.
    """
    tokens, trained = train.batch_size * row_tokens, adapter_weights(config, train.lora_r)
    parts = {
        "base": base_bytes(config, is_quantised(config, train)),
        "adapter": trained * BITS_32,
        "gradients": trained * BITS_32,
        "optimizer": trained * ADAM[train.optimizer],
        "activations": tokens * activation_bytes(config, train),
        "logits": min(tokens * config["vocab_size"], LOGITS_AT_ONCE) * LOGIT,
    }
    parts["total"] = sum(parts.values())
    return {f"memory_{part}_gb": round(size / GIGABYTE, 3) for part, size in parts.items()}


def memory_by_checkpointing(config: Config, train: TrainParams, row_tokens: int) -> dict[str, int]:
    """The memory in whole GB, rounded up, without gradient checkpointing, with that of every second layer, and of all.

    Args:
        config: a base model's config.json.
        train: the parameters of training.
        row_tokens: tokens of the longest row.
    """
    ways = {"none": False, "alternate": "alternate", "all": True}
    tried = {name: train.model_copy(update={"gradient_checkpointing": way}) for name, way in ways.items()}
    return {name: math.ceil(estimate_memory(config, one, row_tokens)["memory_total_gb"]) for name, one in tried.items()}


def choose_optimizer(config: Config, train: TrainParams) -> str:
    """The optimiser that is asked for; of `auto` AdamW in 32 bits, as long as its moments are small beside a GPU.

    Args:
        config: a base model's config.json.
        train: the parameters of training.
    """
    if train.optimizer != "auto":
        return train.optimizer
    moments = adapter_weights(config, train.lora_r) * ADAM["adamw_torch"] / GIGABYTE
    return "adamw_torch" if moments <= LARGEST_MOMENTS else "paged_adamw_8bit"


def is_quantised(config: Config, train: TrainParams) -> bool:
    """Whether the base's linear layers are held in NF4: because it was asked for, or because they are stored so.

    Args:
        config: a base model's config.json.
        train: the parameters of training.
    """
    return train.four_bit or "quantization_config" in config


def linear_layers(config: Config) -> list[tuple[int, int]]:
    """Width in and width out of a layer's seven linear maps: q, k, v, o, gate, up, down."""
    hidden, mlp, heads = config["hidden_size"], config["intermediate_size"], config["num_attention_heads"]
    head = config.get("head_dim") or hidden // heads
    queries, keys = heads * head, (config.get("num_key_value_heads") or heads) * head
    attention = [(hidden, queries), (hidden, keys), (hidden, keys), (queries, hidden)]
    return [*attention, (hidden, mlp), (hidden, mlp), (mlp, hidden)]


def adapter_weights(config: Config, rank: int) -> int:
    """Weights of LoRA's A and B on all linear layers: rank x (in + out) each.

    Args:
        config: a base model's config.json.
        rank: train.lora_r.
    """
    return config["num_hidden_layers"] * rank * sum(map(sum, linear_layers(config)))


def base_bytes(config: Config, four_bit: bool) -> float:
    """Bytes of the base: in 16 bits, or its linear layers in NF4 and all else in 16 bits.

    Args:
        config: a base model's config.json.
        four_bit: whether its linear layers are held in NF4.
    """
    layers, hidden = config["num_hidden_layers"], config["hidden_size"]
    linear = layers * sum(wide * high for wide, high in linear_layers(config))
    tables = 1 if config.get("tie_word_embeddings", False) else 2  # token embeddings, and the output layer's
    others = tables * config["vocab_size"] * hidden + (2 * layers + 1) * hidden + layers * attention_biases(config)
    return linear * (NF4 if four_bit else BITS_16) + others * BITS_16


def attention_biases(config: Config) -> int:
    """Biases of a layer's queries, keys and values, which Qwen2 has."""
    (_, queries), (_, keys) = linear_layers(config)[:2]
    return queries + 2 * keys if config.get("model_type") == "qwen2" else 0


def activation_bytes(config: Config, train: TrainParams) -> int:
    """Bytes that a token leaves behind in all layers until the backward pass.

    Of a layer with gradient checkpointing only the input stays, and one such layer at a time is computed again. Where
    it is left to the device, all layers have it: the least that training needs.

    Args:
        config: a base model's config.json.
        train: the parameters of training.
    """
    layers, whole = config["num_hidden_layers"], layer_bytes(config, train.lora_r)
    again = {False: 0, "alternate": layers // 2}.get(train.gradient_checkpointing, layers)
    return (layers - again) * whole + again * config["hidden_size"] * BITS_16 + (whole if again else 0)


def layer_bytes(config: Config, rank: int) -> int:
    """Bytes that a token leaves behind in one layer: 16 bits a value, 32 in the two norms.

    Every adapter keeps its own copy of its input, and A's output; the attention its queries, keys, values and result;
    the gated MLP its gate before and after SiLU and what it is multiplied with.

    Args:
        config: a base model's config.json.
        rank: train.lora_r.
    """
    maps, hidden, mlp = linear_layers(config), config["hidden_size"], config["intermediate_size"]
    (_, queries), (_, keys) = maps[:2]
    adapters = sum(wide + rank for wide, _ in maps)
    return BITS_16 * (adapters + 2 * queries + 2 * keys + 3 * mlp) + BITS_32 * 2 * hidden
