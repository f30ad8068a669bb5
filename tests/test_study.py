"""The learning-rate study, run by its command line on a DVC project of one quick stage, with this project's plot."""

import json
import re
import subprocess
from argparse import ArgumentTypeError
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.experiments import INPUTS
from src.params import TemplateName
from src.study import experiment_names, learning_rate
from tests.dvc_project import Project

ROOT = Path(__file__).parents[1]
TEMPLATE = ROOT / ".dvc/plots/loss.json"
PARAMS = "train: {lr: 3.0e-3}\nformat: {template: chat}\n"
PIPELINE = """
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [train.lr, format.template]
    outs: [plots/train: {cache: false}]
plots:
  - Loss:
      template: loss
      x: epoch
      y: {plots/train/training.tsv: loss, plots/train/validation.tsv: loss}
      title: Loss on the answers
"""
TRAIN = """
import pathlib, sys
from ruamel.yaml import YAML
params = YAML(typ="safe").load(pathlib.Path("params.yaml"))
lr, template = params["train"]["lr"], params["format"]["template"]
if lr > 0.4:
    sys.exit("train: the loss is not finite")
folder = pathlib.Path("plots/train")
folder.mkdir(parents=True, exist_ok=True)
rows = "".join(f"{step}\\t{step / 2}\\t{2 - lr * step * len(template)}\\n" for step in range(3))
for name in ("training", "validation"):
    (folder / f"{name}.tsv").write_text("step\\tepoch\\tloss\\n" + rows)
print(f"step 2 of 2: validation loss {2 - lr * 2 * len(template)}")
"""


def study(project: Project, *words: str) -> subprocess.CompletedProcess[str]:
    """The study's command line, for two templates."""
    return project.run_module("src.study", *words, "--templates", "chat", "alpaca")


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, subprocess.CompletedProcess[str]]]:
    """A project with an experiment in the queue, and a study that was run in it, one of whose two rates fails."""
    project = Project(tmp_path_factory.mktemp("study"))
    project.start(
        {
            "params.yaml": PARAMS,
            "dvc.yaml": PIPELINE,
            "train.py": TRAIN,
            ".gitignore": "/dvc_plots/\n",
            ".dvc/plots/loss.json": TEMPLATE.read_text(),
        }
    )
    project.call("dvc", "exp", "run", "--queue", "--name", "chat-1e-3", "-S", "train.lr=1e-3")
    yield project, study(project, "run", "--rates", "1e-3", "0.5")
    project.stop()


def test_a_study_names_its_experiments_shows_progress_and_names_what_failed(
    ran: tuple[Project, subprocess.CompletedProcess[str]],
) -> None:
    project, completed = ran
    assert completed.returncode == 1
    assert completed.stdout.startswith("chat-1e-3 is in the queue already.\n> dvc exp run --queue --name chat-5e-1 ")
    assert "chat-1e-3 (1 of 4 in the queue)\n    step 2 of 2: validation loss 1.992\n" in completed.stdout
    assert "alpaca-5e-1 (4 of 4 in the queue)\n    train: the loss is not finite\n" in completed.stdout
    assert completed.stdout.count("ERROR") == 2
    assert completed.stderr == (
        "study: chat-5e-1, alpaca-5e-1 failed: see `dvc queue logs chat-5e-1`, `dvc queue logs alpaca-5e-1`. "
        "The same command tries again.\n"
    )
    assert set(project.call("dvc", "exp", "list", "--name-only").split()) == {"chat-1e-3", "alpaca-1e-3"}
    assert project.call("git", "status", "--porcelain") == ""
    changed = json.loads(project.call("dvc", "params", "diff", "chat-1e-3", "alpaca-1e-3", "--json"))
    assert changed == {"params.yaml": {"format.template": {"old": "chat", "new": "alpaca"}}}


def test_a_study_run_twice_keeps_what_has_run_and_draws_it(
    ran: tuple[Project, subprocess.CompletedProcess[str]],
) -> None:
    project, _ = ran
    completed = study(project, "run", "--rates", "0.0010")
    assert completed.returncode == 0, completed.stderr
    assert completed.stdout.count("has run from this commit and is kept") == 2
    assert "dvc exp run" not in completed.stdout
    assert "> dvc plots diff chat-1e-3 alpaca-1e-3 --targets Loss\n" in completed.stdout
    assert "alpaca-1e-3" in (project.folder / "dvc_plots/index.html").read_text()


def test_inputs_have_to_be_committed(ran: tuple[Project, subprocess.CompletedProcess[str]]) -> None:
    project, _ = ran
    (project.folder / "params.yaml").write_text(PARAMS.replace("3.0e-3", "4.0e-3"))
    completed = study(project, "run", "--rates", "7e-3")
    project.call("git", "checkout", "params.yaml")
    assert completed.returncode == 1
    assert completed.stderr.startswith("study: params.yaml: changed since the last commit")
    assert completed.stdout == ""


def test_what_has_not_run_is_not_drawn(ran: tuple[Project, subprocess.CompletedProcess[str]]) -> None:
    project, _ = ran
    completed = study(project, "plot", "--rates", "1e-3", "7e-3")
    assert completed.returncode == 1
    assert "study: not run yet: chat-7e-3, alpaca-7e-3." in completed.stderr


def test_the_picture_names_templates_and_rates(ran: tuple[Project, subprocess.CompletedProcess[str]]) -> None:
    project, _ = ran
    completed = study(project, "picture", "--rates", "1e-3", "--out", "rates.svg")
    assert completed.returncode == 0, completed.stderr
    drawn = re.findall(r"<text[^>]*>([^<]+)</text>", (project.folder / "rates.svg").read_text())
    (project.folder / "rates.svg").unlink()
    texts = ("Loss on the answers", "chat template", "alpaca template", "learning rate 1e-3")
    assert {*texts, "lowest validation loss 1.988"} <= set(drawn)
    assert "training" not in drawn


@given(st.floats(min_value=1e-12, max_value=0.999))
def test_a_rate_has_one_name_and_keeps_its_value(value: float) -> None:
    name = learning_rate(repr(value))
    assert float(name) == pytest.approx(value, rel=1e-6)
    assert learning_rate(name) == name
    assert learning_rate(f"{float(name):.12f}" if value > 1e-3 else f"{float(name):.8e}") == name


@pytest.mark.parametrize(("text", "name"), [("1e-5", "1e-5"), ("0.00001", "1e-5"), ("2.50E-04", "2.5e-4")])
def test_a_rate_is_named_in_short(text: str, name: str) -> None:
    assert learning_rate(text) == name


@pytest.mark.parametrize("text", ["0", "-1e-5", "1", "nan", "inf", "fast", ""])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is not a learning rate"):
        learning_rate(text)


def test_an_experiment_is_named_once_and_the_plot_knows_every_name() -> None:
    names = experiment_names(
        [*get_args(TemplateName)], [learning_rate(text) for text in ("1e-5", "0.00001", "2.5e-4", "0.1")]
    )
    assert names[:4] == ["chat-1e-5", "chat-2.5e-4", "chat-1e-1", "alpaca-1e-5"]
    [pattern] = re.findall(r"test\(/(\^[^/]+\$)/", TEMPLATE.read_text())
    assert all(re.search(pattern, name) for name in names)
    assert not any(re.search(pattern, name) for name in ("main", "workspace", "a730f3d", "fogey-swim", "v-1"))


def test_the_inputs_are_this_projects() -> None:
    assert all((ROOT / path).exists() for path in INPUTS)
