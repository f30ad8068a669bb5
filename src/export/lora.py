"""The adapter as a GGUF of its own, which llama.cpp puts on a GGUF of the base while it runs.

Covers LoRA on the linear layers of models with Llama's names. Written here, since the converter that auto-round carries
has no such form; llama.cpp's own script for it (convert_lora_to_gguf.py) does the same. Does not convert the base.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from src.export import refusals
from src.export.gguf import bundled_class
from src.files import read_json

if TYPE_CHECKING:
    import numpy as np

PREFIX = "base_model.model."  # of peft's names of weights
ROTATED = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}  # whose rows llama.cpp orders otherwise
# What peft would add by them, llama.cpp knows nothing of: it adds B·A times lora_alpha over the rank.
UNKNOWN_OPTIONS = ("use_dora", "use_rslora", "alpha_pattern", "lora_bias", "fan_in_fan_out", "modules_to_save")


def write_lora_gguf(adapter: Path, base: Path, target: Path) -> None:
    """Writes an adapter as a GGUF.

    Args:
        adapter: the adapter's folder.
        base: the base model's folder.
        target: the file to write.

    Raises:
        UserError: if the adapter has more than LoRA on linear layers.
    """
    import gguf
    from safetensors.numpy import load_file

    config, shape = read_json(adapter / "adapter_config.json"), read_json(base / "config.json")
    refusals.refuse_adapter_options([option for option in UNKNOWN_OPTIONS if config.get(option)])
    converter = bundled_class(shape["architectures"][0])
    names = gguf.get_tensor_name_map(converter.model_arch, shape["num_hidden_layers"])
    rotated = ROTATED if getattr(converter, "undo_permute", False) else {}
    writer = gguf.GGUFWriter(target, gguf.MODEL_ARCH_NAMES[converter.model_arch])
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(config["lora_alpha"]))
    for name, weight in sorted(load_file(adapter / "adapter_model.safetensors").items()):
        layer, _, matrix = name.removeprefix(PREFIX).removesuffix(".weight").rpartition(".lora_")
        if names.get_name(layer) is None:
            raise refusals.unknown_adapter_weight(name)
        heads = rotated.get(layer.rpartition(".")[2]) if matrix == "B" else None
        rows = rotate_heads(weight, shape[heads]) if heads else weight
        writer.add_tensor(f"{names.get_name(layer)}.weight.lora_{matrix.lower()}", rows.astype("float32"))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def rotate_heads(weight: "np.ndarray", heads: int) -> "np.ndarray":
    """The rows of a query or key projection in the order in which llama.cpp rotates them.

    Args:
        weight: its rows in transformers' order, [heads × head size, …].
        heads: how many.
    """
    pairs = weight.reshape(heads, 2, -1, *weight.shape[1:])
    return pairs.swapaxes(1, 2).reshape(weight.shape)
