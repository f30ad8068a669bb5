"""What a parameter of training that is `auto` stands for on this machine, with the reason in a sentence each.

Covers the backend, the optimiser, gradient checkpointing and compiling. Nothing is measured: the memory is the audit's
estimate, which comes in whole GB so that a slightly better one retrains nothing, and whether compiling pays is a rule
that says where it comes from. models/attention.py chooses the attention kernel.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from src.files import read_json
from src.models import processes
from src.params import Params, TrainParams, unsloth_conflicts

PLAN = Path("data/training_plan.json")
GIGABYTE = 2**30
# What of a GPU's memory training may take by the estimate, which leaves out CUDA's context and fragmentation and has
# not been compared with a GPU yet.
USABLE_MEMORY = 0.8
CHECKPOINTING = {False: "none", "alternate": "alternate", True: "all"}  # by the plan's names, the fastest first
# Compiling the layers takes about a minute once and saves, as estimated for a 1B model, about a quarter second a batch.
LEAST_COMPILED_BATCHES = 1000
TRITON_CAPABILITY = (7, 0)  # Volta: what inductor compiles for


class Device(NamedTuple):
    """What the choices depend on."""

    on_gpu: bool
    memory_gb: float
    compiles: bool
    has_unsloth: bool


class Choices(NamedTuple):
    """The parameters with nothing left to choose, and why each was chosen so."""

    train: TrainParams
    reasons: list[str]


class Plan(NamedTuple):
    """What the audit found out of the training."""

    steps: int
    optimizer: str
    """What `auto` stands for."""
    memory_gb: dict[str, int]
    """What a GPU needs, rounded up, by the names of CHECKPOINTING."""


def current_device() -> Device:
    """The device that this process trains on."""
    import torch

    if not torch.cuda.is_available():
        return Device(on_gpu=False, memory_gb=0.0, compiles=False, has_unsloth=False)
    return Device(
        on_gpu=True,
        memory_gb=torch.cuda.get_device_properties(0).total_memory / GIGABYTE,
        compiles=find_spec("triton") is not None and torch.cuda.get_device_capability() >= TRITON_CAPABILITY,
        has_unsloth=find_spec("unsloth") is not None,
    )


def read_plan() -> Plan:
    """The audit's plan."""
    return Plan(**read_json(PLAN))


def settle_params(params: Params, device: Device) -> tuple[Params, list[str]]:
    """The parameters with every `auto` of training, the attention kernel's apart, replaced by what it stands for.

    Args:
        params: the parameters of the stage.
        device: what training runs on.

    Returns:
        The parameters, and a sentence for each choice.
    """
    plan = read_plan()
    choices = Choices(params.train, [])
    choices = choose_backend(choices, device)
    choices = choose_optimizer(choices, plan)
    choices = choose_checkpointing(choices, plan, device)
    choices = choose_compiling(choices, plan, device)
    return params.model_copy(update={"train": choices.train}), choices.reasons


def settle(choices: Choices, key: str, value: object, reason: str) -> Choices:
    """Replaces one parameter.

    Args:
        choices: so far.
        key: of the section train.
        value: what it stands for.
        reason: a clause.
    """
    shown = str(value).lower() if isinstance(value, bool) else value
    return Choices(
        choices.train.model_copy(update={key: value}), [*choices.reasons, f"train.{key}: {shown}, {reason}."]
    )


def choose_backend(choices: Choices, device: Device) -> Choices:
    """Unsloth, where it is installed and can honour all parameters.

    Args:
        choices: so far.
        device: what training runs on.
    """
    if choices.train.backend != "auto":
        return choices
    conflict = next((sentence for _, sentence in unsloth_conflicts(choices.train.model_dump())), None)
    if not device.on_gpu:
        return settle(choices, "backend", "transformers", "as there is no NVIDIA GPU")
    if not device.has_unsloth:
        return settle(choices, "backend", "transformers", "as Unsloth is not installed")
    if conflict:
        return settle(choices, "backend", "transformers", f"as Unsloth cannot honour all parameters ({conflict})")
    return settle(choices, "backend", "unsloth", "which is installed and can honour all parameters")


def choose_optimizer(choices: Choices, plan: Plan) -> Choices:
    """The one that the audit chose by the size of the adapter.

    Args:
        choices: so far.
        plan: the audit's.
    """
    if choices.train.optimizer != "auto":
        return choices
    return settle(choices, "optimizer", plan.optimizer, "by the size of its moments")


def choose_checkpointing(choices: Choices, plan: Plan, device: Device) -> Choices:
    """As little of it as the GPU's memory allows by the estimate; none on a CPU.

    Args:
        choices: so far.
        plan: the audit's.
        device: what training runs on.
    """
    train, key = choices.train, "gradient_checkpointing"
    if train.gradient_checkpointing != "auto":
        return choices
    if not device.on_gpu:
        return settle(choices, key, False, "as there is no GPU whose memory it would save")
    if processes.is_sharded():
        return settle(choices, key, True, "as the model is sharded, which the estimate of the memory does not know")
    needed = {way: plan.memory_gb[name] for way, name in CHECKPOINTING.items()}
    if train.backend == "unsloth":
        del needed["alternate"]  # it knows all layers or none
    usable = USABLE_MEMORY * device.memory_gb
    way = next((one for one, size in needed.items() if size <= usable), True)
    reason = f"{needed[way]} GB by the estimate, and {usable:.1f} of the GPU's {device.memory_gb:.1f} GB are used"
    return settle(choices, key, way, reason)


def estimated_memory(train: TrainParams) -> int:
    """The memory in GB that training with nothing left to choose needs on a GPU, rounded up."""
    return read_plan().memory_gb[CHECKPOINTING[train.gradient_checkpointing]]


def choose_compiling(choices: Choices, plan: Plan, device: Device) -> Choices:
    """Compiled layers, where training is long enough to pay for them.

    Args:
        choices: so far, the backend among them.
        plan: the audit's.
        device: what training runs on.
    """
    train, batches = choices.train, plan.steps * choices.train.accumulation
    if train.compile != "auto":
        return choices
    if train.backend == "unsloth":
        return settle(choices, "compile", False, "as Unsloth compiles by itself")
    if not device.compiles:
        return settle(choices, "compile", False, "as there is no NVIDIA GPU with Triton")
    if processes.is_sharded():
        return settle(choices, "compile", False, "as a sharded model has not been tried")
    if batches < LEAST_COMPILED_BATCHES:
        return settle(choices, "compile", False, f"as {batches:,} batches do not pay for compiling")
    return settle(choices, "compile", True, f"which {batches:,} batches pay for")
