"""What stops training, in sentences that tell what to change.

Covers full memory, full disks, interruptions, losses that are not finite, and training that did not do what it should.
Nothing here changes a result, so no stage of dvc.yaml reruns when it does.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from src.errors import UserError
from src.params import TrainParams


def refuse_other_steps(steps: int, planned: int) -> None:
    """Refuses prompts that make another number of steps than the audit planned.

    Args:
        steps: optimiser steps that the prompts make now.
        planned: the steps in data/training_plan.json.

    Raises:
        UserError: if they differ.
    """
    if steps != planned:
        raise UserError(
            f"data/training_plan.json plans {planned} steps, and the prompts make {steps}: run the audit again "
            "(`dvc repro audit`)."
        )


def refuse_beyond_positions(max_length: int, positions: int) -> None:
    """Refuses rows longer than the base model's positions: beyond them it was never trained.

    Args:
        max_length: train.max_length.
        positions: max_position_embeddings of the base model's config.json.

    Raises:
        UserError: with both.
    """
    if max_length > positions:
        raise UserError(
            f"train.max_length is {max_length}, and the base model has {positions} positions: set train.max_length to "
            f"{positions} or less."
        )


def refuse_beyond_window(max_length: int, config: dict[str, Any]) -> None:
    """Refuses rows longer than a sliding window: not every kernel knows it, and llama.cpp attends beyond it.

    Args:
        max_length: train.max_length.
        config: the base model's config.json. Qwen2 names a window that it uses only if it says so.

    Raises:
        UserError: with both.
    """
    used = config.get("use_sliding_window", config.get("model_type") != "qwen2")
    window = config.get("sliding_window") if used else None
    if window is not None and max_length > window:
        raise UserError(
            f"train.max_length is {max_length}, and the base model attends within a sliding window of {window} tokens, "
            f"which neither packed rows nor the GGUF have: set train.max_length to {window} or less."
        )


def refuse_untrained(moved: int, matrices: int, steps: int, predicted: int, stopped_early: bool) -> None:
    """Refuses an adapter that training left as it was, or that took other steps than predicted.

    Args:
        moved: LoRA's B matrices that are not zero any more.
        matrices: how many there are.
        steps: optimiser steps taken.
        predicted: optimiser steps predicted.
        stopped_early: whether the validation loss ended training before the last step.

    Raises:
        UserError: with both counts.
    """
    as_predicted = steps == predicted or (stopped_early and steps < predicted)
    if moved < matrices or not as_predicted:
        raise UserError(
            f"training did not do what it should: {moved} of {matrices} B matrices moved in {steps} steps of "
            f"{predicted} predicted: check train.lr and that the prompts hold what the audit saw."
        )


def not_finite_step(value: str, step: int, records: list[str], train: TrainParams) -> str:
    """What to do about a loss, or a norm of gradients, that is infinite or not a number.

    Args:
        value: what is not finite, in words.
        step: the optimiser step, from 1.
        records: the names of the records in the batches of that step.
        train: the parameters of training.
    """
    return (
        f"the {value} at step {step}, in a batch of the records {', '.join(records)}: look at those, "
        f"lower train.lr (now {train.lr}) or raise train.warmup_steps (now {train.warmup_steps})."
    )


def not_finite_validation(loss: float, step: int, train: TrainParams) -> str:
    """What to do about a validation loss that is infinite or not a number.

    Args:
        loss: in nats a token.
        step: the optimiser step after which it was measured.
        train: the parameters of training.
    """
    return (
        f"the validation loss is {loss} at step {step}: lower train.lr (now {train.lr}) or raise train.warmup_steps "
        f"(now {train.warmup_steps})."
    )


def interruption_advice(step: int, steps: int, resume_step: int) -> str:
    """How an interrupted training goes on.

    Args:
        step: the last optimiser step that was taken.
        steps: how many were to be taken.
        resume_step: the step that the newest complete checkpoint is of, or 0.
    """
    return (
        f"interrupted at step {step} of {steps}: run the same command again and training goes on from step "
        f"{resume_step}."
    )


def memory_advice(train: TrainParams) -> str:
    """The parameter to lower and by how much, the one first that changes no result."""
    batch, rows = train.batch_size, train.batch_size * train.accumulation
    if batch > 1:
        smaller = max(size for size in range(1, batch // 2 + 1) if rows % size == 0)
        return (
            f"set train.batch_size to {smaller} (now {batch}) and train.accumulation to {rows // smaller} "
            f"(now {train.accumulation}): a step has the same {rows} rows."
        )
    if train.gradient_checkpointing is not True:
        return "set train.gradient_checkpointing to true: the same result, for about a third more time."
    if not train.four_bit:
        return "set train.four_bit to true: the base model then takes a quarter of the memory."
    return f"set train.max_length to {train.max_length // 2} (now {train.max_length}), or take a smaller base model."


def unordered_kernel_advice(kernel: str) -> str:
    """What to do about a kernel that cannot add in a fixed order, by torch's name for it."""
    return (
        f"train.deterministic is true, and {kernel} adds in no fixed order on a GPU: set train.attention or "
        "train.backend to another one that is here, or train.deterministic to false: two runs then differ by rounding."
    )


