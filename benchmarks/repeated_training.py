"""Trains the same adapter twice, each time in a process of its own, and compares the weights bit by bit.

Covers how many of the adapter's matrices differ and by how much. Does not measure speed, so that several may run side
by side. Where a kernel cannot add in a fixed order and train.deterministic is true, PyTorch's refusal names it.

    python -m benchmarks.repeated_training TASK.json RESULT.json
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from benchmarks import workload
from benchmarks.trainers import build_ours
from src import numerics
from src.files import read_json, write_json
from src.params import TrainParams
from src.prompts.tokenizers import load_tokenizer

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor

ONCE = "once"  # the first word of the command line that trains, instead of comparing two trainings
RUNS = ("first", "second")


@dataclass(frozen=True)
class RepeatTask:
    """What to train.

    Args:
        base: the base model's folder.
        train: the parameters of training, by name; train.max_steps ends it.
        records: how many records of random tokens to train on.
    """

    base: str
    train: dict[str, Any]
    records: int


def main() -> None:
    """Trains once, or has it done twice and compares."""
    if sys.argv[1] == ONCE:
        train_once(RepeatTask(**read_json(sys.argv[2])), Path(sys.argv[3]))
    else:
        write_json(Path(sys.argv[2]), compare_runs(sys.argv[1], Path(sys.argv[2]).with_suffix("")))


def train_once(task: RepeatTask, target: Path) -> None:
    """Trains an adapter and writes its weights.

    Args:
        task: what to train.
        target: a safetensors file.
    """
    numerics.fix_cpu()
    train, base = TrainParams(**task.train), Path(task.base)
    if train.backend == "unsloth":
        import unsloth  # noqa: F401  patches transformers and trl, so it comes before them
    numerics.seed_everything(train.seed, train.deterministic)
    tokenizer = load_tokenizer(base, "chat")
    vocabulary = read_json(base / "config.json")["vocab_size"]
    encoded = workload.random_records(task.records, vocabulary, train.max_length)
    trainer, _ = build_ours(base, train, tokenizer, encoded)
    trainer.train()

    from safetensors.torch import save_file

    from src.models.adapter import copy_trained_weights

    save_file(copy_trained_weights(cast("PeftModel", trainer.model)), target)


def compare_runs(task: str, folder: Path) -> dict[str, Any]:
    """Trains in two processes, one after the other, and compares what they wrote.

    Args:
        task: the file of the task.
        folder: for the weights of both.

    Returns:
        See `compare_weights`.
    """
    from safetensors.torch import load_file

    folder.mkdir(parents=True, exist_ok=True)
    targets = [folder / f"{run}.safetensors" for run in RUNS]
    for target in targets:
        command = [sys.executable, "-m", "benchmarks.repeated_training", ONCE, task, str(target)]
        if status := subprocess.run(command).returncode:
            sys.exit(status)  # what it has printed tells the reason
    return compare_weights(*map(load_file, targets))


def compare_weights(first: "dict[str, Tensor]", second: "dict[str, Tensor]") -> dict[str, Any]:
    """How far two adapters of the same names differ.

    Args:
        first: weights by name.
        second: likewise.

    Returns:
        How many matrices there are, how many of them differ in any bit, the first of those by name, and the largest
        difference of two weights.
    """
    import torch

    differing = sorted(name for name in first if not torch.equal(first[name], second[name]))
    largest = max((float((first[name] - second[name]).abs().max()) for name in differing), default=0.0)
    return {
        "matrices": len(first),
        "differing": len(differing),
        "first_differing": next(iter(differing), ""),
        "largest_difference": largest,
    }


if __name__ == "__main__":
    main()
