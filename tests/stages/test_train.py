"""train: what it writes, that it goes on after a kill, and that several processes reach what one does."""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from src.errors import UserError
from src.files import read_json, write_json, write_jsonl
from src.models import checkpoints
from src.models.checkpoints import newest, step_of
from src.params import Params, for_stage
from src.stages import train

ROOT = Path(__file__).parents[2]
STEPS = 12


@pytest.fixture
def params(project: Path, base_folder: Path, record: Callable[..., Any], train_params: Any) -> Params:
    """Prompts, the tiny base and a prediction in place, and a params.yaml for twelve steps."""
    from src.embedded.catalogue import products

    Path("models").mkdir()
    Path("models/base").symlink_to(base_folder)
    records = [
        {"uid": f"B{at}"} | record("chat", one.title, one.content[:80]) for at, one in enumerate(products(3, 30))
    ]
    write_jsonl("data/prompts/train.jsonl", records[:24])
    write_jsonl("data/prompts/validation.jsonl", records[24:])
    write_json("metrics/audit.json", {"predicted_steps": STEPS})
    return set_train(train_params.model_dump() | {"packing": False, "epochs": 1.0, "accumulation": 1, "save_steps": 1})


def set_train(values: dict[str, Any]) -> Params:
    """Writes parameters of training into params.yaml, and gives what the stage will read."""
    yaml, path = YAML(), Path("params.yaml")
    document = yaml.load(path)
    document["train"].update(values)
    yaml.dump(document, path)
    return for_stage("train")


def start(*launcher: str) -> subprocess.Popen[str]:
    """The stage as a process."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    command = [*launcher, "src.stages.train"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def adapter() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("models/adapter").iterdir()}


def test_what_training_proves_is_written(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    measured = train.main(params)
    metrics = read_json("metrics/train.json")
    assert (metrics["records"], metrics["rows"], metrics["rounds"]) == (24, 24, 1)
    assert metrics["steps"] == metrics["predicted_steps"] == metrics["kept_step"] == STEPS
    assert metrics["b_matrices_moved"] == metrics["b_matrices"] == 14
    assert (metrics["base"], len(metrics["base_sha256"])) == ("tiny", 64)
    assert metrics["base_sha256"] == read_json("models/adapter/base.json")["sha256"]
    assert metrics["validation_loss_best"] <= metrics["validation_loss_last"] < metrics["validation_loss_first"]
    assert measured["tokens_per_second"] == pytest.approx(
        metrics["tokens_seen"] / measured["training_seconds"], rel=0.1
    )
    assert Path("plots/train/training.tsv").read_text().startswith("step\tepoch\tloss\n1\t")
    assert Path("plots/train/validation.tsv").read_text().startswith("step\tepoch\tloss\n0\t")
    assert list(Path(".checkpoints").iterdir()) == []
    assert "Attention: sdpa" in capsys.readouterr().out


def test_another_prediction_is_refused(params: Params) -> None:
    write_json("metrics/audit.json", {"predicted_steps": STEPS + 1})
    with pytest.raises(UserError, match="predicts 13 steps, and the prompts make 12: run the audit again"):
        train.main(params)


def test_a_killed_run_goes_on_to_the_same_adapter(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    process = start(sys.executable, "-m")
    deadline = time.monotonic() + 120
    while not (saved := list(Path(".checkpoints").glob("*/round-1-steps/checkpoint-[3-9]"))):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
        time.sleep(0.01)
    process.kill()  # just as a checkpoint is written
    process.communicate()
    assert not Path("models/adapter").exists()
    step = step_of(newest(saved[0].parent) or saved[0])
    capsys.readouterr()
    train.main(params)
    assert f"Going on from step {step}" in capsys.readouterr().out
    resumed, metrics = adapter(), read_json("metrics/train.json")
    train.main(params)
    assert "Going on" not in capsys.readouterr().out
    assert adapter() == resumed
    assert read_json("metrics/train.json") == metrics


@contextmanager
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No file can grow beyond 100 KB once three checkpoints are written; no fixture, since pytest writes files too."""
    limits, seal, sealed = resource.getrlimit(resource.RLIMIT_FSIZE), checkpoints.seal, []

    def seal_and_fill(checkpoint: Path) -> None:
        seal(checkpoint)
        sealed.append(checkpoint)
        if len(sealed) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))

    monkeypatch.setattr(checkpoints, "seal", seal_and_fill)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_leaves_the_last_checkpoint(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    message = r"checkpoint-4 could not be written \(.*training goes on from step 3\."
    with pytest.raises(UserError, match=message), full_disk(monkeypatch):
        train.main(params)
    assert not Path("models/adapter").exists()
    [folder] = Path(".checkpoints").glob("*/round-1-steps")
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-2", "checkpoint-3"]


def test_two_processes_reach_what_one_does(params: Params) -> None:
    alone = set_train({"batch_size": 4, "max_steps": 4, "packing": True})
    write_json("metrics/audit.json", {"predicted_steps": 4})
    train.main(alone)
    expected, weights = read_json("metrics/train.json"), adapter()
    launcher = (
        "accelerate launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    )
    set_train({"batch_size": 2, "launcher": f"{launcher} --main_process_port 0 -m"})
    accelerate = Path(sys.executable).parent / "accelerate"
    process = start(str(accelerate), *launcher.split()[1:], "--main_process_port", "0", "-m")
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    found = read_json("metrics/train.json")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name] == (pytest.approx(value, rel=1e-5) if "loss" in name else value), name
    assert read_json("metrics/runtime.json")["train"]["processes"] == 2
    assert output.count("step 4 of 4") == 1
    assert "Traceback" not in output and "warn" not in output.lower(), output
    assert adapter().keys() == weights.keys()
