"""Trains with one of the compared trainers for some seconds, in a process of its own, and measures it.

Covers records, tokens and useful operations a second, padding and memory. Does not compare: gpu.py and tiny_training.py
do, and start this.

    python -m benchmarks.training_speed TASK.json RESULT.json
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import flops, workload
from benchmarks.trainers import NEVER, TRAINERS, BuiltTrainer
from src import numerics
from src.files import read_json, read_jsonl, write_json
from src.params import TrainParams
from src.prompts.encoding import EncodedRecord, encode_record
from src.prompts.tokenizers import load_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MAX_STEPS = 1000  # the schedule's length where train.max_steps is not set; the clock ends training long before


@dataclass(frozen=True)
class TrainingTask:
    """What to train, and for how long.

    Args:
        trainer: a key of TRAINERS.
        base: the base model's folder.
        train: the parameters of training, by name.
        seconds: of training to measure after the warm-up.
        records: how many records of random tokens to train on, where `prompts` is empty.
        prompts: a file of formatted records to train on.
    """

    trainer: str
    base: str
    train: dict[str, Any]
    seconds: float
    records: int = 0
    prompts: str = ""

    def params(self) -> TrainParams:
        """The parameters of training, without evaluations and checkpoints, so that only training is measured."""
        never = {"eval_steps": NEVER, "save_steps": NEVER, "log_steps": NEVER}
        once = {"early_stopping": 0, "best_checkpoint": False}
        return TrainParams(**self.train | never | once | {"max_steps": self.train["max_steps"] or MAX_STEPS})


def main() -> None:
    """Measures the training of a task."""
    task, target = TrainingTask(**read_json(sys.argv[1])), Path(sys.argv[2])
    numerics.fix_cpu()
    write_json(target, measure_training(task))


def measure_training(task: TrainingTask) -> dict[str, Any]:
    """What training took, and how much of it was useful."""
    (trainer, attention), pad_id, encoded = prepare_training(task)

    from benchmarks.meter import Meter

    meter = Meter(trainer, pad_id, task.seconds)
    trainer.train()
    return {"attention": attention} | add_rates(meter.measured(), task, encoded)


def prepare_training(task: TrainingTask) -> tuple[BuiltTrainer, int, list[EncodedRecord]]:
    """The trainer of a task, its padding's token id, and its records."""
    train, base = task.params(), Path(task.base)
    if task.trainer == "notebook" or train.backend == "unsloth":
        import unsloth  # noqa: F401  patches transformers and trl, so it comes before them
    numerics.seed_everything(train.seed, train.deterministic)
    tokenizer = load_tokenizer(base, "chat")
    encoded = load_records(task, tokenizer, train.max_length)
    return TRAINERS[task.trainer](base, train, tokenizer, encoded), tokenizer.pad_token_id, encoded


def load_records(task: TrainingTask, tokenizer: "PreTrainedTokenizerBase", max_length: int) -> list[EncodedRecord]:
    """Encodes the records of a task, or draws them.

    Args:
        task: names a file of formatted records, or how many to draw.
        tokenizer: encodes those of the file.
        max_length: tokens of a record, at most.

    Returns:
        Tokens and labels.
    """
    if task.prompts:
        return [encode_record(tokenizer, record, max_length) for record in read_jsonl(task.prompts)]
    vocabulary = read_json(Path(task.base, "config.json"))["vocab_size"]
    return workload.random_records(task.records, vocabulary, max_length)


def add_rates(measured: dict[str, Any], task: TrainingTask, encoded: list[EncodedRecord]) -> dict[str, Any]:
    """Adds rates to what was counted.

    Args:
        measured: counts and seconds.
        task: what was trained.
        encoded: its records, which may be more than were trained on.

    Returns:
        The counts, and the same a second; the share of padding; useful operations in TFLOP/s.
    """
    seconds, names = measured["seconds"], ("records", "tokens", "trained_tokens")
    mean_square = sum(len(record.input_ids) ** 2 for record in encoded) / len(encoded)
    config, rank = read_json(Path(task.base, "config.json")), task.train["lora_r"]
    useful = flops.training_flops(
        config, rank, measured["tokens"], measured["trained_tokens"], measured["records"] * mean_square
    )
    return measured | {
        **{f"{name}_per_second": round(measured[name] / seconds, 1) for name in names},
        "padding_share": round(1 - measured["tokens"] / measured["places"], 4),
        "useful_tflops": round(useful / seconds / 1e12, 4),
    }


if __name__ == "__main__":
    main()
