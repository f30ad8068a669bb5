"""Trains one contender for a while, in a process of its own, and writes what was measured as JSON.

Covers ours (either backend), trl with peft and bitsandbytes as their documentation has it, and Unsloth as its notebooks
have it: on the same model, the same records and the same settings of train.*, as far as each knows them. Does not
compare: gpu.py and embedded.py do.

    python -m benchmarks.trainers ENTRY.json RESULT.json
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import flops, workload
from src import numerics
from src.files import read_json, read_jsonl, write_json
from src.models.adapter import LINEAR_LAYERS
from src.models.loading import nf4_config
from src.params import TrainParams
from src.prompts.encoding import EncodedRecord, encode_record, load_tokenizer

MOST_STEPS = 1000  # the schedule's length; the clock ends training long before


@dataclass(frozen=True)
class Entry:
    """Who trains, on which model and records, and for how many seconds after the warm-up.

    `prompts` is a file of formatted records; without one, `records` of them are drawn in random tokens.
    """

    contender: str
    base: str
    train: dict[str, Any]
    seconds: float
    records: int = 0
    prompts: str = ""

    def params(self) -> TrainParams:
        """The training parameters, with nothing but training in the time measured."""
        most = self.train["max_steps"] or MOST_STEPS
        aside = {"max_steps": most, "eval_steps": MOST_STEPS, "save_steps": MOST_STEPS, "log_steps": MOST_STEPS}
        return TrainParams(**self.train | aside | {"early_stopping": 0, "best_checkpoint": False})


def main() -> None:
    """Trains the contender of an entry."""
    entry, target = Entry(**read_json(sys.argv[1])), Path(sys.argv[2])
    numerics.fix_cpu()
    write_json(target, measure_training(entry))


def measure_training(entry: Entry) -> dict[str, Any]:
    """What a contender's training took, and how much of the device's matrix rate it used."""
    train = entry.params()
    base = Path(entry.base)
    build = TRAINERS[entry.contender]
    if entry.contender == "notebook" or train.backend == "unsloth":
        import unsloth  # noqa: F401  patches transformers and trl, so it comes before them
    numerics.seed_everything(train.seed)
    tokenizer = load_tokenizer(base, "chat")
    encoded = records_of(entry, tokenizer, train.max_length)
    trainer, described = build(base, train, tokenizer, encoded)

    from benchmarks.meter import Meter

    meter = Meter(trainer, tokenizer.pad_token_id, entry.seconds)
    trainer.train()
    return described | per_second(meter.measured(), entry, encoded)


def records_of(entry: Entry, tokenizer: Any, max_length: int) -> list[EncodedRecord]:
    """The records of an entry as tokens."""
    if entry.prompts:
        return [encode_record(tokenizer, record, max_length) for record in read_jsonl(entry.prompts)]
    vocabulary = read_json(Path(entry.base, "config.json"))["vocab_size"]
    return workload.random_records(entry.records, vocabulary, max_length)


def per_second(measured: dict[str, Any], entry: Entry, encoded: list[EncodedRecord]) -> dict[str, Any]:
    """What was measured, and the same by the second."""
    seconds, names = measured["seconds"], ("records", "tokens", "trained_tokens")
    squares = measured["records"] * sum(len(record.input_ids) ** 2 for record in encoded) / len(encoded)
    config, rank = read_json(Path(entry.base, "config.json")), entry.train["lora_r"]
    useful = flops.training_flops(config, rank, measured["tokens"], measured["trained_tokens"], squares)
    return measured | {
        **{f"{name}_per_second": round(measured[name] / seconds, 1) for name in names},
        "padding_share": round(1 - measured["tokens"] / measured["places"], 4),
        "useful_tflops": round(useful / seconds / 1e12, 4),
    }


def ours_trainer(
    base: Path, train: TrainParams, tokenizer: Any, encoded: list[EncodedRecord]
) -> tuple[Any, dict[str, Any]]:
    """The train stage's own trainer, with the backend that train.backend names."""
    from src.models import attention, backends
    from src.prompts.encoding import make_rows
    from src.training.rounds import TrainingContext, build_trainer

    backend, kernel = backends.get_backend(train, base), attention.choose_attention(train)
    model = backend.load_trainable(base, train, kernel.implementation)
    few = list(make_rows(encoded[:2], train.max_length, False))
    job = TrainingContext(tokenizer=tokenizer, validation=few, names={}, train=train, attention=kernel)
    packed = make_rows(encoded, train.max_length, kernel.packing)
    return build_trainer(model, job, packed, Path(base, "checkpoints")), {"attention": kernel.reason}


