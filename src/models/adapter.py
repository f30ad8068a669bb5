"""A trained adapter: its weights in memory, also where each process holds a shard of them, and its files.

Covers files that are equal for equal weights, and the note that names the base an adapter belongs to. Does not load
adapters, nor train them.
"""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from src.files import read_json, write_json
from src.prompts.tokenizer_files import save_tokenizer

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor
    from torch.nn import Module, Parameter
    from transformers import PreTrainedTokenizerBase

    from src.models.base_note import BaseNote

# What an adapter is on: every linear layer of a Llama but the output layer. peft's "all-linear" finds the same, but
# how it writes them depends on their number: up to 19 by their full names, more as these seven endings (peft 0.21.2).
LINEAR_LAYERS = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]

BASE_FILE = "base.json"  # beside an adapter: which base it was trained on, and how that was loaded


def save_adapter(
    model: "PeftModel",
    tokenizer: "PreTrainedTokenizerBase",
    base: "BaseNote",
    folder: Path,
    weights: "dict[str, Tensor] | None" = None,
) -> None:
    """Saves an adapter's weights and configuration, the note of its base, and the tokenizer with its template.

    Args:
        model: the base model with its adapter.
        tokenizer: what the adapter was trained with; its chat template travels with it.
        base: what it was trained on.
        folder: an existing folder to write to.
        weights: the whole weights by name, where `model` holds a shard of them.
    """
    model.save_pretrained(str(folder), state_dict=weights)
    save_tokenizer(tokenizer, folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card: the model_card stage writes one
    config = read_json(folder / "adapter_config.json")
    config["target_modules"] = sorted(config["target_modules"])  # peft keeps a set, whose order changes
    # peft names the folder that the base was loaded from, which no other machine has.
    config |= {"base_model_name_or_path": base["name"], "revision": base["revision"]}
    write_json(folder / "adapter_config.json", config)
    write_json(folder / BASE_FILE, base)


def weights_digest(base: Path) -> str:
    """What identifies a base model: the SHA-256 of its weights."""
    found = sha256()
    for path in sorted(base.glob("*.safetensors")):
        with open(path, "rb") as weights:
            while block := weights.read(2**24):  # an 8B model's files are larger than many a memory
                found.update(block)
    return found.hexdigest()


def trained_weights(model: "Module") -> "Iterator[tuple[str, Parameter]]":
    """The weights that training changes, by name."""
    return ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)


def full_tensor(weight: "Tensor") -> "Tensor":
    """A weight in whole where each process holds a shard of it; then every process has to call this."""
    gather = getattr(weight, "full_tensor", None)
    return gather() if gather else weight


def copy_trained_weights(model: "Module") -> "dict[str, Tensor]":
    """Copies of the trained weights on the CPU, whole, by name; every process has to call this."""
    return {name: full_tensor(weight.detach()).cpu().clone() for name, weight in trained_weights(model)}


def restore_trained_weights(model: "Module", weights: "dict[str, Tensor]") -> None:
    """Puts whole weights in place of the trained ones.

    Args:
        model: the model that is changed; where it is sharded, each process keeps its part.
        weights: the whole weights, by name.
    """
    import torch
    from torch.distributed.tensor import DTensor, distribute_tensor

    with torch.no_grad():
        for name, weight in trained_weights(model):
            new = weights[name].to(weight.device)
            if isinstance(weight, DTensor):
                new = distribute_tensor(new, weight.device_mesh, weight.placements)
            weight.copy_(new)
