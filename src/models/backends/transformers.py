"""Loading through transformers, peft and bitsandbytes, on a CPU or on one GPU.

Covers the base model in NF4 or unquantised, with a new adapter or a trained one. Does not train: training.py does.
"""

from pathlib import Path
from typing import Any

from src.params import TrainParams

LINEAR_LAYERS = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


def check() -> None:
    """This backend runs everywhere."""


def compute_dtype() -> Any:
    """The type of the products: bfloat16 or float16 on a GPU; float32 on a CPU, where 16 bits are slow."""
    import torch

    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def load_base(folder: Path, four_bit: bool, exact: bool = False) -> Any:
    """The base model of a folder, in NF4 with double quantisation (Dettmers et al. 2023, "QLoRA") or unquantised.

    `exact` computes in float32 on the CPU, whether there is a GPU or not: bfloat16 is too coarse to compare models.
    """
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.utils import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # a bar for each load, full at once
    dtype = torch.float32 if exact else compute_dtype()
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        quantization_config=nf4 if four_bit else None,
        dtype=dtype,
        device_map={"": 0} if torch.cuda.is_available() and not exact else None,
        attn_implementation="sdpa",
        local_files_only=True,
        trust_remote_code=False,
    )
    return exact_on_cpu(model)


def exact_on_cpu(model: Any) -> Any:
    """Keeps bitsandbytes from its bfloat16 shortcut on CPUs with AVX512-BF16.

    As soon as a model is evaluated, the shortcut repacks the 4-bit weights in place and rounds their scales: answers
    then depend on the processor, and training that goes on after an evaluation diverges (seen in 0.50.2).
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False
    return model


def load_adapted(base: Path, adapter: Path | None, four_bit: bool, exact: bool = False) -> Any:
    """The base model, quantised as it was for training, with a trained adapter if one is given; ready to generate."""
    from peft import PeftModel

    model = load_base(base, four_bit, exact)
    return (PeftModel.from_pretrained(model, adapter) if adapter else model).eval()


def load_trainable(base: Path, train: TrainParams) -> Any:
    """The base model with a new adapter on all linear layers, whose B matrices are zero."""
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    model = load_base(base, train.four_bit)
    if train.four_bit:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=train.gradient_checkpointing)
    lora = LoraConfig(
        r=train.lora_r,
        lora_alpha=train.lora_alpha,
        lora_dropout=train.lora_dropout,
        target_modules=LINEAR_LAYERS,
        task_type="CAUSAL_LM",
    )
    return get_peft_model(model, lora)
