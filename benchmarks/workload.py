"""What the training benchmarks train: models of known shapes with random weights, and records to train them on.

Covers Llama's published shapes and a small one, records of the published lengths in random tokens (for speed, which
does not depend on what a token means) and records of the invented catalogue in real ones (for losses). Does not train
or measure. Needs no network.

    python -m benchmarks.workload SHAPE FOLDER
"""

import random
import sys
from pathlib import Path
from typing import Any

from benchmarks.published_lengths import CONTENT_CHARS, TITLE_CHARS, draw_lengths
from src.files import atomic_folder
from src.prompts.encoding import IGNORE_INDEX, EncodedRecord, encode_record
from src.prompts.rendering import prompt_and_completion, prompt_turns
from src.prompts.tokenizers import load_tokenizer
from src.synthetic import tiny_model
from src.synthetic.catalogue import Product, generate_products

# config.json of meta-llama/Llama-3.2-1B-Instruct, of Meta-Llama-3-8B and of TinyLlama-1.1B-Chat-v1.0.
SHAPES: dict[str, dict[str, Any]] = {
    "Llama-3.2-1B": {
        "vocab_size": 128_256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "tie_word_embeddings": True,
        "rope_parameters": {
            "rope_type": "llama3",
            "rope_theta": 500_000.0,
            "factor": 32.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        "max_position_embeddings": 131_072,
    },
    "Llama-3-8B": {
        "vocab_size": 128_256,
        "hidden_size": 4096,
        "intermediate_size": 14_336,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "tie_word_embeddings": False,
        "rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0},
        "max_position_embeddings": 8192,
    },
    "TinyLlama-1.1B": {
        "vocab_size": 32_000,
        "hidden_size": 2048,
        "intermediate_size": 5632,
        "num_hidden_layers": 22,
        "num_attention_heads": 32,
        "num_key_value_heads": 4,
        "tie_word_embeddings": False,
        "max_position_embeddings": 2048,
    },
    "small": {
        "vocab_size": tiny_model.VOCABULARY,
        "hidden_size": 256,
        "intermediate_size": 768,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "tie_word_embeddings": True,
        "max_position_embeddings": 2048,
    },
}
CATALOGUE_SEED, PRODUCTS = 2, 600

# Of Llama 3's tokenizer on English: a token holds about 4.4 characters; the chat template puts about 45 tokens around
# title and content.
CHARS_A_TOKEN, TEMPLATE_TOKENS = 4.4, 45
INSTRUCTION = "Describe the product that has this title."


def build_model(shape: str, folder: Path, seed: int = 0) -> None:
    """Saves a model with random weights, in 16 bits where there is a GPU, and a tokenizer trained on the catalogue.

    Args:
        shape: a key of SHAPES.
        folder: where to.
        seed: of the weights.
    """
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    tokenizer = tiny_model.train_tokenizer(
        [text for product in catalogue_products() for text in (product.title, product.content)]
    )
    config = LlamaConfig(
        **SHAPES[shape],
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        dtype=torch.bfloat16 if torch.cuda.is_available() else torch.float32,
    )
    torch.manual_seed(seed)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):  # drawing billions of weights is slow on a CPU
        model = AutoModelForCausalLM.from_config(config)
    with atomic_folder(folder) as partial:
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)


def catalogue_products() -> list[Product]:
    """Products to train a tokenizer and a small model on."""
    return list(generate_products(CATALOGUE_SEED, PRODUCTS))


def catalogue_prompts() -> list[dict[str, Any]]:
    """The catalogue's products as formatted records in the chat template."""
    return [
        prompt_and_completion("chat", prompt_turns(INSTRUCTION, "{title}", product.title), product.content)
        for product in catalogue_products()
    ]


def catalogue_records(folder: Path, max_length: int) -> list[EncodedRecord]:
    """Encodes the catalogue's formatted records.

    Args:
        folder: of a model with its tokenizer.
        max_length: tokens of a record, at most.

    Returns:
        Tokens and labels.
    """
    tokenizer = load_tokenizer(folder, "chat")
    return [encode_record(tokenizer, record, max_length) for record in catalogue_prompts()]


def random_records(count: int, vocabulary: int, max_length: int, seed: int = 0) -> list[EncodedRecord]:
    """Draws records whose titles and contents have the published lengths, in random tokens.

    Args:
        count: how many.
        vocabulary: token ids of the model.
        max_length: tokens of a record, at most.
        seed: the same seed gives the same records.

    Returns:
        Tokens and labels.
    """
    rng = random.Random(seed)
    sizes = zip(draw_lengths(rng, TITLE_CHARS, count), draw_lengths(rng, CONTENT_CHARS, count), strict=True)
    return [random_record(rng, title, content, vocabulary, max_length) for title, content in sizes]


def random_record(rng: random.Random, title: int, content: int, vocabulary: int, max_length: int) -> EncodedRecord:
    """Draws one record.

    Args:
        rng: draws the tokens.
        title: its length in characters.
        content: its length in characters.
        vocabulary: token ids of the model.
        max_length: tokens, at most.

    Returns:
        Tokens and labels.
    """
    prompt = TEMPLATE_TOKENS + round(title / CHARS_A_TOKEN)
    completion = round(content / CHARS_A_TOKEN) + 1  # and the end-of-turn token
    # The tokenizer's first ids are its special tokens, of which padding would not be counted as a token.
    ordinary = range(len(tiny_model.SPECIAL_TOKENS), vocabulary)
    tokens = rng.choices(ordinary, k=min(prompt + completion, max_length))
    return EncodedRecord(tokens, [IGNORE_INDEX] * min(prompt, max_length) + tokens[prompt:])


if __name__ == "__main__":
    build_model(sys.argv[1], Path(sys.argv[2]))
