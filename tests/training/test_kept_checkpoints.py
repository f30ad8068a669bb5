"""Checkpoints that nobody goes on from are listed and removed; those of the current parameters stay."""

import os
import sys
from pathlib import Path

import pytest

from src.files import write_json
from src.params import Params, params_for_stage
from src.training import kept_checkpoints
from src.training.checkpoints import training_fingerprint
from src.training.choices import current_device, settle_params
from tests.training.plans import training_plan
from tests.training.test_checkpoints import written

PIPELINE = """\
stages:
  train:
    cmd: python -m src.stages.train
    deps: [data]
    params: [train]
"""


@pytest.fixture
def kept(project: Path) -> tuple[Path, Path]:
    """The folders of two trainings that were interrupted: of the current parameters, and of earlier ones."""
    Path("dvc.yaml").write_text(PIPELINE)
    Path("data").mkdir()
    Path("data/a").write_text("one")
    write_json("data/training_plan.json", training_plan(8))
    current, earlier = (Path(".checkpoints", name) for name in (training_fingerprint(params()), "0123456789abcdef"))
    for folder, steps in ((current, (200, 400)), (earlier, (1000,))):
        (folder / "round-1").mkdir(parents=True)
        (folder / "round-2-steps").mkdir()
        for step in steps:
            written(folder / "round-2-steps", step)
    for path in [*earlier.rglob("*"), earlier]:
        os.utime(path, (10**9, 10**9))
    return current, earlier


def params() -> Params:
    return settle_params(params_for_stage("train"), current_device())[0]


def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """The lines that the command prints."""
    monkeypatch.setattr(sys, "argv", ["kept_checkpoints", *words])
    kept_checkpoints.main()
    return capsys.readouterr().out.splitlines()


def test_the_list_tells_size_date_step_and_use(
    kept: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (kept[1] / "large").write_bytes(bytes(2_500_000))
    os.utime(kept[1] / "large", (10**9, 10**9))
    old, new = command(monkeypatch, capsys)
    assert old.startswith(f"{kept[1]}        2.5 MB  2001-09-0")
    assert old.endswith("step 1,000  of other parameters or inputs")
    assert new.startswith(f"{kept[0]}        0.0 MB  2")
    assert new.endswith("step 400  goes on with the current parameters")
    assert all(folder.exists() for folder in kept)


def test_only_what_nothing_goes_on_from_is_removed(
    kept: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, capsys, "remove") == [f"removed {kept[1]} (0.0 MB)"]
    assert [folder.exists() for folder in kept] == [True, False]
    assert command(monkeypatch, capsys, "remove") == [".checkpoints holds nothing to remove."]
    Path("data/a").write_text("two")  # the inputs are others now
    assert command(monkeypatch, capsys, "remove") == [f"removed {kept[0]} (0.0 MB)"]


def test_a_sharded_training_in_several_processes_is_a_current_one_too(
    kept: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    launcher = "accelerate launch --use_fsdp --fsdp_version 2 --num_processes 2 -m"
    text = Path("params.yaml").read_text().replace("launcher: python -m ", f"launcher: {launcher} ")
    Path("params.yaml").write_text(text)
    sharded = Path(".checkpoints", training_fingerprint(params(), 2, sharded=True))
    kept[0].rename(sharded)
    assert command(monkeypatch, capsys, "remove") == [f"removed {kept[1]} (0.0 MB)"]
    assert sharded.exists()


def test_all_are_removed_when_asked_for_even_where_training_lacks_an_input(
    kept: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("data").rename("moved")
    with pytest.raises(SystemExit, match=r"training_plan.json is missing, so it is not known .* remove all of them"):
        command(monkeypatch, capsys, "remove")
    assert all(folder.exists() for folder in kept)
    assert len(command(monkeypatch, capsys, "remove", "--all")) == 2
    assert not any(folder.exists() for folder in kept)


def test_without_checkpoints_there_is_nothing_to_list(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, capsys) == [".checkpoints holds no checkpoints."]
