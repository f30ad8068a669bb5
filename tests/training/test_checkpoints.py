"""Checkpoints: named after what training depends on, whole or not used, a full disk explained."""

import errno
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from src.errors import UserError
from src.params import TrainParams
from src.training.checkpoints import (
    MANIFEST,
    guarded_write,
    is_complete,
    newest_checkpoint,
    training_fingerprint,
    write_manifest,
)


def written(folder: Path, step: int, sealed: bool = True) -> Path:
    """A checkpoint of two files."""
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir()
    for name in ("weights", "state"):
        (checkpoint / name).write_text(f"{name} at {step}")
    if sealed:
        write_manifest(checkpoint)
    return checkpoint


def test_a_fingerprint_is_of_contents_names_parameters_and_processes(
    tmp_path: Path, train_params: TrainParams, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "inputs"
    folder.mkdir()
    (folder / "a").write_text("one")
    first = training_fingerprint([folder], train_params)
    assert training_fingerprint([folder], train_params) == first
    assert (
        training_fingerprint([folder], train_params.model_copy(update={"save_steps": 7, "launcher": "else"})) == first
    )
    changed = [training_fingerprint([folder], train_params.model_copy(update={"lr": 0.5}))]
    (folder / "a").write_text("two")
    changed.append(training_fingerprint([folder], train_params))
    (folder / "a").rename(folder / "b")
    changed.append(training_fingerprint([folder], train_params))
    monkeypatch.setenv("WORLD_SIZE", "2")
    changed.append(training_fingerprint([folder], train_params))
    monkeypatch.setenv("ACCELERATE_USE_FSDP", "true")
    changed.append(training_fingerprint([folder], train_params))
    assert len({first, *changed}) == 6


def test_the_newest_whole_checkpoint_is_taken(tmp_path: Path) -> None:
    assert newest_checkpoint(tmp_path) is None
    written(tmp_path, 9)
    last = written(tmp_path, 10)  # by number, not by name
    assert newest_checkpoint(tmp_path) == last


@pytest.mark.parametrize("fault", ["not sealed", "cut off", "changed", "missing", "seal cut off"])
def test_a_checkpoint_that_is_not_whole_is_removed(
    tmp_path: Path, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before, last = written(tmp_path, 2), written(tmp_path, 4, sealed=fault != "not sealed")
    if fault == "cut off":
        (last / "weights").write_text("weights")
    elif fault == "changed":
        (last / "weights").write_text("weights at 5")
    elif fault == "missing":
        (last / "state").unlink()
    elif fault == "seal cut off":
        (last / MANIFEST).write_text((last / MANIFEST).read_text()[:20])
    assert not is_complete(last)
    assert newest_checkpoint(tmp_path) == before
    assert not last.exists()
    assert "checkpoint-4 was cut off while it was written" in capsys.readouterr().out


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
