"""Trains the small model through one backend, as the train stage does, and says how far it got; or reloads its adapter.

Covers the labels of the first batch as they reach the model, the loss curves, and the adapter in plain peft, in a
process that knows no backend. Does not compare: gpu.py does.

    python -m benchmarks.backend_agreement train ENTRY.json RESULT.json
    python -m benchmarks.backend_agreement reload ENTRY.json RESULT.json
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from benchmarks import workload
from src import numerics
from src.files import read_json, write_json
from src.params import TrainParams
from src.prompts.encoding import IGNORE_INDEX, EncodedRecord, load_tokenizer, make_rows

HELD_OUT = 64


@dataclass(frozen=True)
class Entry:
    """The base model's folder, the parameters of training, and the folder of the adapter."""

    base: str
    train: dict[str, Any]
    adapter: str


def main() -> None:
    """Trains, or reloads."""
    action, entry, target = sys.argv[1], Entry(**read_json(sys.argv[2])), Path(sys.argv[3])
    numerics.fix_cpu()
    if action == "train" and entry.train["backend"] == "unsloth":
        import unsloth  # noqa: F401  patches transformers and trl, so it comes before them
    numerics.seed_everything(entry.train["seed"])
    write_json(target, {"train": train_adapter, "reload": reload_adapter}[action](entry))


def train_adapter(entry: Entry) -> dict[str, Any]:
    """Trains and saves an adapter; its losses, and whether the labels that reached the model are right."""
    from src.models.adapter import save_adapter
    from src.training.history import collect_run

    train, base = TrainParams(**entry.train), Path(entry.base)
    tokenizer, encoded = load_tokenizer(base, "chat"), workload.catalogue_records(base, train.max_length)
    trainer, kernel = build_model(entry, tokenizer, encoded)
    pad_id = tokenizer.pad_token_id
    right = labels_right(next(iter(trainer.get_train_dataloader())), encoded, pad_id)
    trainer.train()
    run = collect_run(trainer)
    save_adapter(trainer.model, tokenizer, Path(entry.adapter))
    return {
        "attention": kernel.reason,
        "labels_right": right,
        "training_loss": [point["loss"] for point in run.training_loss],
        "validation_loss": [point["loss"] for point in run.validation_loss],
        **(together_and_alone(trainer.model, kernel, encoded[:HELD_OUT], train, pad_id) if kernel.packing else {}),
    }


def build_model(entry: Entry, tokenizer: Any, encoded: list[EncodedRecord]) -> tuple[Any, Any]:
    """The train stage's trainer for all records but those held out, and the attention kernel it was given."""
    from src.models import attention, backends
    from src.training.rounds import TrainingContext, build_trainer

    train, base = TrainParams(**entry.train), Path(entry.base)
    backend, kernel = backends.get_backend(train, base), attention.choose_attention(train)
    model = backend.load_trainable(base, train, kernel.implementation)
    job = TrainingContext(
        tokenizer=tokenizer, validation=held_out(encoded, train), names={}, train=train, attention=kernel
    )
    packed = make_rows(encoded[HELD_OUT:], train.max_length, kernel.packing)
    trainer = build_trainer(model, job, packed, Path(entry.adapter, "checkpoints"))
    same_start(model)
    return trainer, kernel


def same_start(model: Any) -> None:
    """Gives LoRA's A matrices numbers that depend on their names alone, so that backends start from the same ones."""
    import torch

    for name, weight in model.named_parameters():
        if "lora_A" in name:
            drawn = torch.Generator().manual_seed(crc32(name.encode()))
            bound = weight.shape[1] ** -0.5
            weight.data.copy_(torch.rand(weight.shape, generator=drawn) * 2 * bound - bound)


def together_and_alone(
    model: Any, kernel: Any, encoded: list[EncodedRecord], train: TrainParams, pad_id: int
) -> dict[str, float]:
    """The loss of records packed together, as the kernel takes them, and theirs one by one, in nats a token."""
    import torch

    from src.models.loss import answer_loss

    packed, single = (list(make_rows(encoded, train.max_length, packing)) for packing in (True, False))
    batch = kernel.batches(pad_id)(packed)
    trained = sum(label != IGNORE_INDEX for record in encoded for label in record.labels)
    on_device = {name: value.to(model.device) if torch.is_tensor(value) else value for name, value in batch.items()}
    with torch.no_grad():
        total = model.eval()(**on_device, use_cache=False, num_items_in_batch=1).loss.item()
    return {"packed_loss": total / trained, "single_loss": answer_loss(model, single, pad_id, train.max_length)}


def held_out(encoded: list[EncodedRecord], train: TrainParams) -> list[dict[str, Any]]:
    """The first records as rows of one record each; they are not trained on."""
    return list(make_rows(encoded[:HELD_OUT], train.max_length, False))


def labels_right(batch: dict[str, Any], encoded: list[EncodedRecord], pad_id: int) -> bool:
    """Whether each record of a batch has the labels it was encoded with: its answer and end-of-turn, nothing else."""
    known = {tuple(record.input_ids): tuple(record.labels) for record in encoded}
    found = train_and_validation(batch, pad_id)
    return bool(found) and all(known.get(ids) == labels for ids, labels in found)


def train_and_validation(batch: dict[str, Any], pad_id: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """The tokens and labels of each record in a batch, cut where positions start again; padding left out.

    The label at a record's first token is what its tokens say: trained by nobody, IGNORED or not.
    """
    records: list[tuple[list[int], list[int]]] = []
    columns = [batch[name].flatten().tolist() for name in ("input_ids", "labels", "position_ids")]
    for token, label, place in zip(*columns, strict=True):
        if place == 0:
            records.append(([], []))
        if token == pad_id and label == IGNORE_INDEX:
            continue
        records[-1][0].append(token)
        records[-1][1].append(label)
    return [(tuple(ids), tuple(labels)) for ids, labels in records]


def reload_adapter(entry: Entry) -> dict[str, Any]:
    """The held-out loss of a saved adapter on its base, loaded by transformers and peft alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from src.models.loading import compute_dtype, nf4_config
    from src.models.loss import answer_loss

    train, base = TrainParams(**entry.train), Path(entry.base)
    model = AutoModelForCausalLM.from_pretrained(
        base,
        quantization_config=nf4_config(compute_dtype()) if train.four_bit else None,
        dtype=compute_dtype(),
        device_map={"": 0} if torch.cuda.is_available() else None,
        local_files_only=True,
    )
    tuned = PeftModel.from_pretrained(model, entry.adapter)
    tokenizer = load_tokenizer(entry.adapter, "chat")
    validation = held_out(workload.catalogue_records(base, train.max_length), train)
    return {"validation_loss": answer_loss(tuned, validation, tokenizer.pad_token_id, train.max_length)}


if __name__ == "__main__":
    main()
