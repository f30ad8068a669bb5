"""Trains the small model through one backend as the train stage does, or loads its adapter again in plain peft.

Covers the labels of the first batch as they reach the model, the loss curves, the loss of packed records, and the
adapter in a process that imports no backend. Does not compare backends: gpu.py runs them, gpu_report.py compares.

    python -m benchmarks.backend_agreement train TASK.json RESULT.json
    python -m benchmarks.backend_agreement reload TASK.json RESULT.json
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from zlib import crc32

from benchmarks import workload
from benchmarks.trainers import load_plain_base
from src import numerics
from src.files import read_json, write_json
from src.params import TrainParams
from src.prompts.encoding import IGNORE_INDEX, EncodedRecord
from src.prompts.packing import make_rows
from src.prompts.tokenizers import load_tokenizer

if TYPE_CHECKING:
    from peft import PeftModel
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

    from src.models.attention import Attention
    from src.training.trainer import CompletionTrainer

HELD_OUT = 64  # records that are not trained on

TokensAndLabels = tuple[tuple[int, ...], tuple[int, ...]]


@dataclass(frozen=True)
class AgreementTask:
    """What to train.

    Args:
        base: the base model's folder.
        train: the parameters of training, by name.
        adapter: the folder that the adapter is written to, or loaded from.
    """

    base: str
    train: dict[str, Any]
    adapter: str


def main() -> None:
    """Trains, or loads again."""
    action, task, target = sys.argv[1], AgreementTask(**read_json(sys.argv[2])), Path(sys.argv[3])
    numerics.fix_cpu()
    if action == "train" and task.train["backend"] == "unsloth":
        import unsloth  # noqa: F401  patches transformers and trl, so it comes before them
    numerics.seed_everything(task.train["seed"])
    write_json(target, {"train": train_adapter, "reload": reload_adapter}[action](task))


def train_adapter(task: AgreementTask) -> dict[str, Any]:
    """Trains and saves an adapter; its losses, and whether the labels that reached the model are right."""
    from src.models.adapter import save_adapter
    from src.models.base_note import describe_base
    from src.training.history import collect_run

    train, base = TrainParams(**task.train), Path(task.base)
    tokenizer, encoded = load_tokenizer(base, "chat"), workload.catalogue_records(base, train.max_length)
    trainer, kernel = build_trainer(task, tokenizer, encoded)
    pad_id = tokenizer.pad_token_id
    labels_right = labels_match(next(iter(trainer.get_train_dataloader())), encoded, pad_id)
    trainer.train()
    curves = collect_run(trainer)
    model = cast("PeftModel", trainer.model)
    save_adapter(model, tokenizer, describe_base(base, train.four_bit), Path(task.adapter))
    results = {
        "attention": kernel.reason,
        "labels_right": labels_right,
        "training_loss": [point["loss"] for point in curves.training_loss],
        "validation_loss": [point["loss"] for point in curves.validation_loss],
    }
    if kernel.packing:
        results |= packed_and_single_loss(model, kernel, encoded[:HELD_OUT], train.max_length, pad_id)
    return results


def build_trainer(
    task: AgreementTask, tokenizer: "PreTrainedTokenizerBase", encoded: list[EncodedRecord]
) -> tuple["CompletionTrainer", "Attention"]:
    """Builds the train stage's trainer, with initial weights that do not depend on the backend.

    Args:
        task: what to train.
        tokenizer: the base model's.
        encoded: all records; the first HELD_OUT are not trained on.

    Returns:
        The trainer, and the attention kernel it was given.
    """
    from src.models import attention, backends
    from src.training import rounds

    train, base = TrainParams(**task.train), Path(task.base)
    backend, kernel = backends.get_backend(train, base), attention.choose_attention(train)
    model = backend.load_trainable(base, train, kernel.implementation)
    context = rounds.TrainingContext(
        tokenizer=tokenizer,
        validation=held_out_rows(encoded, train.max_length),
        names={},
        train=train,
        attention=kernel,
    )
    rows = make_rows(encoded[HELD_OUT:], train.max_length, kernel.packing)
    trainer = rounds.build_trainer(model, context, rows, Path(task.adapter, "checkpoints"))
    set_initial_weights(model)
    return trainer, kernel


def set_initial_weights(model: "nn.Module") -> None:
    """Draws LoRA's A matrices from their names alone, so that all backends start from the same weights."""
    import torch

    for name, weight in model.named_parameters():
        if "lora_A" in name:
            generator = torch.Generator().manual_seed(crc32(name.encode()))
            bound = weight.shape[1] ** -0.5  # the range that peft draws from by default
            weight.data.copy_(torch.rand(weight.shape, generator=generator) * 2 * bound - bound)


