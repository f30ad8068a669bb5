"""The compared trainers: ours, trl as its documentation has it, and Unsloth as its notebooks have it.

Covers building each of them for the same model, the same records and the same settings of train.*, as far as it knows
them. Does not train or measure: training_speed.py does.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from src.models.loading import compute_dtype, nf4_config
from src.params import TrainParams
from src.prompts.encoding import EncodedRecord

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
    from trl import SFTConfig, SFTTrainer

# The layers that Unsloth's notebooks give an adapter: all linear ones of a Llama.
NOTEBOOK_LAYERS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
NEVER = 1000  # steps between log lines: the measurement ends long before


class BuiltTrainer(NamedTuple):
    """A trainer that is ready to train, and the attention kernel it uses, in words."""

    trainer: "SFTTrainer"
    attention: str


TrainerBuilder = Callable[[Path, TrainParams, "PreTrainedTokenizerBase", list[EncodedRecord]], BuiltTrainer]


def build_ours(
    base: Path, train: TrainParams, tokenizer: "PreTrainedTokenizerBase", encoded: list[EncodedRecord]
) -> BuiltTrainer:
    """Builds the train stage's own trainer, with the backend that train.backend names.

    Args:
        base: the base model's folder.
        train: the parameters of training.
        tokenizer: the base model's.
        encoded: the records to train on.

    Returns:
        The trainer.
    """
    from src.models import attention, backends
    from src.prompts.packing import make_rows
    from src.training.rounds import TrainingContext, build_trainer

    backend, kernel = backends.get_backend(train, base), attention.choose_attention(train)
    model = backend.load_trainable(base, train, kernel.implementation)
    validation = list(make_rows(encoded[:2], train.max_length, False))  # required, and never evaluated here
    context = TrainingContext(tokenizer=tokenizer, validation=validation, names={}, train=train, attention=kernel)
    rows = make_rows(encoded, train.max_length, kernel.packing)
    checkpoints = Path(base, "checkpoints", str(os.getpid()))  # trainings of one base may run side by side
    return BuiltTrainer(build_trainer(model, context, rows, checkpoints), kernel.reason)


def build_plain_trl(
    base: Path, train: TrainParams, tokenizer: "PreTrainedTokenizerBase", encoded: list[EncodedRecord]
) -> BuiltTrainer:
    """Builds trl's SFTTrainer with peft and bitsandbytes as its documentation has it: padded batches, defaults.

    Args:
        base: the base model's folder.
        train: the parameters of training.
        tokenizer: the base model's.
        encoded: the records to train on.

    Returns:
        The trainer.
    """
    from peft import LoraConfig
    from trl import SFTTrainer

    lora = LoraConfig(
        r=train.lora_r,
        lora_alpha=train.lora_alpha,
        lora_dropout=train.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    trainer = SFTTrainer(
        model=load_plain_base(base, train.four_bit),
        args=sft_config(base, train, gradient_checkpointing=train.gradient_checkpointing),
        train_dataset=to_dataset(encoded),
        processing_class=tokenizer,
        peft_config=lora,
    )
    return BuiltTrainer(trainer, "sdpa, trl's default")


def load_plain_base(base: Path, four_bit: bool) -> "PreTrainedModel":
    """Loads a base model by transformers and bitsandbytes alone, on the GPU if there is one.

    Args:
        base: its folder.
        four_bit: whether it is quantised to NF4.

    Returns:
        The model.
    """
    import torch
    from transformers import AutoModelForCausalLM

    dtype = compute_dtype()
    return AutoModelForCausalLM.from_pretrained(
        base,
        quantization_config=nf4_config(dtype) if four_bit else None,
        dtype=dtype,
        device_map={"": 0} if torch.cuda.is_available() else None,
        local_files_only=True,
    )


def build_unsloth_notebook(
    base: Path, train: TrainParams, tokenizer: "PreTrainedTokenizerBase", encoded: list[EncodedRecord]
) -> BuiltTrainer:
    """Builds a trainer as Unsloth's Llama notebooks do: its own checkpointing, no packing, adamw_8bit.

    Args:
        base: the base model's folder.
        train: the parameters of training; batch size and rank are taken from them, not from the notebooks.
        tokenizer: the base model's.
        encoded: the records to train on.

    Returns:
        The trainer.
    """
    from trl import SFTTrainer
    from unsloth import FastLanguageModel

    model, _ = FastLanguageModel.from_pretrained(
        str(base), max_seq_length=train.max_length, load_in_4bit=train.four_bit, local_files_only=True
    )
    model = FastLanguageModel.get_peft_model(
        model,
        r=train.lora_r,
        lora_alpha=train.lora_alpha,
        lora_dropout=train.lora_dropout,
        target_modules=NOTEBOOK_LAYERS,
        bias="none",
        use_gradient_checkpointing="unsloth",
        random_state=train.seed,
    )
    trainer = SFTTrainer(
        model=model,
        args=sft_config(base, train, optim="adamw_8bit"),
        train_dataset=to_dataset(encoded),
        processing_class=tokenizer,
    )
    padding_free = getattr(trainer.args, "padding_free", None)
    return BuiltTrainer(trainer, f"Unsloth's own: {unsloth_kernels()}, padding_free {padding_free}")


def unsloth_kernels() -> str:
    """Which kernels Unsloth found; without any it takes sdpa, one call a record where records are packed."""
    from unsloth.utils import attention_dispatch as found

    torch_varlen = found._TORCH_VARLEN_ATTN is not None
    return f"flash-attn {found.HAS_FLASH_ATTENTION}, xformers {found.HAS_XFORMERS}, torch's varlen {torch_varlen}"


def sft_config(base: Path, train: TrainParams, **changes: Any) -> "SFTConfig":
    """Translates the parameters of training into trl's names.

    Args:
        base: the base model's folder, where trl may write.
        train: the parameters.
        changes: what one trainer sets otherwise.

    Returns:
        trl's settings.
    """
    import torch
    from trl import SFTConfig

    on_gpu = torch.cuda.is_available()
    shared: dict[str, Any] = {
        "output_dir": str(base / "checkpoints"),
        "max_length": train.max_length,
        "max_steps": train.max_steps,
        "per_device_train_batch_size": train.batch_size,
        "gradient_accumulation_steps": train.accumulation,
        "learning_rate": train.lr,
        "lr_scheduler_type": train.scheduler,
        "warmup_steps": train.warmup_steps,
        "optim": train.optimizer if on_gpu else train.optimizer.removeprefix("paged_"),  # a CPU has nothing to page out
        "weight_decay": train.weight_decay,
        "bf16": on_gpu,
        "use_cpu": not on_gpu,
        "seed": train.seed,
        "data_seed": train.seed,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": NEVER,
        "disable_tqdm": True,
    }
    return SFTConfig(**shared | changes)


def to_dataset(encoded: list[EncodedRecord]) -> "Dataset":
    """Records as a `datasets.Dataset` of tokens and labels, which trl takes as they are."""
    from datasets import Dataset

    return Dataset.from_list([record._asdict() for record in encoded])


TRAINERS: dict[str, TrainerBuilder] = {
    "ours": build_ours,
    "plain": build_plain_trl,
    "notebook": build_unsloth_notebook,
}
