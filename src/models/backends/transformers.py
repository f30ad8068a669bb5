"""Loading through transformers, peft and bitsandbytes, on a CPU, on one GPU, or one of several.

Covers the base model in NF4 or unquantised, with a new adapter or a trained one. Does not train: training.py does.
"""

import logging
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.files import read_json, write_json
from src.models import processes
from src.models.loss import trained_logits_only
from src.params import TrainParams

LINEAR_LAYERS = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]
BASE_FILE = "base.json"  # beside an adapter: which base it was trained on


def check_supported(train: TrainParams, base: Path) -> None:
    """This backend runs everywhere, in one process or one a device.

    Raises:
        UserError: if there are other processes than asked for, if the model cannot be cut over them as asked, or if it
            is quantised and must not be.
    """
    if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
        raise UserError(
            f"train.launcher is {train.launcher!r}, and accelerate is set up for DeepSpeed, which this project has not "
            "been tried with: choose plain multi-GPU or FSDP in `accelerate config`."
        )
    if processes.world_size() != processes.launcher_world_size(train.launcher):
        raise UserError(
            f"train.launcher is {train.launcher!r}, and there are {processes.world_size()} processes: start training "
            "by `dvc repro`; on a machine without several GPUs, add --multi_gpu to accelerate's options."
        )
    if processes.is_sharded():
        refuse_sharding(train, stored_quantisation(base) is not None)
    refuse_precision(base, train.four_bit)


def refuse_sharding(train: TrainParams, stored_in_4_bits: bool) -> None:
    """Refuses what is not known to train where accelerate cuts the model, each device with a part of it (FSDP).

    accelerate does so on GPUs alone: on a CPU it leaves the distributed type at MULTI_CPU (accelerate 1.15 state.py,
    AcceleratorState.__init__), says nothing, and trains copies. 4-bit weights it cuts where they are stored as floats,
    as `nf4` has it; those stored in bytes stay whole on each device.

    Raises:
        UserError: naming the first obstacle, and what to change.
    """
    import torch

    given, count = os.environ.get, processes.world_size()
    obstacles = [
        (
            not torch.cuda.is_available(),
            "that takes GPUs, and PyTorch sees none here: replace --use_fsdp by --multi_gpu",
        ),
        (given("FSDP_VERSION") != "2", "its first version is not supported here: add --fsdp_version 2"),
        (
            stored_in_4_bits,
            "a base stored in 4 bits would not be cut: set base.repository to the model it was quantised from, or "
            "replace --use_fsdp by --multi_gpu",
        ),
        (
            train.optimizer != "adamw_torch",
            f"train.optimizer is {train.optimizer!r}, which cannot update a part: set it to adamw_torch",
        ),
        (train.compile, "a compiled model has not been tried: set train.compile to false"),
        (
            train.rounds > 1 and train.lora_r % count > 0,
            f"train.rounds needs parts of equal size: set train.lora_r (now {train.lora_r}) to a multiple of {count}",
        ),
        (
            given("FSDP_ACTIVATION_CHECKPOINTING") == "true",
            "the adapter's weights would have other names: leave out --fsdp_activation_checkpointing, and set "
            "train.gradient_checkpointing to true",
        ),
        (
            given("FSDP_OFFLOAD_PARAMS") == "true",
            "weights that are kept off the GPU have not been tried: leave out --fsdp_offload_params",
        ),
        (
            given("FSDP_STATE_DICT_TYPE", "SHARDED_STATE_DICT") != "SHARDED_STATE_DICT",
            "each checkpoint would hold weights of the base: leave out --fsdp_state_dict_type",
        ),
    ]
    for found, change in obstacles:
        if found:
            raise UserError(f"train.launcher is {train.launcher!r}, which cuts the model (FSDP), and {change}.")


def refuse_precision(base: Path, four_bit: bool) -> None:
    """Refuses to load a base in 16 bits that is stored in 4.

    Raises:
        UserError: with what to change.
    """
    if stored_quantisation(base) and not four_bit:
        raise UserError(
            "train.four_bit is false, and the base model is stored in 4 bits: set train.four_bit to true, or "
            "base.repository to the model it was quantised from."
        )


def stored_quantisation(base: Path) -> dict[str, Any] | None:
    """How a base model is quantised as it is stored, if it is.

    Raises:
        UserError: if it is in another way than bitsandbytes' 4 bits.
    """
    stored = read_json(base / "config.json").get("quantization_config")
    if stored and not stored.get("load_in_4bit"):
        raise UserError(
            f"the base model is quantised by {stored.get('quant_method')}, which cannot be trained here: take the "
            "unquantised model, or one whose name ends in bnb-4bit."
        )
    return stored


def compute_dtype() -> Any:
    """The type of the products: bfloat16 or float16 on a GPU; float32 on a CPU, where 16 bits are slow."""
    import torch

    if not torch.cuda.is_available():
        return torch.float32
    return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16