def packed_and_single_loss(
    model: "PeftModel", kernel: "Attention", encoded: list[EncodedRecord], max_length: int, pad_id: int
) -> dict[str, float]:
    """Measures the loss of records packed into rows and one by one: equal if packed neighbours cannot see each other.

    Args:
        model: the trained one.
        kernel: makes the batch that it takes.
        encoded: the records.
        max_length: tokens of a row, at most.
        pad_id: the padding's token id.

    Returns:
        Both losses, in nats a token.
    """
    import torch

    from src.models.loss import mean_loss

    packed, single = (list(make_rows(encoded, max_length, packing)) for packing in (True, False))
    batch = kernel.batches(pad_id)(packed)
    trained = sum(label != IGNORE_INDEX for record in encoded for label in record.labels)
    on_device = {name: value.to(model.device) if torch.is_tensor(value) else value for name, value in batch.items()}
    with torch.no_grad():  # num_items_in_batch=1 makes the loss a sum instead of a mean
        total = model.eval()(**on_device, use_cache=False, num_items_in_batch=1).loss.item()
    return {"packed_loss": total / trained, "single_loss": mean_loss(model, single, pad_id, max_length)}


def held_out_rows(encoded: list[EncodedRecord], max_length: int) -> list[dict[str, Any]]:
    """Makes rows of the records that are not trained on, one record each.

    Args:
        encoded: all records.
        max_length: tokens of a row, at most.

    Returns:
        The rows.
    """
    return list(make_rows(encoded[:HELD_OUT], max_length, False))


def labels_match(batch: dict[str, "Tensor"], encoded: list[EncodedRecord], pad_id: int) -> bool:
    """Tells whether each record of a batch has the labels it was encoded with.

    Args:
        batch: input_ids, labels and position_ids, [rows, tokens].
        encoded: all records.
        pad_id: the padding's token id.

    Returns:
        False for a batch without records as well.
    """
    known = {tuple(record.input_ids): tuple(record.labels) for record in encoded}
    found = split_batch(batch, pad_id)
    return bool(found) and all(known.get(ids) == labels for ids, labels in found)


def split_batch(batch: dict[str, "Tensor"], pad_id: int) -> list[TokensAndLabels]:
    """Splits a batch into its records, which begin where the position is 0, and leaves out the padding.

    Args:
        batch: input_ids, labels and position_ids, [rows, tokens].
        pad_id: the padding's token id.

    Returns:
        Tokens and labels of each record.
    """
    records: list[tuple[list[int], list[int]]] = []
    columns = [batch[name].flatten().tolist() for name in ("input_ids", "labels", "position_ids")]
    for token, label, position in zip(*columns, strict=True):
        if position == 0:
            records.append(([], []))
        if token == pad_id and label == IGNORE_INDEX:
            continue
        records[-1][0].append(token)
        records[-1][1].append(label)
    return [(tuple(ids), tuple(labels)) for ids, labels in records]


def reload_adapter(task: AgreementTask) -> dict[str, Any]:
    """The held-out loss of a saved adapter on its base, loaded by transformers and peft alone."""
    from peft import PeftModel

    from src.models.loss import mean_loss

    train, base = TrainParams(**task.train), Path(task.base)
    tuned = PeftModel.from_pretrained(load_plain_base(base, train.four_bit), task.adapter)
    tokenizer = load_tokenizer(task.adapter, "chat")
    validation = held_out_rows(workload.catalogue_records(base, train.max_length), train.max_length)
    return {"validation_loss": mean_loss(tuned, validation, tokenizer.pad_token_id, train.max_length)}


if __name__ == "__main__":
    main()
