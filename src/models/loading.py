"""Loads a base model, alone or with a trained adapter, in the precision that it is trained in.

Covers transformers, peft and bitsandbytes on a CPU, on one GPU, or on one of several. Does not add a new adapter: the
backends do.
"""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.files import read_json
from src.models import processes
from src.models.refusals import refuse_other_base, refuse_precision

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import BitsAndBytesConfig, PreTrainedModel


def load_base(base: Path, four_bit: bool, exact: bool = False, attention: str = "sdpa") -> "PreTrainedModel":
    """The base model of a folder, in NF4 with double quantisation or unquantised.

    Args:
        base: the model's folder. A model that is stored in 4 bits is loaded as it is.
        four_bit: whether its linear layers are held in 4 bits (Dettmers et al. 2023, "QLoRA").
        exact: compute in float32 on the CPU, whether there is a GPU or not: bfloat16 is too coarse to compare models.
        attention: the kernel, by transformers' name for it.

    Raises:
        UserError: if the base is stored in 4 bits and `four_bit` is not set.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging as transformers_logging

    stored = stored_quantisation(base)
    refuse_precision(stored, four_bit)
    transformers_logging.disable_progress_bar()  # a bar for each load, full at once
    on_gpu = torch.cuda.is_available() and not exact
    dtype = torch.float32 if exact else compute_dtype()
    config = AutoConfig.from_pretrained(base, local_files_only=True, trust_remote_code=False)
    if stored:
        config.quantization_config = stored | {"bnb_4bit_compute_dtype": str(dtype).removeprefix("torch.")}
    model = AutoModelForCausalLM.from_pretrained(
        base,
        config=config,
        quantization_config=nf4_config(dtype, processes.is_sharded()) if four_bit and not stored else None,
        dtype=dtype,
        device_map=device_map(four_bit) if on_gpu else None,
        attn_implementation=attention,
        local_files_only=True,
        trust_remote_code=False,
    )
    return model if on_gpu or not four_bit else dequantise(model)


def load_adapted(
    base: Path, adapter: Path | None, four_bit: bool, exact: bool = False
) -> "PreTrainedModel | PeftModel":
    """The base model, quantised as it was for training, with a trained adapter if one is given; ready to generate.

    Args:
        base: the base model's folder.
        adapter: the adapter's folder; None gives the base model as it is.
        four_bit: whether the base was held in 4 bits while the adapter was trained.
        exact: compute in float32 on the CPU.

    Raises:
        UserError: if the adapter was trained on another base.
    """
    from peft import PeftModel

    if adapter:
        refuse_other_base(base, adapter)
    model = load_base(base, four_bit, exact)
    return (PeftModel.from_pretrained(model, adapter) if adapter else model).eval()


def compute_dtype() -> "torch.dtype":
    """The type of the products: bfloat16 or float16 on a GPU; float32 on a CPU, where 16 bits are slow."""
    import torch

    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def stored_quantisation(base: Path) -> dict[str, Any] | None:
    """How a base model is quantised as it is stored, if it is."""
    return read_json(base / "config.json").get("quantization_config")


def device_map(four_bit: bool) -> dict[str, int] | None:
    """The whole model on this process's GPU; None leaves it on the CPU.

    An unquantised model that is sharded starts from the CPU, since it may be too large for one GPU.
    """
    return None if processes.is_sharded() and not four_bit else {"": processes.local_rank()}


def nf4_config(dtype: "torch.dtype", sharded: bool = False) -> "BitsAndBytesConfig":
    """bitsandbytes' settings for QLoRA.

    Args:
        dtype: the type of the products.
        sharded: store the packed weights as if they were of `dtype`, as FSDP shards floats alone.
    """
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_storage=dtype if sharded else torch.uint8,
    )


def dequantise(model: "PreTrainedModel") -> "PreTrainedModel":
    """A 4-bit model with its weights as float32: the numbers that each product would otherwise compute again.

    On a CPU that saves 6% of a training step and 15% of the time to answer, for seven times the memory of these
    weights. It also keeps bitsandbytes from its bfloat16 shortcut on CPUs with AVX512-BF16, which repacks 4-bit weights
    in place as soon as a model is evaluated and rounds their scales (seen in 0.50.2).
    """
    import torch
    from bitsandbytes.nn import Linear4bit

    weights: list[Any] = [module.weight for module in model.modules() if isinstance(module, Linear4bit)]
    for weight in weights:
        weight.quant_state.dtype = torch.float32  # a stored one may be bfloat16, and would be rounded
    logging.getLogger("transformers.integrations.bitsandbytes").setLevel(logging.ERROR)  # names the type asked for
    return model.dequantize(torch.float32)
