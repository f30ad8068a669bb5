"""A scratch project for reviews: real DVC, real evaluation, and quick stand-ins for training and answering.

Covers making it, and pull requests in it: branches with a change, whose results are reproduced and committed.
"""

import shutil
import sys
from pathlib import Path

from tests.scratch import ROOT, call

RECORDS = 80
STAND_IN = ROOT / "tests/review/stand_in.py"
COMMENTED = "src/training/rounds.py"  # what the pull request of a comment touches: a file that `train` depends on
PIPELINE = f"""
stages:
  split:
    cmd: {sys.executable} stand_in.py split
    deps: [stand_in.py]
    outs: [data/split, data/reports/sample.json, data/judgements.json]
  train:
    cmd: {sys.executable} stand_in.py train
    deps: [data/split, {COMMENTED}, src/prompts/templates]
    params: [train, format.template]
    outs: [models/adapter, data/tables/train]
  generate:
    foreach:
      base: {{answers_with: data/split}}
      few_shot: {{answers_with: data/split}}
      tuned: {{answers_with: models/adapter}}
    do:
      cmd: {sys.executable} stand_in.py generate ${{key}}
      deps: ['${{item.answers_with}}']
      params: [format.template]
      outs: ['data/generations/${{key}}.jsonl']
  evaluate:
    cmd: {sys.executable} -m src.stages.evaluate
    deps:
      - data/generations/base.jsonl
      - data/generations/few_shot.jsonl
      - data/generations/tuned.jsonl
      - src/scoring/style.py
    params: [evaluate.bertscore]
    outs: [data/tables/evaluate, data/reports/evaluate.json]
    metrics: [metrics/evaluate.json: {{cache: false}}]
  gather:
    cmd: {sys.executable} -m src.stages.gather
    deps: [data/reports, data/tables]
    outs: [plots: {{cache: false}}, reports: {{cache: false}}]
"""
IGNORED = ("data/", "!data/sample", "models/", "runtime.json", "__pycache__/", "review/", ".*.partial")


def make_project(folder: Path) -> Path:
    """The project with its first results, committed on the branch main."""
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "data/sample").mkdir(parents=True)
    shutil.copy(ROOT / "data/sample/facts.json.gz", folder / "data/sample")
    shutil.copy(ROOT / "params.yaml", folder)
    shutil.copy(STAND_IN, folder / "stand_in.py")
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / ".gitignore").write_text("\n".join(IGNORED) + "\n")
    call(folder, "git", "init", "-q", "--initial-branch", "main")
    call(folder, "dvc", "init", "-q")
    commit_results(folder, "First results")
    return folder


def commit_results(folder: Path, message: str) -> None:
    """Runs what changed and commits it with its results."""
    call(folder, "nice", "dvc", "repro", "-q")
    commit(folder, message)


def commit(folder: Path, message: str) -> None:
    """Commits all files as they are."""
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", message)


def propose(folder: Path, branch: str) -> None:
    """Starts a pull request: a branch from main."""
    call(folder, "git", "switch", "-q", "-c", branch, "main")


def replace(folder: Path, file: str, old: str, new: str) -> None:
    """Replaces what a file holds once."""
    text = (folder / file).read_text()
    assert text.count(old) == 1, f"{file} has {old!r} {text.count(old)} times"
    (folder / file).write_text(text.replace(old, new))
