"""The pipeline's check on a CPU: the same command at a small size, a failure, and the table of what it found."""

import json
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from benchmarks import gpu_pipeline
from benchmarks.gpu_pipeline import (
    DEFAULTS,
    LARGE_RECIPE,
    SMALL_KILLED,
    all_parts,
    kill_at_checkpoint,
    prepare_project,
    run_first,
    run_killed,
    run_part,
)
from benchmarks.gpu_report import render_pipeline
from benchmarks.process_groups import CommandError
from src.params import find_faults, plain_values, read_yaml
from src.training.evidence import device_name

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_killed_training_is_resumed_to_the_same_adapter(tmp_path: Path) -> None:
    results = tmp_path / "results.json"
    results.write_text('{"first run/transformers": {"seconds": 7}}')
    words = ["--only", "killed*", "--folder", str(tmp_path), "--results", str(results)]
    command = [sys.executable, "-m", "benchmarks.gpu_pipeline", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(results.read_text())
    killed = found["killed and resumed"]
    assert killed["resumed_from"] >= 2 and (killed["matrices"], killed["differing"]) == (28, 0), killed
    assert killed["device"] == device_name()
    assert found["first run/transformers"] == {"seconds": 7}
    assert not (tmp_path / "killed/.git").exists()


def test_a_stage_that_fails_is_told_with_what_it_printed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    part = partial(run_first, tmp_path / "first", {"data.raw": "data/sample/README.md"})
    outcome = run_part(part, time.monotonic() + 60)
    assert outcome["failed"].splitlines()[-1].startswith("decompress: data/sample/README.md")
    assert outcome["seconds"] >= 0


def test_no_part_goes_on_when_the_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    first = partial(run_first, tmp_path / "first", {})
    killed = partial(run_killed, tmp_path, "small", SMALL_KILLED)
    (tmp_path / "small").mkdir()
    assert run_part(first, time.monotonic() - 1) == {"not_run": "the time was over"}
    for part in (first, killed):
        outcome = run_part(part, time.monotonic() + 1)
        assert outcome["failed"].splitlines()[-1].startswith("not done after ") and outcome["seconds"] < 60


def test_a_training_is_not_waited_for_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_pipeline, "REPRO", [sys.executable, "-c", "import time; print('loading'); time.sleep(60)"])
    with pytest.raises(CommandError, match="not done in time: there is no complete checkpoint"):
        kill_at_checkpoint(tmp_path, time.monotonic() + 1)
    monkeypatch.setattr(gpu_pipeline, "REPRO", [sys.executable, "-c", "print('no GPU')"])
    with pytest.raises(CommandError, match="no GPU"):
        kill_at_checkpoint(tmp_path, time.monotonic() + 60)


@pytest.mark.parametrize("on_gpu", [True, False])
def test_every_part_sets_parameters_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, on_gpu: bool
) -> None:
    monkeypatch.chdir(ROOT)
    parts = all_parts(tmp_path, on_gpu)
    assert list(parts)[-1] == "killed and resumed" and ("first run/unsloth" in parts) == on_gpu
    for part in parts.values():
        settings = part.args[-1]
        recipe = LARGE_RECIPE if "base.source" in settings else DEFAULTS
        prepare_project(tmp_path, recipe, settings | {"base.folder": str(tmp_path)})
        document = read_yaml(tmp_path / "params.yaml")
        assert list(find_faults(document, "params.yaml")) == []
        values = plain_values(document)
        for section, key in (name.split(".") for name in settings):
            assert values[section][key] == settings[f"{section}.{key}"]


def test_the_table_has_figures_and_reasons() -> None:
    forms = {"adapter": 1.0, "f16": 1.0, "q8_0": 0.98}
    scores = {"facts_stated": {"base": 29.0, "tuned": 95.7}, "rougeL": {"base": 11.4, "tuned": 68.23}}
    text = render_pipeline(
        {
            "first run/transformers": {"validation_loss": 0.0816, "scores": scores, "same_answers": forms},
            "first run/unsloth": {"failed": "Traceback\ntrain: no GPU"},
            "killed and resumed": {"resumed_from": 6, "matrices": 224, "differing": 0, "largest_difference": 0.0},
        }
    )
    assert "| first run, transformers | 0.0816 | 95.7% | 68.2 | 100% | 98% |" in text
    assert "| first run, unsloth | failed: train: no GPU | | | | |" in text
    assert "A training that was killed and went on from step 6: 0 of 224 matrices differ" in text
    assert "failed: disk full" in render_pipeline({"killed and resumed": {"failed": "disk full"}})