def disk_advice(target: Path, error: BaseException, resume_step: int) -> str:
    """What to do about a file or folder that could not be written.

    Args:
        target: the file or folder.
        error: the operating system's, torch's or safetensors'.
        resume_step: the step that training goes on from.
    """
    free = shutil.disk_usage(target.parent).free // 2**20
    return (
        f"{target} could not be written ({error_reason(error)}; {free} MB are free on that disk): make room, then "
        f"start again: training goes on from step {resume_step}."
    )


def error_reason(error: BaseException) -> str:
    """The operating system's words for an error of writing, or the library's first line."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error).splitlines()[0]


def unknown_current_training(missing: str) -> UserError:
    """The refusal to tell which checkpoints training would go on from.

    Args:
        missing: an input of training.
    """
    return UserError(
        f"{missing} is missing, so it is not known which checkpoints training would go on from: run `dvc repro` up to "
        "the audit first, or remove all of them (`remove --all`)."
    )


def refuse_missing_packages(report_to: str) -> None:
    """Refuses live curves in what is not installed.

    Args:
        report_to: train.report_to.

    Raises:
        UserError: with the command that installs it.
    """
    if report_to != "none" and find_spec(report_to) is None:
        raise UserError(
            f"train.report_to is {report_to!r}, which is not installed: run `make extra-{report_to}`, or set "
            "train.report_to to none."
        )


@contextmanager
def explain_wandb() -> Iterator[None]:
    """Tells what to do where Weights & Biases refuses to open a run.

    Raises:
        UserError: with that advice.
    """
    from wandb.errors import Error

    try:
        yield
    except Error as error:
        reason = str(error).splitlines()[0].rstrip(".")
        raise UserError(
            f"train.report_to is 'wandb', and W&B opens no run ({reason}): run `wandb login`, set WANDB_MODE=offline "
            "to keep the curves on this machine, or set train.report_to to none."
        ) from None


def unknown_machine(launcher: str, count: int) -> UserError:
    """Tells how a machine knows which of several it is.

    Args:
        launcher: train.launcher.
        count: of the machines.
    """
    return UserError(
        f"train.launcher is {launcher!r}, which trains on {count} machines, and this one does not know which it is: "
        f"set MACHINE_RANK (0 to {count - 1}; 0 runs `dvc repro`) and MAIN_PROCESS_IP (the address of machine 0) in "
        "the environment."
    )


def no_stage_of_dvc(rank: int) -> UserError:
    """Tells how another machine than the first takes part: it has no outputs, which DVC would miss.

    Args:
        rank: of the machine.
    """
    return UserError(
        f"this is machine {rank}, and machine 0 alone writes results: run `dvc repro audit` here, and then "
        "`python -m src.stages.train` in place of `dvc repro`."
    )


def unreachable_machine(address: str, port: int, seconds: int, error: Exception) -> UserError:
    """Tells that machine 0 cannot be reached, or its port not be opened.

    Args:
        address: of machine 0.
        port: where it listens.
        seconds: that were waited.
        error: torch's.
    """
    return UserError(
        f"the machines could not meet at {address}:{port} within {seconds} seconds ({str(error).splitlines()[0]}): "
        "start training on machine 0, check MAIN_PROCESS_IP and the firewall, or set MAIN_PROCESS_PORT to a free port."
    )


def machines_that_did_not_come(missing: list[int], seconds: int) -> UserError:
    """Names the machines that training waited for in vain.

    Args:
        missing: their ranks.
        seconds: that were waited.
    """
    named = ", ".join(map(str, missing))
    return UserError(
        f"machine {named} did not come within {seconds} seconds: run `python -m src.stages.train` on it at the same "
        "time, or set MACHINES_WAIT_SECONDS higher on all machines."
    )


def machines_that_differ(what: str, rank: int) -> UserError:
    """Tells what several machines do not agree on.

    Args:
        what: "training" or "checkpoints".
        rank: of this machine.
    """
    if what == "checkpoints":
        return UserError(
            "the machines would go on from different checkpoints: let .checkpoints be a folder that all of them share, "
            "or remove it on each (`python -m src.training.kept_checkpoints remove --all`)."
        )
    return UserError(
        f"the machines would train different things, and this is machine {rank}: check out the same commit on each, "
        "with the same params.yaml, and run `dvc repro audit` there; `auto` may stand for something else on another "
        "GPU."
    )


def refuse_hosted_training(train: TrainParams) -> None:
    """Refuses to name a GPU where a service trains."""
    if train.backend == "openai":
        raise UserError("train.backend is 'openai', which trains at a service: no GPU has to be borrowed.")


def refuse_missing_plan(plan: Path) -> None:
    """Refuses to name a GPU before the audit has estimated its memory."""
    if not plan.exists():
        raise UserError(f"{plan} is missing: run `dvc repro audit`, or `dvc pull {plan}` where a remote has it.")


def refuse_stale_plan(stale: bool) -> None:
    """Refuses an estimate for other parameters, code or data than there are now."""
    if stale:
        raise UserError("something has changed since the audit estimated the memory: run `dvc repro audit`.")