def load_base(base: Path, four_bit: bool, exact: bool = False, attention: str = "sdpa") -> Any:
    """The base model of a folder, in NF4 with double quantisation (Dettmers et al. 2023, "QLoRA") or unquantised.

    A base that is stored in 4 bits is loaded as it is. `exact` computes in float32 on the CPU, whether there is a GPU
    or not: bfloat16 is too coarse to compare models.

    Raises:
        UserError: if the base is stored in 4 bits and `four_bit` is not set.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.utils import logging as transformers_logging

    refuse_precision(base, four_bit)
    transformers_logging.disable_progress_bar()  # a bar for each load, full at once
    dtype = torch.float32 if exact else compute_dtype()
    config, on_gpu = AutoConfig.from_pretrained(base, local_files_only=True), torch.cuda.is_available() and not exact
    cut_unquantised = processes.is_sharded() and not four_bit  # from the CPU, since it may be too large for one GPU
    if stored := stored_quantisation(base):
        config.quantization_config = stored | {"bnb_4bit_compute_dtype": str(dtype).removeprefix("torch.")}
    model = AutoModelForCausalLM.from_pretrained(
        base,
        config=config,
        quantization_config=nf4_config(dtype, processes.is_sharded()) if four_bit and not stored else None,
        dtype=dtype,
        device_map={"": processes.local_rank()} if on_gpu and not cut_unquantised else None,
        attn_implementation=attention,
        local_files_only=True,
        trust_remote_code=False,
    )
    return model if on_gpu or not four_bit else dequantise(model)


def nf4_config(dtype: Any, cut: bool = False) -> Any:
    """bitsandbytes' settings for QLoRA, with products in a type; weights to be cut (FSDP) are stored as if of it."""
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        bnb_4bit_quant_storage=dtype if cut else torch.uint8,
    )


def dequantise(model: Any) -> Any:
    """A 4-bit model with its weights as float32: the very numbers that each product would else compute anew.

    On a CPU that saves 6% of a training step and 15% of the answers, for seven times the memory of these weights. It
    also keeps bitsandbytes from its bfloat16 shortcut on CPUs with AVX512-BF16, which repacks 4-bit weights in place as
    soon as a model is evaluated and rounds their scales (seen in 0.50.2).
    """
    import torch
    from bitsandbytes.nn import Linear4bit

    weights: list[Any] = [module.weight for module in model.modules() if isinstance(module, Linear4bit)]
    for weight in weights:
        weight.quant_state.dtype = torch.float32  # a stored one may say bfloat16, and would be rounded
    logging.getLogger("transformers.integrations.bitsandbytes").setLevel(logging.ERROR)  # names the type asked for
    return model.dequantize(torch.float32)


def load_adapted(base: Path, adapter: Path | None, four_bit: bool, exact: bool = False) -> Any:
    """The base model, quantised as it was for training, with a trained adapter if one is given; ready to generate.

    Raises:
        UserError: if the adapter was trained on another base.
    """
    from peft import PeftModel

    if adapter:
        refuse_other_base(base, adapter)
    model = load_base(base, four_bit, exact)
    return (PeftModel.from_pretrained(model, adapter) if adapter else model).eval()


def load_trainable(base: Path, train: TrainParams, attention: str = "sdpa") -> Any:
    """The base model with a new adapter on all linear layers, whose B matrices are zero.

    What is not quantised keeps the type of the products: in 32 bits, as peft prepares it, an 8B model would take 2 GB
    more, and all that passes between its layers twice the memory. Only float16, which overflows, needs those.
    """
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    model = load_base(base, train.four_bit, attention=attention)
    if train.four_bit and compute_dtype() == torch.float16:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=train.gradient_checkpointing)
    lora = LoraConfig(
        r=train.lora_r,
        lora_alpha=train.lora_alpha,
        lora_dropout=train.lora_dropout,
        target_modules=LINEAR_LAYERS,
        task_type="CAUSAL_LM",
    )
    model = get_peft_model(model, lora)
    trained_logits_only(model)
    return model


def weights_digest(base: Path) -> str:
    """What tells a base model from another: the SHA-256 of its weights."""
    found = sha256()
    for path in sorted(base.glob("*.safetensors")):
        with open(path, "rb") as weights:
            while block := weights.read(2**24):
                found.update(block)
    return found.hexdigest()


def record_base(base: Path, adapter: Path) -> None:
    """Writes beside an adapter which base it was trained on."""
    write_json(adapter / BASE_FILE, {"sha256": weights_digest(base)})


def refuse_other_base(base: Path, adapter: Path) -> None:
    """Refuses an adapter of another base: it would answer, and wrongly.

    Raises:
        UserError: if it was trained on another one, or does not say on which.
    """
    note = adapter / BASE_FILE
    if not note.exists():
        raise UserError(f"{note} is missing, so nothing says which base the adapter was trained on: run train again.")
    if read_json(note)["sha256"] != weights_digest(base):
        raise UserError(
            f"{adapter} was trained on another base model than the one in {base}: restore that base (`dvc checkout`), "
            "or run train again."
        )
