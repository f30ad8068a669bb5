"""The parameters of training in trl's words.

Covers what train.* and the device decide, and what is the same for every training.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.models import loading
from src.params import TrainParams

if TYPE_CHECKING:
    from trl import SFTConfig

FIXED: dict[str, Any] = {
    "logging_nan_inf_filter": False,  # else the log would show the last finite loss in place of one that is not
    "save_total_limit": 2,  # the checkpoint before is needed if the last one is not complete
    "report_to": "none",  # live.py sends the curves, by the steps of all rounds
    "disable_tqdm": True,
    "remove_unused_columns": False,  # the collators need seq_lengths, which no model takes
    "ddp_find_unused_parameters": False,
    # The model's own loss, see src/models/loss.py. trl's chunked_nll gives the same gradients, but took 1.5 times as
    # long over a vocabulary of 128,256 tokens, and twice the memory a logit (trl 1.14.2, on a CPU).
    "loss_type": "nll",
    "dataset_kwargs": {"skip_prepare_dataset": True},  # rows are encoded and packed already
}


def training_arguments(train: TrainParams, folder: Path) -> "SFTConfig":
    """trl's configuration of one round.

    Args:
        train: the parameters of training.
        folder: where checkpoints are written.
    """
    import torch
    from trl import SFTConfig

    dtype, on_gpu = loading.compute_dtype(), torch.cuda.is_available()
    return SFTConfig(
        output_dir=str(folder),
        num_train_epochs=train.epochs,
        max_steps=train.max_steps or -1,  # -1: as many as the epochs take
        per_device_train_batch_size=train.batch_size,
        gradient_accumulation_steps=train.accumulation,
        learning_rate=train.lr,
        lr_scheduler_type=train.scheduler,
        warmup_steps=train.warmup_steps,
        optim=optimizer_name(train.optimizer, on_gpu),
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        gradient_checkpointing=train.gradient_checkpointing is True,  # of every second layer: the backend sees to it
        use_cpu=not on_gpu,  # else several processes on a CPU would not know of each other
        seed=train.seed,
        data_seed=train.seed,
        bf16=dtype == torch.bfloat16,
        fp16=dtype == torch.float16,
        logging_steps=train.log_steps,
        save_steps=train.save_steps,
        dataloader_num_workers=collating_workers(on_gpu),
        dataloader_pin_memory=on_gpu,
        **FIXED,
    )


def collating_workers(on_gpu: bool) -> int:
    """The processes that make the next batches while a GPU computes, which takes Python milliseconds for each.

    On a CPU there is no core left for one.

    Args:
        on_gpu: whether PyTorch sees an NVIDIA GPU.
    """
    return 1 if on_gpu else 0


def optimizer_name(optimizer: str, on_gpu: bool) -> str:
    """The optimiser in the Trainer's words: on a CPU there is nothing to page out, on a GPU one kernel does all steps.

    Args:
        optimizer: train.optimizer.
        on_gpu: whether PyTorch sees an NVIDIA GPU.
    """
    if not on_gpu:
        return optimizer.removeprefix("paged_")
    return "adamw_torch_fused" if optimizer == "adamw_torch" else optimizer
