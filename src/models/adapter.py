"""The trained adapter on disk.

Covers the trained weights in memory, also where each process has a part of them; saving an adapter so that equal
weights give equal files. Does not train, nor merge: src/export/merge.py does.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.files import read_json, write_json
from src.models.backends.transformers import record_base


def save_adapter(model: Any, tokenizer: Any, folder: Path, weights: dict[str, Any] | None = None) -> None:
    """Saves the adapter's weights and configuration, its base's digest, and the tokenizer with its template.

    `weights` are the whole ones by name, where `model` has a part of them.
    """
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card: the model_card stage writes one
    config = read_json(folder / "adapter_config.json")
    config["target_modules"] = sorted(config["target_modules"])  # peft keeps a set, whose order changes
    write_json(folder / "adapter_config.json", config)
    record_base(Path(config["base_model_name_or_path"]), folder)


def trained_weights(model: Any) -> Iterator[tuple[str, Any]]:
    """The weights that training changes, by name."""
    return ((name, weight) for name, weight in model.named_parameters() if weight.requires_grad)


def full_tensor(weight: Any) -> Any:
    """A weight, put together where each process has a part of it; then all processes have to ask for it."""
    return weight.full_tensor() if hasattr(weight, "full_tensor") else weight


def copy_trained_weights(model: Any) -> dict[str, Any]:
    """Copies of the trained weights on the CPU, whole, by name; all processes have to ask for them."""
    return {name: full_tensor(weight.detach()).cpu().clone() for name, weight in trained_weights(model)}


def restore_trained_weights(model: Any, weights: dict[str, Any]) -> None:
    """Puts whole weights, by name, in place of the trained ones; each process keeps its part."""
    import torch
    from torch.distributed.tensor import DTensor, distribute_tensor

    with torch.no_grad():
        for name, weight in trained_weights(model):
            new = weights[name].to(weight.device)
            cut = isinstance(weight, DTensor)
            weight.copy_(distribute_tensor(new, weight.device_mesh, weight.placements) if cut else new)
