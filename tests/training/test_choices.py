"""What `auto` stands for: by the device, the model and the length of training; nothing that was set is changed."""

import json
from pathlib import Path
from typing import Any

import pytest

from src.models import processes
from src.params import Params, TrainParams
from src.training.choices import Choices, Device, Plan, choose_checkpointing, current_device, settle_params

AUTO = {"backend": "auto", "optimizer": "auto", "gradient_checkpointing": "auto", "compile": "auto"}
CPU = Device(on_gpu=False, memory_gb=0.0, compiles=False, has_unsloth=False)
H100 = Device(on_gpu=True, memory_gb=80.0, compiles=True, has_unsloth=False)
MEMORY = {"none": 62, "alternate": 33, "all": 7}
LONG = Plan(steps=4689, optimizer="adamw_torch", memory_gb=MEMORY)


def settled(folder: Path, train: TrainParams, device: Device, plan: Plan = LONG) -> TrainParams:
    """The parameters of training after all choices, by a plan as the audit writes it."""
    (folder / "data").mkdir(exist_ok=True)
    (folder / "data/training_plan.json").write_text(json.dumps(plan._asdict()))
    params, reasons = settle_params(Params.model_construct(train=train), device)
    asked = [key for key in AUTO if getattr(train, key) == "auto"]
    assert [reason.split(":")[0] for reason in reasons] == [f"train.{key}" for key in asked]
    return params.train


def chosen(train: TrainParams) -> dict[str, Any]:
    return {key: getattr(train, key) for key in AUTO}


@pytest.fixture
def auto(train_params: TrainParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainParams:
    """Recipe A's batch, with all choices left open."""
    monkeypatch.chdir(tmp_path)
    shape = {"four_bit": True, "batch_size": 16, "accumulation": 2, "lora_r": 32, "max_length": 2048, "packing": True}
    return train_params.model_copy(update=AUTO | shape | {"attention": "auto", "launcher": "python -m"})


def test_a_cpu_trains_by_transformers_and_saves_nothing(auto: TrainParams, tmp_path: Path) -> None:
    assert chosen(settled(tmp_path, auto, CPU)) == {
        "backend": "transformers",
        "optimizer": "adamw_torch",
        "gradient_checkpointing": False,
        "compile": False,
    }


@pytest.mark.parametrize(("memory", "expected"), [(94.0, False), (60.0, "alternate"), (16.0, True), (1.0, True)])
def test_checkpointing_follows_the_memory(auto: TrainParams, tmp_path: Path, memory: float, expected: object) -> None:
    assert settled(tmp_path, auto, H100._replace(memory_gb=memory)).gradient_checkpointing == expected


def test_unsloth_checkpoints_all_layers_or_none(auto: TrainParams, tmp_path: Path) -> None:
    train = settled(tmp_path, auto, H100._replace(memory_gb=60.0, has_unsloth=True))
    assert (train.backend, train.gradient_checkpointing, train.compile) == ("unsloth", True, False)


@pytest.mark.parametrize("change", [{"attention": "sdpa"}, {"compile": True}, {"gradient_checkpointing": "alternate"}])
def test_unsloth_is_not_taken_where_it_cannot_honour_a_parameter(
    auto: TrainParams, tmp_path: Path, change: dict[str, Any]
) -> None:
    train = settled(tmp_path, auto.model_copy(update=change), H100._replace(has_unsloth=True))
    assert train.backend == "transformers"
    assert change.items() <= train.model_dump().items()


def test_the_optimiser_is_the_audits(auto: TrainParams, tmp_path: Path) -> None:
    assert settled(tmp_path, auto, H100, LONG._replace(optimizer="paged_adamw_8bit")).optimizer == "paged_adamw_8bit"


def test_a_short_training_is_not_compiled(auto: TrainParams, tmp_path: Path) -> None:
    assert settled(tmp_path, auto, H100).compile is True
    assert settled(tmp_path, auto, H100, LONG._replace(steps=100)).compile is False
    assert settled(tmp_path, auto, H100._replace(compiles=False)).compile is False


def test_a_sharded_model_gets_what_is_known_to_work(
    auto: TrainParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "is_sharded", lambda: True)
    train = settled(tmp_path, auto, H100)
    assert (train.gradient_checkpointing, train.compile) == (True, False)


def test_what_is_set_stays(auto: TrainParams, tmp_path: Path) -> None:
    values = {
        "backend": "transformers",
        "optimizer": "adamw_8bit",
        "gradient_checkpointing": "alternate",
        "compile": False,
    }
    assert chosen(settled(tmp_path, auto.model_copy(update=values), H100)) == values


def test_the_reason_names_the_memory(auto: TrainParams) -> None:
    train = auto.model_copy(update={"optimizer": "adamw_torch", "backend": "transformers"})
    [reason] = choose_checkpointing(Choices(train, []), LONG, H100).reasons
    assert "of the GPU's 80.0 GB" in reason


def test_here_is_what_torch_sees() -> None:
    import torch

    assert current_device().on_gpu == torch.cuda.is_available()
