"""Earlier results come back: from DVC's run cache where inputs are set back, by one command after a failed stage.

On the whole DAG, small, in scratch copies of the project.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.scratch import (
    ENVIRONMENT,
    Reproduction,
    call,
    copy_project,
    read_reproduction,
    reproduce,
    set_parameters,
    stages_run,
)

WRITTEN_AGAIN = ["model_card", "gather"]  # whose outputs git keeps


@pytest.fixture
def project(reproduced: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the reproduced project."""
    return copy_project(reproduced[0], tmp_path / "project")


def results(folder: Path, *stages: str) -> dict[str, bytes]:
    """Every file that stages have written, by its path; of all stages where none is named."""
    lock: dict[str, Any] = YAML(typ="safe").load(folder / "dvc.lock")["stages"]
    outputs = [folder / out["path"] for stage in stages or lock for out in lock[stage]["outs"]]
    files = [file for output in outputs for file in ([output] if output.is_file() else output.rglob("*"))]
    return {str(file.relative_to(folder)): file.read_bytes() for file in files if file.is_file()}


def fail(folder: Path) -> str:
    """Reproduces a project whose raw file is broken; what that prints."""
    (folder / "broken.json.gz").write_bytes(b"\x1f\x8b no gzip")
    set_parameters(folder, {"data.raw": "broken.json.gz"})
    done = subprocess.run(["dvc", "repro"], cwd=folder, env=ENVIRONMENT, text=True, capture_output=True)
    assert done.returncode != 0
    return done.stdout + done.stderr


def restore(folder: Path) -> None:
    """What `make restore` runs."""
    call(folder, sys.executable, "-m", "src.restore")


def test_an_earlier_learning_rate_is_restored_without_a_run(
    outcome: Reproduction, reproduced: tuple[Path, str]
) -> None:
    first = read_reproduction(*reproduced)
    assert outcome.stages == WRITTEN_AGAIN
    assert outcome.lock == first.lock and outcome.adapter == first.adapter
    assert outcome.reports == first.reports


def test_a_clone_that_shares_the_cache_runs_nothing(project: Path, tmp_path: Path) -> None:
    call(project, "git", "add", "-A")
    call(project, "git", "commit", "-qm", "results")
    call(tmp_path, "git", "clone", "-q", str(project), "clone")
    clone = tmp_path / "clone"
    call(clone, "dvc", "cache", "dir", "--local", str(project / ".dvc/cache"))
    assert stages_run(reproduce(clone)) == []
    assert results(clone) == results(project)
    assert "up to date" in call(clone, "dvc", "status")


def test_what_a_failed_stage_had_written_comes_back_by_the_command_that_is_told(project: Path) -> None:
    before = results(project)
    printed = fail(project)
    assert "data.raw: broken.json.gz" in printed and "`make restore`" in printed
    assert not (project / "data/records.parquet").exists() and not (project / "data/reports/decompress.json").exists()
    (project / "metrics/train.json").write_text("{}")  # by hand, or half of a later run
    restore(project)
    assert results(project) == before


def test_a_failed_stage_whose_parameter_is_set_back_runs_nothing(project: Path) -> None:
    before, raw = results(project), YAML(typ="safe").load(project / "params.yaml")["data"]["raw"]
    fail(project)
    set_parameters(project, {"data.raw": raw})
    assert stages_run(reproduce(project)) == []
    assert results(project) == before


def test_a_killed_training_comes_back_and_can_go_on(project: Path) -> None:
    before = results(project, "train")
    set_parameters(project, {"train.max_steps": 40, "train.save_steps": 1})
    process = subprocess.Popen(
        ["dvc", "repro", "train"], cwd=project, env=ENVIRONMENT, stdout=subprocess.DEVNULL, start_new_session=True
    )
    while process.poll() is None and not list(project.glob(".checkpoints/*/*/checkpoint-[2-9]/complete.json")):
        time.sleep(0.05)
    assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)  # DVC and the stage
    process.wait()
    assert not (project / "models/adapter").exists()
    restore(project)
    assert results(project, "train") == before
    assert "Going on from step" in reproduce(project, "train")
    assert json.loads((project / "data/reports/train.json").read_text())["steps"] == 40
