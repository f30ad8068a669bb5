"""Loading through Unsloth, on one NVIDIA GPU.

Covers the base model with a new adapter, in Unsloth's kernels. Needs requirements-gpu.txt; imports Unsloth only here.
What it cannot honour (another attention kernel, compile, several processes) src/params.py refuses.
"""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.models import processes
from src.models.backends.transformers import LINEAR_LAYERS, refuse_precision
from src.params import TrainParams


def check_supported(train: TrainParams, base: Path) -> None:
    """Refuses to run without an NVIDIA GPU, without Unsloth, or in several processes.

    Raises:
        UserError: naming what is missing.
    """
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            "train.backend is 'unsloth', which needs an NVIDIA GPU, and PyTorch sees none here: "
            "set train.backend to transformers, or run on a machine with a GPU."
        )
    if find_spec("unsloth") is None:
        raise UserError(
            "train.backend is 'unsloth', which is not installed: run `pip install -r requirements-gpu.txt`, "
            "or set train.backend to transformers."
        )
    if processes.world_size() > 1:
        raise UserError(
            f"train.launcher is {train.launcher!r}, which started {processes.world_size()} processes, and Unsloth "
            "trains in one: set it to python -m."
        )
    refuse_precision(base, train.four_bit)
    import_module("unsloth")  # patches transformers and trl, so it comes before them


def load_trainable(base: Path, train: TrainParams, attention: str = "sdpa") -> Any:
    """The base model with a new adapter on all linear layers, whose B matrices are zero; the kernels are Unsloth's."""
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
