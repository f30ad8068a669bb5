"""Live curves of a training in TensorBoard, Weights & Biases or DVCLive, where train.report_to asks for one.

Covers losses, learning rate and the gradients' norm, by the steps of all rounds. Reads what the Trainer logs and
changes nothing of it; the curves of the results are the stage's own.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from src.models import processes
from src.params import TrainParams
from src.training.refusals import explain_wandb

if TYPE_CHECKING:
    from src.training.trainer import CompletionTrainer

LIVE = Path(".live")  # what is written on this machine
SHOWN = ("loss", "validation_loss", "learning_rate", "grad_norm")

Write = Callable[[dict[str, float], int], None]  # values by name, and the step that they belong to


@contextmanager
def live_curves(trainer: "CompletionTrainer", run: str, first_step: int) -> Iterator[None]:
    """Sends what a training logs while it begins and ends in this block.

    Args:
        trainer: of one round.
        run: a name of the training, the same one after an interruption, so that its curves go on.
        first_step: steps of the rounds before.
    """
    if trainer.params.report_to == "none" or not processes.is_main():
        yield
        return
    with WRITERS[trainer.params.report_to](run, trainer.params) as write:
        trainer.add_callback(LiveCallback(write, first_step))
        yield


class LiveCallback(TrainerCallback):
    """Sends each new entry of the Trainer's log.

    The methods on_* have the arguments that transformers passes to every callback.
    """

    def __init__(self, write: Write, first_step: int) -> None:
        self.write, self.first_step, self.sent = write, first_step, 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Sends the base model's loss; what a resumed checkpoint has logged was sent before."""
        self.sent = len(state.log_history) if state.global_step else 0
        self.send(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Sends a validation loss."""
        self.send(state)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Sends a training loss, and what is logged with it."""
        self.send(state)

    def send(self, state: TrainerState) -> None:
        """Sends what was logged since the last time."""
        for entry in state.log_history[self.sent :]:
            if values := {name: entry[name] for name in SHOWN if name in entry}:
                self.write(values, self.first_step + int(entry["step"]))
        self.sent = len(state.log_history)


@contextmanager
def tensorboard_writer(run: str, train: TrainParams) -> Iterator[Write]:
    """Writes to .live/tensorboard.

    Args:
        run: the training's name.
        train: its parameters.
    """
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(LIVE / "tensorboard" / shown_name(run)) as writer:

        def write(values: dict[str, float], step: int) -> None:
            for name, value in values.items():
                writer.add_scalar(name, value, step)
            writer.flush()  # else points would appear two minutes late

        yield write


@contextmanager
def wandb_writer(run: str, train: TrainParams) -> Iterator[Write]:
    """Sends to Weights & Biases, by the account and project that its own variables name.

    Args:
        run: the training's name.
        train: its parameters.

    Raises:
        UserError: if nobody is logged in.
    """
    import wandb

    LIVE.mkdir(exist_ok=True)
    with explain_wandb():
        opened = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "shelftalk"),
            id=run,
            name=shown_name(run),
            resume="allow",
            dir=LIVE.absolute(),  # W&B's own process may have been started in another folder
            config=train.model_dump(),
            # What is printed stays here, and so does the address of git's remote, which may hold a token.
            settings=wandb.Settings(console="off", disable_git=True),
        )
    with opened:
        yield opened.log


@contextmanager
def dvclive_writer(run: str, train: TrainParams) -> Iterator[Write]:
    """Writes to .live/dvclive, and sends to DVC Studio where DVC has a token for it.

    Args:
        run: the training's name.
        train: its parameters.
    """
    from dvclive import Live

    folder = LIVE / "dvclive" / shown_name(run)
    with Live(str(folder), resume=folder.exists(), save_dvc_exp=False, dvcyaml=None) as live:

        def write(values: dict[str, float], step: int) -> None:
            live.step = step
            for name, value in values.items():
                live.log_metric(name, value)
            live.next_step()

        yield write


def shown_name(run: str) -> str:
    """A training's name for people: the experiment's, if it is one, and what tells it from others of that name."""
    return "-".join(filter(None, [os.environ.get("DVC_EXP_NAME"), run]))


WRITERS: dict[str, Callable[[str, TrainParams], AbstractContextManager[Write]]] = {
    "tensorboard": tensorboard_writer,
    "wandb": wandb_writer,
    "dvclive": dvclive_writer,
}
