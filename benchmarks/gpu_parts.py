"""The parts of the GPU check: what is run, with which settings, in which order.

Covers the lists of parts with and without a GPU. Does not run them: gpu.py does.
"""

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.backend_agreement import AgreementTask
from benchmarks.generation_speed import GenerationTask
from benchmarks.repeated_training import RepeatTask
from benchmarks.training_speed import TrainingTask
from src.params import DEFAULTS, Params, lay_recipe, plain_values, read_yaml

Settings = dict[str, Any]  # parameters of training, by name

BACKENDS = ("transformers", "unsloth")
VARIANTS: dict[str, dict[str, bool]] = {  # of the settings, in which the backends are compared
    "4-bit": {"four_bit": True},
    "16-bit": {"four_bit": False},
    "4-bit, packed": {"four_bit": True, "packing": True},
}
# Every way at once that leaves the training as it is: each record has the same part in a step.
ALL_AT_ONCE: Settings = {"compile": True, "gradient_checkpointing": False, "optimizer": "adamw_torch"}
FASTEST_WAYS: dict[str, Settings] = {  # of training Llama-3.2-1B; what is left where compiling fails comes second
    "all at once": ALL_AT_ONCE,
    "without checkpointing": {"gradient_checkpointing": False},
}
SMALL_WAYS: dict[str, Settings] = {  # of training Llama-3.2-1B, beside the recipe's own
    "by unsloth": {"backend": "unsloth"},
    "in a fixed order": {"deterministic": True},
    "every second layer": {"gradient_checkpointing": "alternate"},
    "padded": {"packing": False},
    "compiled": {"compile": True},
    "all at once, every second layer": ALL_AT_ONCE | {"gradient_checkpointing": "alternate"},
    "32-bit optimiser": {"optimizer": "adamw_torch"},
}
LARGE_WAYS: dict[str, Settings] = {  # of training Llama-3-8B, whose recipe takes records one by one, two at once
    "packed": {"packing": True, "batch_size": 1, "accumulation": 8},
    # By the estimate 59 GB: more rows at once do not fit into 80 GB without checkpointing.
    "packed, all at once": ALL_AT_ONCE | {"packing": True, "batch_size": 4, "accumulation": 2},
}
REPEATED_WAYS: dict[str, Settings] = {
    "as it is": {},
    "in a fixed order": {"deterministic": True},
    "in a fixed order, all at once": ALL_AT_ONCE | {"deterministic": True},
    "in a fixed order, by unsloth": {"backend": "unsloth", "deterministic": True},
}
SMALL_RECIPE, LARGE_RECIPE = "llama-3.2-1b-chat", "llama-3-8b"
SMALL_SECONDS, LARGE_SECONDS = 15, 60  # of training: a step of the large shape takes several
LARGE_STEPS = 20  # at most
REPEATED_STEPS, REPEATED_RECORDS = 8, 600
PROFILED_RECORDS = 4000  # more than the profiled steps take
NEVER = 1000  # steps between two evaluations or checkpoints, where only the training itself counts


@dataclass(frozen=True)
class Part:
    """A process to run.

    Args:
        name: its key in the results, such as speed/Llama-3-8B/ours; what precedes the first slash is its kind.
        command: the module to run, and its first argument if it takes one.
        task: what the module reads.
        unsloth: whether it needs Unsloth.
    """

    name: str
    command: str
    task: AgreementTask | GenerationTask | RepeatTask | TrainingTask
    unsloth: bool = False

    @property
    def kind(self) -> str:
        """agreement, reload, speed, profile, repeat or answering."""
        return self.name.partition("/")[0]


def all_parts(folder: Path, on_gpu: bool) -> list[Part]:
    """Lists every part, the most important first, since time may end before the last.

    Args:
        folder: for models and adapters.
        on_gpu: whether there is a GPU; without one all parts use the small shape.

    Returns:
        The parts in the order in which they run.
    """
    small = recipe_settings(SMALL_RECIPE)
    if not on_gpu:
        short = small | {"max_length": 256, "batch_size": 2, "accumulation": 1}
        speeds = speed_parts(folder, "small", short, seconds=2, records=300)
        repeats = repeat_parts(folder, "small", short, {"as it is": {}})
        profiles = profile_parts(folder, "small", short, {"as it is": {}})
        return [*agreement_parts(folder, on_gpu), *speeds, *answering_parts(folder, on_gpu), *repeats, *profiles]
    large = recipe_settings(LARGE_RECIPE) | {"max_steps": LARGE_STEPS}
    return [
        *agreement_parts(folder, on_gpu),
        *speed_parts(folder, "Llama-3.2-1B", small, seconds=SMALL_SECONDS, records=20_000),
        *way_parts(folder, "Llama-3.2-1B", small, SMALL_SECONDS, FASTEST_WAYS),
        *repeat_parts(folder, "Llama-3.2-1B", small | {"batch_size": 4, "accumulation": 1}, REPEATED_WAYS),
        *answering_parts(folder, on_gpu),
        *speed_parts(folder, "Llama-3-8B", large, seconds=LARGE_SECONDS, records=400),
        *way_parts(folder, "Llama-3-8B", large, LARGE_SECONDS, LARGE_WAYS),
        *way_parts(folder, "Llama-3.2-1B", small, SMALL_SECONDS, SMALL_WAYS),
        *profile_parts(folder, "Llama-3.2-1B", small, {"as it is": {}, "all at once": ALL_AT_ONCE}),
    ]


