"""Pretrains the embedded base model, which is committed in models/embedded and copied from there by the base stage.

Covers the command, its schedule and its checkpoints: killed at any point, the same command goes on from the last one
and ends in the same weights. Where the processor can, matrices are multiplied in bfloat16: the same machine writes the
same bytes, another one about the same model.

    python -m src.synthetic.pretrain FOLDER
"""

import argparse
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.files import atomic_file, atomic_folder, write_json
from src.fingerprints import hash_file
from src.models.sources import CHECKSUMS
from src.numerics import seed_everything
from src.prompts.encoding import IGNORE_INDEX
from src.synthetic.pretraining_text import ROW_TOKENS, make_chats, token_rows, tokenizer_corpus
from src.synthetic.tiny_model import initialise_copying, new_model, train_tokenizer

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.optim.lr_scheduler import LambdaLR
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

STEPS, SEED = 14_000, 7  # of the committed model
ROWS = 3  # of a step; with more, the logits no longer fit in the processor's cache
PEAK_LEARNING_RATE = 2e-3
WARMUP_STEPS = 200
SAVE_STEPS = 500
TRACE_STEPS, FIRST_STEPS = 500, 10  # pretraining.json has means over so many losses, and the first ones as they are
TRACE = "pretraining.json"


@dataclass
class Pretraining:
    """A pretraining and all of its state: what a checkpoint holds.

    Attributes:
        steps: to be done in all.
        seed: of the weights and of the text.
        step: those done.
        chunk: of the text, from which the next row is taken.
        row: the next one of that chunk.
        losses: of each step done, nats a token.
    """

    steps: int
    seed: int
    tokenizer: "PreTrainedTokenizerFast"
    model: "LlamaForCausalLM"
    optimizer: "torch.optim.Optimizer"
    schedule: "LambdaLR"
    losses: list[float]
    step: int = 0
    chunk: int = 0
    row: int = 0


def pretrain(folder: Path, steps: int, seed: int) -> None:
    """Trains tokenizer and model, and saves them as transformers does, the weights in bfloat16.

    Args:
        folder: of the model; it appears when training has ended, and checkpoints lie beside it until then.
        steps: of pretraining.
        seed: of the weights and of the text.
    """
    checkpoint = folder.with_name(f"{folder.name}.checkpoint")
    training = start_training(steps, seed)
    resume_training(training, checkpoint)
    train_on_text(training, checkpoint)
    save_model(training, folder)
    shutil.rmtree(checkpoint, ignore_errors=True)


