"""The noise floor: spreads by hand, the larger noise in words, and the command on a DVC project of one quick stage."""

import json
import subprocess
from argparse import ArgumentTypeError
from collections.abc import Iterator
from typing import Any

import pytest

from src.errors import UserError
from src.noise import (
    half_width,
    larger_noise,
    measure_noise,
    params_digest,
    seed_number,
    spreads,
    table_lines,
    tuned_values,
)
from tests.dvc_project import Project

PIPELINE = """
stages:
  train:
    cmd: python train.py
    deps: [train.py]
    params: [train.seed]
    outs: [reports: {cache: false}]
    metrics: [metrics/train.json: {cache: false}, metrics/evaluate.json: {cache: false}]
"""
TRAIN = """
import json, pathlib
from ruamel.yaml import YAML
seed = YAML(typ="safe").load(pathlib.Path("params.yaml"))["train"]["seed"]
def write(path, value):
    pathlib.Path(path).parent.mkdir(exist_ok=True)
    pathlib.Path(path).write_text(json.dumps(value))
write("metrics/train.json", {"device": "CPU", "validation_loss": 1 + seed / 10})
scores = {"rougeL": {"base": 11.0, "tuned": 60.0 + seed}, "facts_stated": {"base": None, "tuned": None}}
write("metrics/evaluate.json", {**scores, "test_records": "abcd1234"})
write("reports/evaluate.json", {"interval": {"tuned": {"rougeL": {"low": 50.0, "high": 70.0}}}})
print(f"step 2 of 2: trained under {seed}")
"""
REPORT: dict[str, Any] = {"interval": {"tuned": {"rougeL": {"low": 50.0, "high": 70.0}}}}


def test_a_spread_by_hand() -> None:
    found = spreads([{"rougeL": 60.0}, {"rougeL": 62.0}, {"rougeL": 67.0, "facts_stated": 1.0}])
    # deviations -3, -1, 4: the root of 26 / 2
    expected = {"mean": 63.0, "sd": 3.605551, "low": 60.0, "high": 67.0, "values": [60.0, 62.0, 67.0]}
    assert found == {"rougeL": expected}


def test_of_an_experiment_the_tuned_model_and_its_loss_count() -> None:
    scores = {"rougeL": {"base": 1.0, "tuned": 2.0}, "facts_wrong": {"base": 1.0, "tuned": None}, "test_records": "a"}
    assert tuned_values(scores, {"validation_loss": 0.1, "device": "CPU"}) == {"rougeL": 2.0, "validation_loss": 0.1}


def test_the_digest_is_that_of_all_parameters_but_the_seed() -> None:
    digest = params_digest({"train": {"seed": 1, "lr": 0.1}, "sample": {"seed": 3}})
    assert digest == params_digest({"sample": {"seed": 3}, "train": {"lr": 1e-1, "seed": 2}})
    assert digest != params_digest({"train": {"seed": 1, "lr": 0.2}, "sample": {"seed": 3}})
    assert digest != params_digest({"train": {"seed": 1, "lr": 0.1}, "sample": {"seed": 4}})


@pytest.mark.parametrize(
    ("half", "deviation", "expected"),
    [
        (2.0, 1.0, "records are the larger noise"),
        (1.9, 1.0, "seeds are the larger noise"),
        (0.0, 0.0, "both are as large"),
        (None, 1.0, ""),
    ],
)
def test_intervals_over_records_and_over_seeds_are_compared(half: float, deviation: float, expected: str) -> None:
    assert larger_noise(half, deviation) == expected


def test_the_table_sets_both_side_by_side() -> None:
    metrics = spreads([{"rougeL": 60.0, "validation_loss": 0.5}, {"rougeL": 64.0, "validation_loss": 0.7}])
    header, rouge, loss, origin = table_lines({"metrics": metrics, "seeds": [1, 2], "commit": "abc"}, REPORT)
    assert header.split("  ")[0] == "tuned model"
    words = "rougeL 62.0000 10.0000 2.8284 5.5436 60.0000 to 64.0000 records are the larger noise"
    assert rouge.split() == words.split()
    assert loss.split() == ["validation_loss", "0.6000", "–", "0.1414", "0.2772", "0.5000", "to", "0.7000"]
    assert origin.startswith("Seeds 1, 2 of commit abc.")
    assert half_width(REPORT, "rougeL") == 10.0


@pytest.mark.parametrize("text", ["-1", "1.5", "one", "", "4294967296"])
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(ArgumentTypeError, match="is no seed"):
        seed_number(text)
    assert seed_number("4294967295") == 2**32 - 1


def test_one_seed_has_no_spread() -> None:
    with pytest.raises(UserError, match="SEEDS has 1 seed: a spread needs two or more"):
        measure_noise([3, 3])


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Project, subprocess.CompletedProcess[str]]]:
    """A project, and what the command printed for two seeds."""
    project = Project(tmp_path_factory.mktemp("noise"))
    project.start({"params.yaml": "train: {seed: 42}\n", "dvc.yaml": PIPELINE, "train.py": TRAIN})
    yield project, project.run_module("src.noise", "run", "--seeds", "1", "4")
    project.stop()


def test_the_command_trains_under_each_seed_and_writes_the_spread(
    ran: tuple[Project, subprocess.CompletedProcess[str]],
) -> None:
    project, completed = ran
    assert completed.returncode == 0, completed.stderr
    assert "> dvc exp run --queue --name seed-1 -S train.seed=1\n" in completed.stdout
    assert "    step 2 of 2: trained under 4\n" in completed.stdout
    assert "records are the larger noise" in completed.stdout
    found = json.loads((project.folder / "noise/noise.json").read_text())
    assert list(found) == ["seeds", "commit", "params", "test_records", "metrics"]
    assert (found["seeds"], found["test_records"]) == ([1, 4], "abcd1234")
    assert found["metrics"]["rougeL"]["values"] == [61.0, 64.0]
    assert found["metrics"]["validation_loss"]["mean"] == pytest.approx(1.25)
    assert list(found["metrics"]) == ["rougeL", "validation_loss"]
    assert project.call("git", "status", "--porcelain") == "?? noise/\n"  # the workspace is as it was


def test_what_has_run_is_not_run_again_and_other_parameters_are_told(
    ran: tuple[Project, subprocess.CompletedProcess[str]],
) -> None:
    project, _ = ran
    before = (project.folder / "noise/noise.json").read_bytes()
    completed = project.run_module("src.noise", "run", "--seeds", "1", "4")
    assert completed.stdout.count("has run from this commit and is kept") == 2
    assert (project.folder / "noise/noise.json").read_bytes() == before
    (project.folder / "params.yaml").write_text("train: {seed: 42, lr: 0.1}\n")
    completed = project.run_module("src.noise", "table")
    project.call("git", "checkout", "params.yaml")
    assert completed.stdout.endswith(
        "noise/noise.json is of other parameters than params.yaml: `make noise` measures these.\n"
    )


def test_without_a_spread_there_is_no_table(tmp_path_factory: pytest.TempPathFactory) -> None:
    completed = Project(tmp_path_factory.mktemp("empty")).run_module("src.noise", "table")
    assert completed.returncode == 1
    assert completed.stderr == (
        "noise: noise/noise.json is missing: `make noise` writes noise/noise.json, and `make repro` the report.\n"
    )
