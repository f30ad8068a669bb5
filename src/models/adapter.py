"""The trained adapter on disk, and merged into its base.

Covers the trained weights in memory, also where each process has a part of them; saving an adapter so that equal
weights give equal files; merging it. Does not train.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.files import read_json, write_json
from src.models.backends.transformers import load_base, record_base, refuse_other_base


def save_adapter(model: Any, tokenizer: Any, folder: Path, weights: dict[str, Any] | None = None) -> None:
    """Saves the adapter's weights and configuration, its base's digest, and the tokenizer with its template.

    `weights` are the whole ones by name, where `model` has a part of them.
    """
    model.save_pretrained(folder, state_dict=weights)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card: export writes a true one
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


def merge_adapter(base: Path, adapter: Path, four_bit: bool) -> Any:
    """The base with the adapter added into its weights, in 16 bits.

    An adapter trained on a 4-bit base corrects that base, so it is merged into the 4-bit weights, dequantised: merged
    into the original ones it would answer differently.

    Raises:
        UserError: if the adapter was trained on another base.
    """
    import torch
    from peft import PeftModel

    refuse_other_base(base, adapter)
    model = load_base(base, four_bit, exact=True)
    return PeftModel.from_pretrained(model, adapter).merge_and_unload().to(torch.float16)
