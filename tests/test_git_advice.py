"""After a run git is told what belongs together, and that HEAD is on no branch; else nothing is said."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from src.git_advice import git_advice
from tests.scratch import ENVIRONMENT, ROOT, call

PIPELINE = """\
stages:
  one:
    cmd: sleep ${seconds} && mkdir -p metrics && echo ${seconds} > metrics/one.json
    params: [seconds]
    metrics: [metrics/one.json: {cache: false}]
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of one stage under our own settings of DVC, run and committed."""
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").write_text("seconds: 0\n")
    call(tmp_path, "git", "init", "-q", "-b", "main")
    call(tmp_path, "dvc", "init", "-q")
    (tmp_path / ".dvc/config").write_bytes((ROOT / ".dvc/config").read_bytes())
    call(tmp_path, "dvc", "repro", "-q")
    call(tmp_path, "git", "add", "-A")
    call(tmp_path, "git", "commit", "-qm", "first")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_nothing_is_said_where_nothing_changed(repository: Path) -> None:
    assert list(git_advice()) == []


def test_nothing_is_said_outside_of_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert list(git_advice()) == []
    monkeypatch.setenv("PATH", "")
    assert list(git_advice()) == []


def test_the_command_that_is_named_stages_what_dvc_leaves(repository: Path) -> None:
    (repository / "params.yaml").write_text("seconds: 0.1\n")
    call(repository, "dvc", "repro", "-q")
    status = call(repository, "git", "status", "--porcelain")
    assert status.splitlines() == ["M  dvc.lock", " M metrics/one.json", " M params.yaml"]
    [advice] = git_advice()
    assert "`git add -u` and `git commit`" in advice
    call(repository, "git", "add", "-u")
    call(repository, "git", "commit", "-qm", "second")
    assert call(repository, "git", "status", "--porcelain") == ""
    assert list(git_advice()) == []


def test_a_killed_experiment_leaves_head_on_no_branch_and_the_command_leads_back(repository: Path) -> None:
    experiment = subprocess.Popen(
        ["dvc", "exp", "run", "-S", "seconds=60"], cwd=repository, env=ENVIRONMENT, start_new_session=True
    )
    deadline = time.monotonic() + 60
    while subprocess.run(["pgrep", "-g", str(experiment.pid), "sleep"], capture_output=True).returncode:
        assert time.monotonic() < deadline and experiment.poll() is None
        time.sleep(0.1)
    os.killpg(experiment.pid, signal.SIGKILL)
    experiment.wait()
    call(repository, "dvc", "exp", "run", "-S", "seconds=0.1")
    results, advice = git_advice()
    assert "HEAD is on no branch" in advice
    call(repository, "git", "switch", "main")
    assert (repository / "metrics/one.json").read_text() == "0.1\n"
    assert list(git_advice()) == [results]