def start_training(steps: int, seed: int) -> Pretraining:
    """A pretraining before its first step.

    Args:
        steps: to be done.
        seed: of the weights and of the text.
    """
    import torch
    from transformers import get_linear_schedule_with_warmup

    seed_everything(seed)
    torch.set_num_threads(1)  # a second thread gains a tenth, and loses much more where something else runs
    tokenizer = train_tokenizer(tokenizer_corpus(seed))
    model = new_model(tokenizer)
    initialise_copying(model)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=PEAK_LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.1, fused=True
    )
    schedule = get_linear_schedule_with_warmup(optimizer, min(WARMUP_STEPS, steps // 10), steps)
    return Pretraining(steps, seed, tokenizer, model, optimizer, schedule, [])


def train_on_text(training: Pretraining, checkpoint: Path) -> None:
    """Trains until all steps are done, and saves a checkpoint now and then.

    Args:
        training: changed in place.
        checkpoint: the folder of the checkpoint.
    """
    from tqdm import tqdm

    batches = draw_batches(training)
    with tqdm(total=training.steps, initial=training.step, desc="Pretraining", mininterval=5) as progress:
        while training.step < training.steps:
            training.losses.append(train_step(training, next(batches)))
            training.step += 1
            progress.set_postfix(loss=f"{training.losses[-1]:.3f}", refresh=False)
            progress.update()
            if training.step % SAVE_STEPS == 0:
                save_checkpoint(training, checkpoint)


def draw_batches(training: Pretraining) -> "Iterator[Tensor]":
    """Draws the rows of each step, chunk by chunk of the text, from where the training stands.

    Args:
        training: its `chunk` and `row` move on with each batch.

    Yields:
        Token ids, [ROWS, ROW_TOKENS].
    """
    while True:
        rows = token_rows(training.tokenizer, make_chats(training.seed, training.chunk))
        while training.row + ROWS <= len(rows):
            training.row += ROWS  # before the yield, so that a checkpoint goes on after this batch
            yield rows[training.row - ROWS : training.row]
        training.chunk, training.row = training.chunk + 1, 0


def train_step(training: Pretraining, batch: "Tensor") -> float:
    """One step of the optimiser on next-token prediction.

    Args:
        training: its weights are changed in place.
        batch: token ids, [ROWS, ROW_TOKENS].

    Returns:
        The loss before the step, nats a token.
    """
    import torch

    labels = batch.masked_fill(batch == training.tokenizer.pad_token_id, IGNORE_INDEX)
    # Twice as fast as float32 where the processor multiplies bfloat16, and many times slower where it does not.
    with torch.autocast("cpu", torch.bfloat16, enabled=torch.ops.mkldnn._is_mkldnn_bf16_supported()):
        loss = training.model(input_ids=batch, labels=labels).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(training.model.parameters(), 1.0)
    training.optimizer.step()
    training.schedule.step()
    training.optimizer.zero_grad()
    return float(loss.detach())


def save_checkpoint(training: Pretraining, folder: Path) -> None:
    """Saves what resuming needs; an older checkpoint stays until the new one is complete.

    Args:
        training: what is saved.
        folder: of the checkpoint.
    """
    import torch

    folder.mkdir(parents=True, exist_ok=True)
    state = {name: getattr(training, name) for name in ("steps", "seed", "step", "chunk", "row", "losses")}
    for name in ("model", "optimizer", "schedule"):
        state[name] = getattr(training, name).state_dict()
    with atomic_file(folder / "state.pt") as partial:
        torch.save(state, partial)


def resume_training(training: Pretraining, folder: Path) -> None:
    """Goes on from a checkpoint of the same steps and seed, if there is one.

    Args:
        training: before its first step; changed in place.
        folder: of the checkpoint.
    """
    import torch

    if not (folder / "state.pt").exists():
        return
    state = torch.load(folder / "state.pt", weights_only=True)
    if (state["steps"], state["seed"]) != (training.steps, training.seed):
        return
    for name in ("model", "optimizer", "schedule"):
        getattr(training, name).load_state_dict(state[name])
    for name in ("step", "chunk", "row", "losses"):
        setattr(training, name, state[name])


def save_model(training: Pretraining, folder: Path) -> None:
    """Writes model, tokenizer, the course of the loss, and the checksums by which the base stage knows them.

    Args:
        training: when it has ended.
        folder: takes the place of an older one.
    """
    with atomic_folder(folder) as partial:
        training.model.bfloat16().save_pretrained(partial)
        training.tokenizer.save_pretrained(partial)
        write_json(partial / TRACE, describe_training(training))
        write_checksums(partial)


def describe_training(training: Pretraining) -> dict[str, Any]:
    """The content of pretraining.json: how long it was and how the loss fell, nats a token."""
    parts = [training.losses[start : start + TRACE_STEPS] for start in range(0, training.step, TRACE_STEPS)]
    return {
        "steps": training.steps,
        "seed": training.seed,
        "tokens": training.step * ROWS * ROW_TOKENS,
        "first_losses": [round(loss, 4) for loss in training.losses[:FIRST_STEPS]],
        "mean_loss": [round(sum(part) / len(part), 4) for part in parts],
    }


def write_checksums(folder: Path) -> None:
    """Writes the SHA-256 of each file of a model's folder beside them, as sha256sum does."""
    lines = [f"{hash_file(path)}  {path.name}" for path in sorted(folder.iterdir())]
    (folder / CHECKSUMS).write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Pretrains the model that a command line asks for."""
    parser = argparse.ArgumentParser(description="Pretrain the embedded base model, or go on where it was stopped.")
    parser.add_argument("folder", type=Path, help="where the model is written")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"of the optimiser, {STEPS} by default")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of weights and text, {SEED} by default")
    chosen = parser.parse_args()
    started = time.monotonic()
    pretrain(chosen.folder, chosen.steps, chosen.seed)
    print(f"Wrote {chosen.folder} after {(time.monotonic() - started) / 60:.0f} minutes.")


if __name__ == "__main__":
    main()
