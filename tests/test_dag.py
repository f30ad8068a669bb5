"""The whole DAG, small, in scratch copies of the project: it runs, it is up to date, and it reruns what it must.

Changes and recipes are reproduced in the background, in as many copies as there are cores; a test waits for its own.
"""

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.changes import RECIPES, TOY, last_stage, parameters, recipes_by_records
from tests.scratch import (
    ENVIRONMENT,
    ROOT,
    SMALL,
    Reproduction,
    call,
    copy_project,
    set_parameters,
    stages_run,
)

# Where a new stage is added: what a new adapter reruns, in DVC's order, and what no evaluation waits for.
AFTER_TRAINING = ["train", "generate@tuned", "evaluate", "export", "model_card"]
NOT_FOR_EVALUATION = {"score_cleaning", "index", "export", "model_card"}

EXPORTED = {"adapter", "merged", "shelftalk-f16.gguf", "shelftalk-q8_0.gguf", "Modelfile"}


def declared_stages() -> list[str]:
    """The stages of dvc.yaml, each variant of a stage as one."""
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    variants = {name: [f"{name}@{variant}" for variant in stage.get("foreach", [])] for name, stage in stages.items()}
    return [one for name in stages for one in variants[name] or [name]]


def parameters_read(lock: dict[str, Any]) -> dict[str, list[object]]:
    """The distinct values that each parameter had when the stages up to the evaluation ran, as DVC has locked them."""
    read: dict[str, list[object]] = {}
    for stage in lock["stages"].keys() - NOT_FOR_EVALUATION:
        locked = lock["stages"][stage].get("params", {}).get("params.yaml", {})
        sections = {name: value for name, value in locked.items() if "." not in name}  # declared as a whole
        single = {name: value for name, value in locked.items() if "." in name}
        for name, value in (single | parameters(sections)).items():
            read.setdefault(name, [])
            read[name] += [value] * (value not in read[name])
    return read


def test_the_whole_dag_runs_and_is_up_to_date(reproduced: tuple[Path, str]) -> None:
    folder, output = reproduced
    assert sorted(stages_run(output)) == sorted(declared_stages())
    assert "up to date" in call(folder, "dvc", "status")
    train = json.loads((folder / "metrics/train.json").read_text())
    assert train["steps"] == SMALL["train.max_steps"]
    assert train["b_matrices_moved"] == train["b_matrices"] > 0
    assert json.loads((folder / "metrics/sample.json").read_text())["shared_titles"] == 0
    assert json.loads((folder / "metrics/export.json").read_text())["prompts"] == SMALL["export.check_prompts"]
    assert {path.name for path in (folder / "models/export").iterdir()} == EXPORTED


def test_output_is_quiet_and_every_stage_ends_with_its_line(reproduced: tuple[Path, str]) -> None:
    _, output = reproduced
    told = [line.partition(": ")[0] for line in output.splitlines() if line.endswith(" s)")]
    assert sorted(told) == sorted(declared_stages())
    assert "Traceback" not in output
    for noise in ("Warning", "WARNING", "kernels-community", "Token indices", "[transformers]", "%|"):
        assert noise not in output, output


def test_plots_and_metrics_are_shown(reproduced: tuple[Path, str]) -> None:
    folder, _ = reproduced
    call(folder, "dvc", "plots", "show")
    page = (folder / "dvc_plots/index.html").read_text()
    assert "Loss on the answers" in page and "nearest" in page
    assert "rougeL" in call(folder, "dvc", "metrics", "show", "--json")


def test_a_copy_of_the_reproduced_project_is_up_to_date(reproduced: tuple[Path, str], tmp_path: Path) -> None:
    original, folder = reproduced[0], copy_project(reproduced[0], tmp_path / "copy")
    assert "up to date" in call(folder, "dvc", "status")
    cached = [path.relative_to(folder) for path in (folder / ".dvc/cache").rglob("*") if path.is_file()]
    assert cached and all((folder / path).samefile(original / path) for path in cached)
    assert not any((folder / name).samefile(original / name) for name in ("params.yaml", "dvc.lock", "src/params.py"))


def test_a_new_learning_rate_reruns_training_and_what_follows_it(outcome: Reproduction) -> None:
    assert outcome.stages == AFTER_TRAINING


def test_a_new_template_reruns_format_and_what_follows_it(outcome: Reproduction) -> None:
    ran = outcome.stages
    assert ran[0] == "format"
    assert sorted(ran) == sorted(["format", "audit", "generate@base", *AFTER_TRAINING])


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_runs(outcome: Reproduction, recipe: str) -> None:
    """Its own settings, but the tiny model and the synthetic sample: what the recipe sets is what runs."""
    assert "base" not in outcome.stages and outcome.stages[-1] == last_stage(recipe)
    train = outcome.metrics["train"]
    assert train["steps"] == train["predicted_steps"] == 2 * train["rounds"]
    assert train["b_matrices_moved"] == train["b_matrices"] > 0
    assert outcome.metrics["evaluate"]["records"] == SMALL["generate.records"]
    wanted = {name: value for name, value in parameters(RECIPES[recipe]).items() if name not in TOY}
    read = parameters_read(outcome.lock)
    assert {name: read[name] for name in wanted} == {name: [value] for name, value in wanted.items()}
    for key, name in {"r": "lora_r", "lora_alpha": "lora_alpha", "lora_dropout": "lora_dropout"}.items():
        assert outcome.adapter[key] == wanted[f"train.{name}"]


def test_recipes_with_the_same_records_are_one_group() -> None:
    groups = recipes_by_records()
    assert groups[0] == ["llama-3-8b-less-memory", "llama-3-8b", "llama-3-8b-200-steps", "llama-3-8b-50-steps"]
    assert groups[1] == ["llama-3.2-1b-alpaca", "llama-3.2-1b-chat"]
    assert sorted(itertools.chain(*groups)) == sorted(RECIPES)


def test_a_failed_stage_leaves_the_last_good_result(reproduced: tuple[Path, str], tmp_path: Path) -> None:
    folder = copy_project(reproduced[0], tmp_path / "copy")
    before = (folder / "data/records.parquet").read_bytes()
    (folder / "broken.json.gz").write_bytes(b"\x1f\x8b no gzip")
    set_parameters(folder, {"data.raw": "broken.json.gz"})
    done = subprocess.run(["dvc", "repro"], cwd=folder, env=ENVIRONMENT, text=True, capture_output=True)
    assert done.returncode != 0
    assert "data.raw: broken.json.gz" in done.stdout + done.stderr
    assert (folder / "data/records.parquet").read_bytes() == before
