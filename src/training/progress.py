"""What is shown while a model is trained: a bar with the time left, the loss and the speed, and each validation loss.

Covers the main process: the others show nothing. Reads what the Trainer counts and logs, and changes nothing of it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from src.models import processes
from src.progress import describe_seconds, in_terminal, print_line, progress_bar

if TYPE_CHECKING:
    from src.training.trainer import CompletionTrainer


@contextmanager
def shown_training(trainer: "CompletionTrainer") -> Iterator[None]:
    """Shows how far a training is that begins and ends in this block."""
    if not processes.is_main():
        yield
        return
    callback = ProgressCallback(trainer)
    trainer.add_callback(callback)
    try:
        yield
    finally:  # after an error too, so that its message stands in a line of its own
        callback.close()


class ProgressCallback(TrainerCallback):
    """Moves the bar; prints a line where the validation loss was measured.

    The methods on_* have the arguments that transformers passes to every callback.
    """

    def __init__(self, trainer: "CompletionTrainer") -> None:
        self.trainer = trainer
        self.bar: Any = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Opens the bar at the step that training goes on from."""
        self.first_step, self.first_tokens = state.global_step, self.trainer.counted_tokens()
        self.begun = time.perf_counter()
        self.bar = progress_bar("Training", state.max_steps, "steps", done=state.global_step, figures=True)
        if state.global_step == 0:
            self.print_validation(state)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Moves the bar by a step."""
        self.bar.update()
        self.print_validation(state)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any) -> None:
        """Shows the loss beside the bar."""
        if "loss" in state.log_history[-1]:
            self.bar.set_postfix_str(f"loss {state.log_history[-1]['loss']:.3f}, {self.speed()}", refresh=False)

    def print_validation(self, state: TrainerState) -> None:
        """Prints the validation loss if it was measured at this step; in a log, which has no bar, the time left too."""
        last = state.log_history[-1] if state.log_history else {}
        if last.get("step") != state.global_step or "validation_loss" not in last:
            return
        line = f"step {state.global_step} of {state.max_steps}: validation loss {last['validation_loss']:.4f}"
        if not in_terminal() and self.first_step < state.global_step < state.max_steps:
            line += f", {self.speed()}, {describe_seconds(self.seconds_left(state))} left"
        print_line(line)

    def speed(self) -> str:
        """The tokens a second of all processes since training began or went on, validation included."""
        tokens = (self.trainer.counted_tokens() - self.first_tokens) * processes.world_size()
        return f"{tokens / (time.perf_counter() - self.begun):,.0f} tokens/s"

    def seconds_left(self, state: TrainerState) -> float:
        """How long the other steps will take, at the pace so far."""
        pace = (time.perf_counter() - self.begun) / (state.global_step - self.first_step)
        return pace * (state.max_steps - state.global_step)

    def close(self) -> None:
        """Takes the bar away."""
        if self.bar is not None:
            self.bar.close()
