"""Checkpoints: named after what training depends on, complete or not used, a full disk explained."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.fingerprints import declared_files
from src.params import BaseParams, Params, TrainParams
from src.training.checkpoints import (
    MANIFEST,
    guarded_write,
    is_complete,
    newest_checkpoint,
    training_fingerprint,
    write_manifest,
)


def written(folder: Path, step: int, complete: bool = True) -> Path:
    """A checkpoint of two files."""
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir()
    for name in ("weights", "state"):
        (checkpoint / name).write_text(f"{name} at {step}")
    if complete:
        write_manifest(checkpoint)
    return checkpoint


DECLARED = """\
stages:
  train:
    cmd: python -m src.stages.train
    deps: [data, plan.json]
    params: [base.folder, train.launcher, train.lr, train.save_steps]
"""


@pytest.fixture
def declared(project: Path, train_params: TrainParams) -> Params:
    """A project whose train stage declares a folder, a file and four parameters; the values of those."""
    Path("dvc.yaml").write_text(DECLARED)
    Path("data").mkdir()
    for name in ("data/a", "plan.json", "undeclared"):
        Path(name).write_text("one")
    return Params.model_construct(base=BaseParams.model_construct(folder="here"), train=train_params)


def changed(params: Params, section: str, **values: Any) -> Params:
    return params.model_copy(update={section: getattr(params, section).model_copy(update=values)})


def test_a_fingerprint_is_of_everything_declared_and_of_the_processes(
    declared: Params, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [training_fingerprint(declared)]
    found.append(training_fingerprint(changed(declared, "train", lr=0.5)))
    found.append(training_fingerprint(changed(declared, "base", folder="there")))
    for name in ("data/a", "plan.json"):
        Path(name).write_text("two")
        found.append(training_fingerprint(declared))
    Path("data/a").rename("data/b")
    found.append(training_fingerprint(declared))
    monkeypatch.setenv("WORLD_SIZE", "2")
    found.append(training_fingerprint(declared))
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    found.append(training_fingerprint(declared))
    assert len(set(found)) == len(found) == 8


def test_a_fingerprint_leaves_out_what_changes_no_result(declared: Params) -> None:
    first = training_fingerprint(declared)
    Path("undeclared").write_text("two")
    Path("data/__pycache__").mkdir()
    Path("data/__pycache__/a.pyc").write_text("compiled")
    assert training_fingerprint(declared) == first
    without_effect = changed(declared, "train", save_steps=7, launcher="else", eval_steps=9)  # the last is not declared
    assert training_fingerprint(without_effect) == first


def test_the_train_stage_itself_is_in_its_fingerprint_and_a_model_card_is_not() -> None:
    files = {path.as_posix() for path in declared_files("train")}
    assert {"src/stages/train.py", "src/training/trainer.py", "src/models/adapter.py"} <= files
    assert not {"src/export/model_card.py", "src/training/refusals.py"} & files


def test_the_newest_complete_checkpoint_is_taken(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    written(tmp_path, 9)
    last = written(tmp_path, 10)  # by number, not by name
    assert newest_checkpoint(tmp_path) == last


@pytest.mark.parametrize("fault", ["no manifest", "truncated", "changed", "missing", "truncated manifest"])
def test_a_checkpoint_that_is_not_complete_is_removed(
    tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, last = written(tmp_path, 2), written(tmp_path, 4, complete=fault != "no manifest")
    if fault == "truncated":
        (last / "weights").write_text("weights")
    elif fault == "changed":
        (last / "weights").write_text("weights at 5")
    elif fault == "missing":
        (last / "state").unlink()
    elif fault == "truncated manifest":
        (last / MANIFEST).write_text((last / MANIFEST).read_text()[:20])
    assert not is_complete(last)
    assert newest_checkpoint(tmp_path) == before
    assert not last.exists()
    assert "checkpoint-4 is incomplete, or has changed since it was written" in capsys.readouterr().out


@contextmanager
def small_files() -> Iterator[None]:
    """No file may be larger than 100 bytes; no fixture, since pytest itself may be writing to a larger one."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def large_tensor_file(folder: Path, how: str) -> None:
    """Writes a megabyte as checkpoints are written."""
    import torch
    from safetensors.torch import save_file

    tensor = torch.ones(2**18)
    if how == "torch":
        torch.save({"tensor": tensor}, folder / "large")
    elif how == "safetensors":
        save_file({"tensor": tensor}, folder / "large")
    else:
        raise OSError(errno.ENOSPC, "No space left on device", folder / "large")


@pytest.mark.parametrize(
    ("how", "words"), [("torch", "."), ("safetensors", "File too large"), ("full", "No space left on device")]
)
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path: Path, how: str, words: str) -> None:
    checkpoint = tmp_path / "checkpoint-4"
    (tmp_path / "checkpoint-2").mkdir()
    (tmp_path / "checkpoint-2/a").write_text("a")
    write_manifest(tmp_path / "checkpoint-2")
    checkpoint.mkdir()
    message = rf"checkpoint-4 could not be written \(.*{words}.*; \d+ MB are free on that disk\).* from step 2\."
    with pytest.raises(UserError, match=message), small_files(), guarded_write(checkpoint, tmp_path):
        large_tensor_file(checkpoint, how)
    assert not checkpoint.exists()
