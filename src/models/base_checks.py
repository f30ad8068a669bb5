"""Reads a base model's files as later stages will, and refuses those that they could not use.

Covers the configuration, the weights' names and shapes, and the tokenizer: every file is opened, no weight is loaded.
Does not render the chat template, which is not used with every format.template: prompts/tokenizers.py refuses it then.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.models import refusals
from src.prompts.tokenizer_files import read_tokenizer

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"  # one file, or the list of several
OBJECTS = (
    *("config.json", "tokenizer.json", "tokenizer_config.json"),
    *("generation_config.json", "special_tokens_map.json", "added_tokens.json", INDEX),
)
CONFIGS_OF_CODE = ("config.json", "tokenizer_config.json")  # where auto_map names Python files
CHAT_TEMPLATE = "chat_template.jinja"
# What the memory estimate, the audit and the GGUF converter read; transformers would put another model's values for
# those that are missing.
SIZES = (
    *("hidden_size", "intermediate_size", "num_attention_heads", "num_hidden_layers", "vocab_size"),
    "max_position_embeddings",
)
LAYER = re.compile(r"model\.layers\.(\d+)\.")

Shapes = dict[str, list[int]]


def check_model(folder: Path) -> None:
    """Refuses a folder that is not a complete model, or one that training, generation or export could not use.

    Raises:
        UserError: naming the file, what is wrong with it and what to change.
    """
    refusals.refuse_incomplete_model(folder)
    files = read_text_files(folder)
    config = files["config.json"]
    check_config(config)
    stored = stored_shapes(folder, files.get(INDEX))
    check_layers(stored, config["num_hidden_layers"])
    check_shapes(stored, expected_shapes(folder), bool(config.get("quantization_config")))
    check_tokenizer(folder, config["vocab_size"])


def read_text_files(folder: Path) -> dict[str, Any]:
    """The model's JSON files by name.

    Raises:
        UserError: if one is not a JSON object in UTF-8, names Python files, or the chat template is not UTF-8.
    """
    found: dict[str, Any] = {}
    for name in OBJECTS:
        if (folder / name).exists():
            with explained(name, "cannot be read as JSON"):
                found[name] = json.loads((folder / name).read_text(encoding="utf-8"))
            if not isinstance(found[name], dict):
                raise refusals.broken_model_file(name, "is not a JSON object")
    for name in CONFIGS_OF_CODE:
        if found.get(name, {}).get("auto_map"):
            raise refusals.model_with_code(name)
    if (folder / CHAT_TEMPLATE).exists():
        with explained(CHAT_TEMPLATE, "cannot be read as text"):
            (folder / CHAT_TEMPLATE).read_text(encoding="utf-8")
    return found


@contextmanager
def explained(name: str, fault: str) -> Iterator[None]:
    """Turns any error of reading a file into a sentence: the file may hold anything, and so may the error be any.

    Args:
        name: the file.
        fault: what it means that it could not be read.

    Raises:
        UserError: naming the file, the fault and the reader's reason.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise refusals.broken_model_file(name, f"{fault} ({reason})") from error


def check_config(config: dict[str, Any]) -> None:
    """Refuses a configuration of another family, without a size, or whose quantisation has no settings.

    Raises:
        UserError: with what to change.
    """
    architectures = config.get("architectures")
    refusals.refuse_architecture(architectures[0] if isinstance(architectures, list) and architectures else None)
    for key in SIZES:
        size = config.get(key)
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            fault = f"has {key} {size!r}, which has to be a number of 1 or more" if key in config else f"lacks {key}"
            raise refusals.broken_model_file("config.json", fault)
    quantisation = config.get("quantization_config")
    if not isinstance(quantisation, dict | None):
        raise refusals.broken_model_file("config.json", f"has quantization_config {quantisation!r}, no settings")


def stored_shapes(folder: Path, index: dict[str, Any] | None) -> Shapes:
    """The shape of each stored weight by its name, from the headers of the files.

    Args:
        folder: the model's.
        index: what model.safetensors.index.json holds, if it is there.

    Raises:
        UserError: if a file is missing or is not whole.
    """
    from safetensors import safe_open

    shapes: Shapes = {}
    for name in weight_files(folder, index):
        with explained(name, "is no complete safetensors file"), safe_open(folder / name, "pt") as weights:
            shapes |= {key: weights.get_slice(key).get_shape() for key in weights.keys()}  # noqa: SIM118
    return shapes


def weight_files(folder: Path, index: dict[str, Any] | None) -> list[str]:
    """The names of the files that transformers will take the weights from.

    Args:
        folder: the model's.
        index: what model.safetensors.index.json holds, if it is there.

    Raises:
        UserError: if a file is missing, or none has a name that transformers knows.
    """
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    places = (index or {}).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise refusals.broken_model_file(INDEX if index else WEIGHTS, "names no weights" if index else "is missing")
    names = sorted({str(name) for name in places.values()})
    if missing := [name for name in names if not (folder / name).is_file()]:
        raise refusals.broken_model_file(missing[0], f"is missing, and {INDEX} names it")
    return names


def check_layers(stored: Shapes, layers: int) -> None:
    """Refuses weights of fewer or more layers than config.json has: missing ones would get random weights.

    Args:
        stored: each stored weight's shape.
        layers: num_hidden_layers.

    Raises:
        UserError: with both numbers.
    """
    found = {int(match[1]) for match in map(LAYER.match, stored) if match}
    if len(found) != layers or found != set(range(len(found))):
        raise refusals.other_weights(f"{len(found)} layers, and config.json has num_hidden_layers {layers}")


def expected_shapes(folder: Path) -> Shapes:
    """The shape of each weight of the model that config.json describes; nothing is allocated.

    Raises:
        UserError: if transformers cannot build that model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

    with explained("config.json", "describes no model that transformers can build"), torch.device("meta"):
        config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    if (folder / "generation_config.json").exists():
        with explained("generation_config.json", "cannot be used"):
            GenerationConfig.from_pretrained(folder, local_files_only=True)
    return {name: list(weight.shape) for name, weight in model.named_parameters()}


def check_shapes(stored: Shapes, expected: Shapes, quantised: bool) -> None:
    """Refuses weights that are not those of the model that config.json describes.

    Args:
        stored: each stored weight's shape.
        expected: each needed weight's shape.
        quantised: whether the weights are stored in 4 bits, packed in other shapes.

    Raises:
        UserError: naming the first weight.
    """
    if missing := [name for name in expected if name not in stored]:
        raise refusals.other_weights(f"no weight {missing[0]} ({len(missing)} of {len(expected)} are missing)")
    other = [name for name, shape in expected.items() if stored[name] != shape]
    if other and not quantised:
        name = other[0]
        raise refusals.other_weights(f"{name} of shape {stored[name]}, and config.json makes it {expected[name]}")


def check_tokenizer(folder: Path, vocabulary: int) -> None:
    """Refuses a tokenizer that cannot be loaded, or with tokens that the model has no embedding for.

    Args:
        folder: the model's.
        vocabulary: the rows of the embedding.

    Raises:
        UserError: with both numbers.
    """
    with explained("tokenizer.json", "cannot be loaded as a tokenizer, with the settings beside it"):
        tokenizer = read_tokenizer(folder)
        highest = max(tokenizer.get_vocab().values())
    if highest >= vocabulary:
        raise refusals.broken_model_file(
            "tokenizer.json", f"has token ids up to {highest}, and config.json has vocab_size {vocabulary}"
        )
