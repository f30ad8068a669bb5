"""Trains with Unsloth's kernels, on one NVIDIA GPU.

Covers the base model with a new adapter. Needs requirements-gpu.txt; imports Unsloth only here. What it cannot honour
(another attention kernel, compile, several processes) src/params.py refuses.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from src.models.adapter import LINEAR_LAYERS
from src.models.loading import stored_quantisation
from src.models.refusals import refuse_precision, refuse_unsloth
from src.params import TrainParams

if TYPE_CHECKING:
    from peft import PeftModel


def check_supported(train: TrainParams, base: Path) -> None:
    """Refuses to run without an NVIDIA GPU, without Unsloth, or in several processes.

    Args:
        train: the parameters of training.
        base: the base model's folder.

    Raises:
        UserError: naming what is missing.
    """
    refuse_unsloth(train)
    refuse_precision(stored_quantisation(base), train.four_bit)
    import_module("unsloth")  # patches transformers and trl, so it comes before them


def load_trainable(base: Path, train: TrainParams, attention: str = "sdpa") -> "PeftModel":
    """The base model with a new adapter on all linear layers, whose B matrices are zero.

    Args:
        base: the base model's folder.
        train: the parameters of training.
        attention: has no effect, the kernels are Unsloth's.
    """
    from unsloth import FastLanguageModel

    model, _ = FastLanguageModel.from_pretrained(
        str(base), max_seq_length=train.max_length, load_in_4bit=train.four_bit, local_files_only=True
    )
    return FastLanguageModel.get_peft_model(
        model,
        r=train.lora_r,
        lora_alpha=train.lora_alpha,
        lora_dropout=train.lora_dropout,
        target_modules=LINEAR_LAYERS,
        use_gradient_checkpointing="unsloth" if train.gradient_checkpointing else False,
        random_state=train.seed,
    )
