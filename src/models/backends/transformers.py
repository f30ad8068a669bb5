"""Trains with transformers, peft and bitsandbytes, on a CPU, on one GPU, or on several.

Covers the base model with a new adapter. Does not load trained adapters: src/models/loading.py does.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from src.models import loading, processes
from src.models.adapter import LINEAR_LAYERS
from src.models.loss import trained_logits_only
from src.models.refusals import refuse_launcher, refuse_precision, refuse_sharding
from src.params import TrainParams

if TYPE_CHECKING:
    from peft import PeftModel

Compiler = str | Callable[..., Any]


def check_supported(train: TrainParams, base: Path) -> None:
    """This backend runs everywhere, in one process or one a device.

    Args:
        train: the parameters of training.
        base: the base model's folder.

    Raises:
        UserError: if there are other processes than asked for, if the model cannot be sharded over them as asked, or if
            it is quantised and must not be.
    """
    stored = loading.stored_quantisation(base)  # from config.json: nothing is loaded yet
    refuse_launcher(train)
    if processes.is_sharded():
        refuse_sharding(train, stored is not None)
    refuse_precision(stored, train.four_bit)


def load_trainable(base: Path, train: TrainParams, attention: str = "sdpa") -> "PeftModel":
    """The base model with a new adapter on all linear layers, whose B matrices are zero.

    Args:
        base: the base model's folder.
        train: the parameters of training.
        attention: the kernel, by transformers' name for it.
    """
    import torch
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training

    model = loading.load_base(base, train.four_bit, attention=attention)
    # What is not quantised keeps the type of the products: in 32 bits, as peft prepares it, an 8B model would take 2 GB
    # more, and everything that passes between its layers twice the memory. Only float16, which overflows, needs that.
    if train.four_bit and loading.compute_dtype() == torch.float16:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=bool(train.gradient_checkpointing))
    lora = LoraConfig(
        r=train.lora_r,
        lora_alpha=train.lora_alpha,
        lora_dropout=train.lora_dropout,
        target_modules=LINEAR_LAYERS,
        task_type="CAUSAL_LM",
    )
    adapted = cast("PeftModel", get_peft_model(model, lora))
    trained_logits_only(adapted)
    if train.gradient_checkpointing == "alternate":
        checkpoint_alternate_layers(adapted)
    if train.compile:
        compile_layers(adapted)
    return adapted


def checkpoint_alternate_layers(model: "PeftModel") -> None:
    """Lets every second layer be computed again in the backward pass, instead of being kept.

    transformers knows all layers or none, so the others are left out by their own switch.

    Args:
        model: the base model with its adapter.
    """
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.config.use_cache = False  # of no use in training, and a layer that is computed again must not add to it
    for layer in decoder_layers(model)[::2]:
        layer.gradient_checkpointing = False


def decoder_layers(model: "PeftModel") -> Any:
    """The layers of a base model with an adapter, in their order."""
    decoder: Any = model.get_base_model().base_model
    return decoder.layers


def compile_layers(model: "PeftModel", compiler: Compiler = "inductor") -> None:
    """Compiles each layer by itself: they share their code, which rows of other lengths reuse.

    As a whole the model would be compiled in pieces, since its loss picks the trained tokens, and its weights would get
    other names.

    Args:
        model: the base model with its adapter.
        compiler: torch.compile's backend.
    """
    for layer in decoder_layers(model):
        layer.compile(dynamic=True, backend=compiler)
