"""A BERT of a few thousand random weights, for tests of what an encoder is used for."""

from pathlib import Path
from typing import Any

LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
WORDS = ["a", "lamp", "of", "brass", "blue", "bag", "desk", "."]


def write_encoder(folder: Path) -> Path:
    """Writes configuration, tokenizer and weights; texts of more than 30 tokens are cut off."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *LETTERS[1:], *(f"##{sign}" for sign in LETTERS)]
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    BertTokenizer(vocab=vocabulary, model_max_length=32).save_pretrained(folder)
    torch.manual_seed(0)
    shape: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    config = BertConfig(vocab_size=len(pieces), num_attention_heads=2, max_position_embeddings=32, **shape)
    BertModel(config).save_pretrained(folder)
    return folder
