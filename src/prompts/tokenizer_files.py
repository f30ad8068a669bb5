"""A tokenizer's files, read as they were written and written as they were read.

Covers what splits text, and the settings beside it. Does not choose a chat template or a pad token: tokenizers.py does.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from src.files import read_json, write_json

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# What splits text. They travel as they are: written again by transformers, they may split it otherwise.
VOCABULARY_FILES = ("tokenizer.json", "tokenizer.model")


def read_tokenizer(folder: str | Path) -> "PreTrainedTokenizerBase":
    """The tokenizer that tokenizer.json describes, whatever class tokenizer_config.json names.

    transformers' classes for Llama and Qwen2 (5.17) take vocabulary and merges from that file and set up all else by
    themselves: a Llama then lacks the space that llama.cpp, and the model's makers, put after each special token.
    """
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def save_tokenizer(tokenizer: "PreTrainedTokenizerBase", folder: Path) -> None:
    """Writes a tokenizer's settings and its chat template, beside the files that split text as they were read.

    Args:
        tokenizer: one that was loaded from a folder.
        folder: an existing one to write to.
    """
    tokenizer.save_pretrained(folder)
    for name in VOCABULARY_FILES:
        source = Path(tokenizer.name_or_path, name)
        if source.is_file():
            shutil.copyfile(source, folder / name)
    # By this class any version of transformers loads tokenizer.json as it is.
    settings = read_json(folder / "tokenizer_config.json") | {"tokenizer_class": "PreTrainedTokenizerFast"}
    write_json(folder / "tokenizer_config.json", settings)


def puts_space_after_special(tokenizer: "PreTrainedTokenizerBase") -> bool:
    """Whether a SentencePiece tokenizer puts a space in front of what follows a special token, as it does of a text."""
    _, first, *_ = tokenizer.tokenize(f"{tokenizer.eos_token}a")
    return bool(first.startswith("▁"))