def agreement_parts(folder: Path, on_gpu: bool) -> list[Part]:
    """Lists the training of the small model through both backends in all variants, then each adapter in plain peft.

    Args:
        folder: for models and adapters.
        on_gpu: whether there is a GPU.

    Returns:
        The parts.
    """
    trained, reloaded = [], []
    for backend, (variant, change) in product(BACKENDS, VARIANTS.items()):
        name, unsloth = f"{backend}/{variant}", backend == "unsloth"
        train = agreement_settings(on_gpu) | {"backend": backend} | change
        task = AgreementTask(str(folder / "small"), train, str(folder / "adapters" / backend / variant))
        trained.append(Part(f"agreement/{name}", "benchmarks.backend_agreement train", task, unsloth))
        reloaded.append(Part(f"reload/{name}", "benchmarks.backend_agreement reload", task, unsloth))
    return trained + reloaded


def agreement_settings(on_gpu: bool) -> Settings:
    """Settings for the small model: enough steps for the losses to fall, on rows that hold one record each."""
    return recipe_settings(SMALL_RECIPE) | {
        "packing": False,
        "max_length": 512,
        "batch_size": 16,
        "accumulation": 1,
        "max_steps": 40 if on_gpu else 12,
        "lr": 2e-3,
        "log_steps": 10,
        "eval_steps": 10,
        "save_steps": 1000,
        "gradient_checkpointing": False,
        "optimizer": "adamw_torch",
    }


def speed_parts(folder: Path, shape: str, train: Settings, seconds: float, records: int) -> list[Part]:
    """Lists ours, Unsloth's notebook and plain trl on one model, with the same settings.

    Args:
        folder: for models.
        shape: a key of workload.SHAPES.
        train: the parameters of training.
        seconds: of training to measure.
        records: to train on.

    Returns:
        The parts.
    """
    return [
        Part(
            f"speed/{shape}/{trainer}",
            "benchmarks.training_speed",
            TrainingTask(trainer, str(folder / shape), train, seconds, records),
            unsloth=trainer == "notebook",
        )
        for trainer in ("ours", "notebook", "plain")
    ]


def way_parts(folder: Path, shape: str, train: Settings, seconds: float, ways: dict[str, Settings]) -> list[Part]:
    """Lists ours with some settings of the recipe changed.

    Args:
        folder: for models.
        shape: a key of workload.SHAPES.
        train: the recipe's parameters of training.
        seconds: of training to measure.
        ways: what is changed, by the name of the way.

    Returns:
        The parts.
    """
    return [
        Part(
            f"speed/{shape}/ours {name}",
            "benchmarks.training_speed",
            TrainingTask("ours", str(folder / shape), train | change, seconds, records=20_000),
            unsloth=name == "by unsloth",
        )
        for name, change in ways.items()
    ]


def repeat_parts(folder: Path, shape: str, train: Settings, ways: dict[str, Settings]) -> list[Part]:
    """Lists short trainings that run twice, to see whether they give the same adapter.

    Args:
        folder: for models.
        shape: a key of workload.SHAPES.
        train: the parameters of training.
        ways: what of them is changed, by the name of the way.

    Returns:
        The parts.
    """
    once = {"eval_steps": NEVER, "save_steps": NEVER, "max_steps": REPEATED_STEPS}
    return [
        Part(
            f"repeat/{name}",
            "benchmarks.repeated_training",
            RepeatTask(str(folder / shape), train | once | change, REPEATED_RECORDS),
            unsloth="unsloth" in name,
        )
        for name, change in ways.items()
    ]


def profile_parts(folder: Path, shape: str, train: Settings, ways: dict[str, Settings]) -> list[Part]:
    """Lists trainings of a few steps in which the time of each kernel is taken.

    Args:
        folder: for models.
        shape: a key of workload.SHAPES.
        train: the recipe's parameters of training.
        ways: what of them is changed, by the name of the way.

    Returns:
        The parts.
    """
    return [
        Part(
            f"profile/{name}",
            "benchmarks.training_profile",
            TrainingTask("ours", str(folder / shape), train | change, seconds=0, records=PROFILED_RECORDS),
        )
        for name, change in ways.items()
    ]


def answering_parts(folder: Path, on_gpu: bool) -> list[Part]:
    """Lists the generate stage's answers by a base in 4 and in 16 bits, and in 4 bits one prompt after the other.

    Args:
        folder: for models.
        on_gpu: whether there is a GPU.

    Returns:
        The parts.
    """
    shape = "Llama-3.2-1B" if on_gpu else "small"
    together, singly = ((128, 64, 256), (4, 1, 256)) if on_gpu else ((8, 4, 16), (2, 1, 16))
    ways = {"4-bit": (True, *together), "16-bit": (False, *together), "4-bit, one by one": (True, *singly)}
    return [
        Part(
            f"answering/{name}",
            "benchmarks.generation_speed",
            GenerationTask(str(folder / shape), *sizes),
        )
        for name, sizes in ways.items()
    ]


def recipe_settings(recipe: str) -> Settings:
    """The parameters of training that a recipe gives, by our backend; nothing is left to the device to choose."""
    merged = lay_recipe(read_yaml(DEFAULTS), Path(f"recipes/{recipe}.yaml"))
    train = Params.model_validate(plain_values(merged)).train
    return train.model_dump() | {"backend": "transformers", "compile": False}