def trl_trainer(
    base: Path, train: TrainParams, tokenizer: Any, encoded: list[EncodedRecord]
) -> tuple[Any, dict[str, Any]]:
    """trl's SFTTrainer on a base that bitsandbytes quantises, with a peft configuration, padding and defaults."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM
    from trl import SFTTrainer

    on_gpu = torch.cuda.is_available()
    dtype = torch.bfloat16 if on_gpu else torch.float32
    model = AutoModelForCausalLM.from_pretrained(
        base,
        quantization_config=nf4_config(dtype) if train.four_bit else None,
        dtype=dtype,
        device_map={"": 0} if on_gpu else None,
        local_files_only=True,
    )
    lora = LoraConfig(
        r=train.lora_r,
        lora_alpha=train.lora_alpha,
        lora_dropout=train.lora_dropout,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    trainer = SFTTrainer(
        model=model,
        args=sft_config(base, train, gradient_checkpointing=train.gradient_checkpointing),
        train_dataset=padded_dataset(encoded),
        processing_class=tokenizer,
        peft_config=lora,
    )
    return trainer, {"attention": "sdpa, trl's default"}


def unsloth_notebook(
    base: Path, train: TrainParams, tokenizer: Any, encoded: list[EncodedRecord]
) -> tuple[Any, dict[str, Any]]:
    """Unsloth as in its Llama notebooks: its own checkpointing, no packing, adamw_8bit; batch and rank as asked."""
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
        target_modules=LINEAR_LAYERS,
        bias="none",
        use_gradient_checkpointing="unsloth",
        random_state=train.seed,
    )
    trainer = SFTTrainer(
        model=model,
        args=sft_config(base, train, optim="adamw_8bit"),
        train_dataset=padded_dataset(encoded),
        processing_class=tokenizer,
    )
    padding_free = getattr(trainer.args, "padding_free", None)
    return trainer, {"attention": f"Unsloth's own: {unsloth_attention()}, padding_free {padding_free}"}


def unsloth_attention() -> str:
    """Which kernels Unsloth found: without any it takes sdpa, one call a record where records are packed."""
    from unsloth.utils import attention_dispatch as found

    torch_varlen = found._TORCH_VARLEN_ATTN is not None
    return f"flash-attn {found.HAS_FLASH_ATTENTION}, xformers {found.HAS_XFORMERS}, torch's varlen {torch_varlen}"


def sft_config(base: Path, train: TrainParams, **different: Any) -> Any:
    """The parameters of training that every contender shares, in trl's words."""
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
        "optim": train.optimizer if on_gpu else train.optimizer.removeprefix("paged_"),
        "weight_decay": train.weight_decay,
        "bf16": on_gpu,
        "use_cpu": not on_gpu,
        "seed": train.seed,
        "data_seed": train.seed,
        "report_to": "none",
        "save_strategy": "no",
        "logging_steps": MOST_STEPS,
        "disable_tqdm": True,
    }
    return SFTConfig(**shared | different)


def padded_dataset(encoded: list[EncodedRecord]) -> Any:
    """Records as a `datasets.Dataset` of tokens and labels, which trl takes as they are."""
    from datasets import Dataset

    return Dataset.from_list([record._asdict() for record in encoded])


TrainerBuilder = Callable[[Path, TrainParams, Any, list[EncodedRecord]], tuple[Any, dict[str, Any]]]
TRAINERS: dict[str, TrainerBuilder] = {"ours": ours_trainer, "plain": trl_trainer, "notebook": unsloth_notebook}


if __name__ == "__main__":
    main()
