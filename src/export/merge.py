"""The adapter added into the weights of its base, for programs that load one model.

Covers the merged model in memory. Does not compare it with the adapter: parity.py does.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from src.models.loading import load_base
from src.models.refusals import refuse_other_base

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def merge_adapter(base: Path, adapter: Path, four_bit: bool) -> "PreTrainedModel":
    """The base with the adapter added into its weights, in 16 bits.

    An adapter trained on a 4-bit base corrects that base, so it is merged into the 4-bit weights, dequantised: merged
    into the original ones it would answer differently.

    Args:
        base: the base model's folder.
        adapter: the adapter's folder.
        four_bit: whether the adapter was trained on the base in 4 bits.

    Raises:
        UserError: if the adapter was trained on another base.
    """
    import torch
    from peft import PeftModel

    refuse_other_base(base, adapter)
    model = load_base(base, four_bit, exact=True)
    return PeftModel.from_pretrained(model, adapter).merge_and_unload().to(torch.float16)
