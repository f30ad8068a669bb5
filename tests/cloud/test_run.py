"""cloud/run.sh in scratch clones: it clones, pulls, runs, pushes, and goes on where a machine was taken away."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from uuid import uuid4

import pytest

from src.training.checkpoints import checkpoint_step, newest_checkpoint
from tests.cloud.git_server import serving
from tests.remotes.conftest import free_port
from tests.scratch import ENVIRONMENT, ROOT, call, copy_project, set_parameters, stages_run

TOKEN = uuid4().hex
TWO_MACHINES = (
    "accelerate launch --multi_gpu --num_machines 2 --num_processes 2 --mixed_precision no --dynamo_backend no -m"
)
ENDS_WITHIN = 500  # seconds


class Team(NamedTuple):
    """A project whose results are in a DVC remote, behind a git server that wants a token."""

    repository: str
    bare: Path
    results: Path


@pytest.fixture(scope="module")
def team(reproduced: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Team]:
    """The whole pipeline, small, as a team shares it."""
    folder = tmp_path_factory.mktemp("team")
    first = copy_project(reproduced[0], folder / "first")
    call(first, "dvc", "remote", "add", "--default", "team", str(folder / "storage"))
    call(first, "git", "add", "-A")
    call(first, "git", "commit", "-qm", "Share results")
    call(first, "dvc", "push", "--run-cache")
    call(folder, "git", "clone", "-q", "--bare", "first", "origin.git")
    call(folder / "origin.git", "git", "config", "http.receivepack", "true")
    with serving(folder, TOKEN) as address:
        yield Team(f"{address}/origin.git", folder / "origin.git", first)


class Borrowed:
    """A machine that runs cloud/run.sh: its own home, and nothing but the variables that SkyPilot gives it."""

    def __init__(self, folder: Path, team: Team, experiments: str, **variables: str) -> None:
        self.folder, self.clone, self.log = folder, folder / "shelftalk", folder / "log"
        (folder / "tmp").mkdir(parents=True)
        own = {"HOME": str(folder), "TMPDIR": str(folder / "tmp"), "DVC_SITE_CACHE_DIR": str(folder / "site")}
        given = {"REPOSITORY": team.repository, "EXPERIMENTS": experiments, "GIT_TOKEN": TOKEN}
        environment = ENVIRONMENT | own | given | {"VENV": sys.prefix} | variables
        self.process = subprocess.Popen(
            ["nice", "bash", ROOT / "cloud/run.sh"],
            cwd=folder,
            env=environment,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def wait(self) -> str:
        """The output of a run that succeeds."""
        assert self.process.wait(ENDS_WITHIN) == 0, self.log.read_text()
        return self.log.read_text()

    def take_away(self) -> None:
        """Ends it as a cloud does that wants its spot instance back."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(60)


def pulled(team: Team, folder: Path, experiment: str) -> Path:
    """A team-mate's clone with an experiment of the borrowed machine applied."""
    call(folder.parent, "git", "clone", "-q", str(team.bare), str(folder))
    call(folder, "dvc", "exp", "pull", "origin", experiment)
    call(folder, "dvc", "exp", "apply", experiment)
    return folder


def test_a_team_mate_has_the_experiments_results_and_no_token_is_left(team: Team, tmp_path: Path) -> None:
    experiments = "-n broken -S evaluate.no_such=1\n\n-n judged -S 'evaluate.judge_records=2'\n"
    borrowed = Borrowed(tmp_path / "machine", team, experiments)
    assert borrowed.process.wait(ENDS_WITHIN) == 1
    output = borrowed.log.read_text()
    assert "Failed: -n broken" in output and "Failed: -n judged" not in output, output
    assert stages_run(output) == ["judge"], output
    mate = pulled(team, tmp_path / "mate", "judged")
    assert stages_run(call(mate, "dvc", "repro")) == []
    assert "judge_records: 2" in (mate / "params.yaml").read_text()
    files = [path for path in borrowed.folder.rglob("*") if path.is_file()]
    assert borrowed.log in files and borrowed.clone / ".git/config" in files
    assert [path for path in files if TOKEN.encode() in path.read_bytes()] == []


def test_a_machine_that_is_taken_away_is_followed_by_one_that_goes_on(team: Team, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    experiment = "-n resumed -S train.max_steps=30 -S train.save_steps=1 -S train.lr=2e-3"
    variables = {"SHELFTALK_CHECKPOINTS": str(bucket)}
    first = Borrowed(tmp_path / "first", team, experiment, **variables)
    deadline = time.monotonic() + ENDS_WITHIN
    while not (saved := list(bucket.glob("*/round-1-steps/checkpoint-[3-9]"))):
        assert first.process.poll() is None and time.monotonic() < deadline, first.log.read_text()
        time.sleep(0.02)
    first.take_away()
    reached = newest_checkpoint(saved[0].parent)
    assert reached and checkpoint_step(reached) < 30
    output = Borrowed(tmp_path / "second", team, experiment, **variables).wait()
    assert f"Going on from step {checkpoint_step(reached)}" in output
    assert list(bucket.iterdir()) == []
    again = Borrowed(tmp_path / "third", team, experiment, **variables).wait()
    assert "It has run from this commit and is pushed" in again and stages_run(again) == []
    assert stages_run(call(pulled(team, tmp_path / "mate", "resumed"), "dvc", "repro")) == []


def test_two_nodes_train_together_and_the_first_one_pushes(team: Team, tmp_path: Path) -> None:
    experiment = f"-n together -S \"train.launcher='{TWO_MACHINES}'\""
    nodes = {"SKYPILOT_NODE_IPS": "127.0.0.1\n127.0.0.1", "MAIN_PROCESS_PORT": str(free_port())}
    first, second = (
        Borrowed(tmp_path / rank, team, experiment, SKYPILOT_NODE_RANK=rank, **nodes) for rank in ("0", "1")
    )
    output = first.wait()
    assert "train" in stages_run(output) and "Pushed experiment together" in output
    assert "train" not in stages_run(second.wait()) and "Pushed" not in second.log.read_text()
    assert json.loads((first.clone / "runtime.json").read_text())["train"]["processes"] == 2


def test_the_gpu_is_asked_for_by_the_audits_estimate_of_what_is_there_now(team: Team, tmp_path: Path) -> None:
    call(tmp_path, "git", "clone", "-q", str(team.bare), "clone")
    clone, command = tmp_path / "clone", [sys.executable, "-m", "src.training.needed_gpu"]

    def refused() -> str:
        ended = subprocess.run(command, cwd=clone, env=ENVIRONMENT, capture_output=True, text=True)
        assert ended.returncode == 1 and not ended.stdout, ended
        return ended.stderr

    assert "training_plan.json is missing: run `dvc repro audit`, or `dvc pull data/training_plan.json`" in refused()
    call(clone, "dvc", "pull", "data/training_plan.json")
    assert call(clone, *command) == "2GB+\n"
    set_parameters(clone, {"train.lora_r": 128})
    assert "something has changed since the audit estimated the memory" in refused()
