"""kill -9 at any moment of a data stage leaves each of its outputs as it was or as it will be, never in between."""

import gzip
import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
STAGES = ("decompress", "clean", "sample", "format")
LINES = {"old": 1_500, "new": 3_000}
KILLS = 5


def start(folder: Path, stage: str) -> subprocess.Popen[bytes]:
    """A stage as a process of its own."""
    command = [sys.executable, "-m", f"src.stages.{stage}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(folder: Path, stage: str) -> float:
    """Runs a stage to its end; how many seconds that took."""
    begun = time.perf_counter()
    process = start(folder, stage)
    output, _ = process.communicate()
    assert process.returncode == 0, output.decode()
    return time.perf_counter() - begun


def outputs(stage: str) -> list[str]:
    """The files and folders that a stage writes, by dvc.yaml."""
    entries = [entry for kind in ("outs", "metrics") for entry in PIPELINE[stage].get(kind, [])]
    return [path for entry in entries for path in (entry if isinstance(entry, dict) else [entry])]


def content(path: Path) -> Any:
    """A file's bytes, or those of each file in a folder by name."""
    return path.read_bytes() if path.is_file() else {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two projects whose data stages have run, on few lines and on more."""
    folders = {name: tmp_path_factory.mktemp(name) for name in LINES}
    raw = gzip.decompress((ROOT / "data/sample/trn.json.gz").read_bytes()).splitlines(keepends=True)
    parameters = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    parameters["data"]["raw"], parameters["sample"]["records"] = "raw.json", 500
    for name, folder in folders.items():
        (folder / "raw.json").write_bytes(b"".join(raw[: LINES[name]]))
        (folder / "dvc.yaml").write_bytes((ROOT / "dvc.yaml").read_bytes())
        with (folder / "params.yaml").open("w", encoding="utf-8") as file:
            YAML().dump(parameters, file)
        for stage in STAGES:
            finish(folder, stage)
    return folders


@pytest.mark.parametrize("stage", STAGES)
def test_a_killed_stage_leaves_the_old_output_or_the_new_one(
    stage: str, projects: dict[str, Path], tmp_path: Path
) -> None:
    old, new = ({path: content(projects[name] / path) for path in outputs(stage)} for name in ("old", "new"))
    assert old != new
    rng, seconds, project = random.Random(stage), 0.0, tmp_path / "project"
    for kill in range(KILLS):
        shutil.rmtree(project, ignore_errors=True)
        shutil.copytree(projects["new"], project)  # its inputs are the new ones, its outputs the old ones
        for path in outputs(stage):
            put(projects["old"] / path, project / path)
        if not kill:
            seconds = finish(project, stage)
        else:
            process = start(project, stage)
            time.sleep(seconds * rng.uniform(0.4, 1.0))
            process.kill()
            process.communicate()
        left = {path: content(project / path) for path in outputs(stage)}
        assert [path for path in left if left[path] not in (old[path], new[path])] == []
    finish(project, stage)
    assert {path: content(project / path) for path in outputs(stage)} == new
    assert not [path for path in project.rglob(".*") if path.name.endswith((".partial", ".old"))]


def put(source: Path, target: Path) -> None:
    """Copies a file or folder in place of another."""
    if source.is_dir():
        shutil.rmtree(target)
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)
