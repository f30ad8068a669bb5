"""What is shown while a model is trained; the weights do not depend on it."""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from src.errors import UserError
from src.models import processes
from src.models.adapter import copy_trained_weights
from src.models.attention import Attention
from src.models.backends.transformers import load_trainable
from src.numerics import seed_everything
from src.params import TrainParams
from src.prompts.encoding import EncodedRecord
from src.prompts.packing import make_rows
from src.training import validation
from src.training.progress import ProgressCallback, shown_training
from src.training.rounds import TrainingContext, build_trainer
from tests.terminal import Terminal, frames, screen

STEPS = 6


@pytest.fixture
def build(base_folder: Path, chat_tokenizer: Any, train_params: TrainParams, tmp_path: Path) -> Callable[[], Any]:
    """A trainer of six steps, its validation loss measured at every second one."""
    encoded = [EncodedRecord([3 + at] * 9, [3 + at] * 9) for at in range(6)]
    train = train_params.model_copy(update={"packing": False, "accumulation": 1, "save_steps": 100})

    def built() -> Any:
        seed_everything(train.seed)
        context = TrainingContext(
            chat_tokenizer, make_rows(encoded[:2], 16, packing=False).to_list(), {}, train, Attention("sdpa", False, "")
        )
        rows = make_rows(encoded, 16, packing=False)
        return build_trainer(load_trainable(base_folder, train), context, rows, tmp_path)

    return built


def train_shown(trainer: Any) -> Any:
    with shown_training(trainer):
        trainer.train()
    return copy_trained_weights(trainer.model)


def test_a_log_has_a_line_for_each_validation(build: Callable[[], Any], capsys: pytest.CaptureFixture[str]) -> None:
    trainer = build()
    train_shown(trainer)
    out, err = capsys.readouterr()
    losses = [entry["validation_loss"] for entry in trainer.state.log_history if "validation_loss" in entry]
    lines = out.splitlines()
    assert err == ""
    assert len(lines) == len(losses) == 4
    for line, step, loss in zip(lines, (0, 2, 4, STEPS), losses, strict=True):
        assert line.startswith(f"step {step} of {STEPS}: validation loss {loss:.4f}")
        assert ("tokens/s, " in line and line.endswith(" s left")) == (0 < step < STEPS)


def test_a_terminal_has_a_bar_with_loss_and_speed(
    build: Callable[[], Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    silent = train_shown(build())
    terminal, trainer = Terminal(width=100), build()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", terminal.file)
        weights = train_shown(trainer)
    shown = terminal.output()
    speed = r"\S+ left, loss \d\.\d{3}, [\d,]+ tokens/s"
    assert any(re.fullmatch(rf"Training +\d+%\|.+\| [1-6]/6 steps, {speed}", frame) for frame in frames(shown))
    assert screen(shown) == []
    assert "step 4 of 6: validation loss" in capsys.readouterr().out
    assert all(torch.equal(weights[name], weight) for name, weight in silent.items())


def test_an_error_takes_the_bar_away(build: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, trainer = Terminal(width=100), build()
    trainer.names = {(9,): "-"}
    with monkeypatch.context() as patched, pytest.raises(UserError, match="loss is nan"):
        patched.setattr(sys, "stderr", terminal.file)
        patched.setattr(trainer, "params", trainer.params.model_copy(update={"eval_steps": 1}))
        patched.setattr(validation, "summed_loss", lambda *given: (float("nan"), 1))
        train_shown(trainer)
    assert screen(terminal.output()) == []


def test_other_processes_show_nothing(
    build: Callable[[], Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = build()
    monkeypatch.setattr(processes, "is_main", lambda: False)
    with shown_training(trainer):
        assert not any(isinstance(one, ProgressCallback) for one in trainer.callback_handler.callbacks)
    assert capsys.readouterr() == ("", "")
