"""The trained adapter on disk, and merged into its base.

Covers saving an adapter so that equal weights give equal files, and merging it. Does not train.
"""

import logging
from pathlib import Path
from typing import Any

from src.files import read_json, write_json


def save_adapter(model: Any, tokenizer: Any, folder: Path) -> None:
    """Saves the adapter's weights and configuration, and the tokenizer with the template it was trained in."""
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)  # peft's empty model card: export writes a true one
    config = read_json(folder / "adapter_config.json")
    config["target_modules"] = sorted(config["target_modules"])  # peft keeps a set, whose order changes
    write_json(folder / "adapter_config.json", config)


def merge(base: Path, adapter: Path, four_bit: bool) -> Any:
    """The base with the adapter added into its weights, in 16 bits.

    An adapter trained on a 4-bit base corrects that base, so it is merged into the 4-bit weights, dequantised: merged
    into the original ones it would answer differently.
    """
    import torch
    from peft import PeftModel

    from src.models.backends.transformers import load_base

    model = load_base(base, four_bit, exact=True)
    if four_bit:
        logging.getLogger("transformers.integrations.bitsandbytes").setLevel(logging.ERROR)  # names the type asked for
        model = model.dequantize()
    return PeftModel.from_pretrained(model, adapter).merge_and_unload().to(torch.float16)
