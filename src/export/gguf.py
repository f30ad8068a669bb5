"""GGUF files, written by llama.cpp's converter.

Covers conversion of a merged Llama from safetensors. The converter is the one that auto-round carries, which needs
neither a compiler nor a network. Does not run them: src/inference/llama_cpp.py does.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.export import refusals
from src.files import read_json
from src.prompts.llama_3 import LLAMA_3_SPLIT

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

FILE_TYPES = {"f16": "MOSTLY_F16", "q8_0": "MOSTLY_Q8_0"}  # our names of precisions, and the gguf package's
FILES = {precision: f"shelftalk-{precision}.gguf" for precision in FILE_TYPES}

# The first two write a line for each tensor; auto_round repeats warnings of transformers whose logger is silenced;
# gguf.vocab warns of tokenizers that put a begin token between two texts, as Llama 3's do: no prompt here has two.
TALKATIVE = ("hf-to-gguf", "gguf.gguf_writer", "autoround", "gguf.vocab")


def convert_to_gguf(model: Path, target: Path, precision: str, name: str) -> None:
    """Writes a model as a GGUF.

    Args:
        model: folder of the model and its tokenizer.
        target: the file to write.
        precision: one of FILE_TYPES.
        name: the model's name in the file.

    Raises:
        UserError: if llama.cpp's converter does not know the model's architecture.
    """
    import gguf

    file_type = gguf.LlamaFileType[FILE_TYPES[precision]]
    converter_class(model)(model, file_type, target, model_name=name).write()


def converter_class(model: Path) -> Any:
    """llama.cpp's converter class for the architecture of the model in a folder.

    Its table of tokenizers lacks those trained here; one with exactly Llama 3's split expression is named for it.

    Raises:
        UserError: if llama.cpp's converter does not know the architecture.
    """
    import logging

    from auto_round.export.export_to_gguf.llama_cpp_conversion import get_conversion

    architecture = read_json(model / "config.json")["architectures"][0]
    try:
        known = get_conversion(model).get_model_class(architecture)
    except NotImplementedError:
        raise refusals.unknown_architecture(architecture) from None
    for logger in TALKATIVE:
        logging.getLogger(logger).setLevel(logging.ERROR)

    class Converter(known):  # type: ignore[misc, valid-type]
        model_arch = known.model_arch

        def get_vocab_base_pre(self, tokenizer: "PreTrainedTokenizerFast") -> str:
            return "llama-bpe" if splits_like_llama_3(tokenizer) else super().get_vocab_base_pre(tokenizer)

    return Converter


def splits_like_llama_3(tokenizer: "PreTrainedTokenizerFast") -> bool:
    """Whether a tokenizer splits text by exactly Llama 3's expression before its merges."""
    steps = json.loads(tokenizer.backend_tokenizer.to_str())["pre_tokenizer"] or {}
    first = steps.get("pretokenizers", [{}])[0]
    return first.get("pattern", {}).get("Regex") == LLAMA_3_SPLIT
