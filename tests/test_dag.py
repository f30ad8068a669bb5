"""The whole DAG, small, in scratch copies of the project: it runs, it is up to date, and it reruns what it must.

Changes and recipes are reproduced in the background, in as many copies as there are cores; a test waits for its own.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.scratch import (
    ENVIRONMENT,
    ROOT,
    SMALL,
    Change,
    ProjectWorker,
    Reproduction,
    call,
    copy_project,
    reproduce,
    set_parameters,
    stages_run,
    submit_groups,
)

# Where a new stage is added: what a new adapter reruns, in DVC's order, and what no evaluation waits for.
AFTER_TRAINING = ["train", "generate@tuned", "evaluate", "export", "model_card"]
NOT_FOR_EVALUATION = {"score_cleaning", "export", "model_card"}

EXPORTED = {"adapter", "merged", "shelftalk-f16.gguf", "shelftalk-q8_0.gguf", "Modelfile"}

SYNTHETIC: dict[str, object] = {  # in place of what a recipe fetches
    **{f"base.{key}": value for key, value in YAML(typ="safe").load(ROOT / "params.yaml")["base"].items()},
    "data.raw": "data/sample/trn.json.gz",
    "sample.parts": 1,
    "sample.pool": 0,
    "audit.max_truncated_share": 1.0,
}
TOY = SYNTHETIC | SMALL | {"train.max_steps": 2, "sample.records": 200}

RECIPES: dict[str, dict[str, Any]] = {
    path.stem: YAML(typ="safe").load(path) for path in sorted((ROOT / "recipes").glob("*.yaml"))
}


def declared_stages() -> list[str]:
    """The stages of dvc.yaml, each variant of a stage as one."""
    stages = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    variants = {name: [f"{name}@{variant}" for variant in stage.get("foreach", [])] for name, stage in stages.items()}
    return [one for name in stages for one in variants[name] or [name]]


def parameters(sections: dict[str, dict[str, object]]) -> dict[str, object]:
    """The parameters of sections, by section and key."""
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}


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


def last_stage(recipe: str) -> str:
    """The stage to which a recipe runs: our own to the model card, as no other test exports its template."""
    return "model_card" if recipe == "best" else "evaluate"


def set_value(name: str, value: object, folder: Path) -> str:
    """Sets one parameter of a project as it is, and reproduces all of it."""
    set_parameters(folder, {name: value})
    return reproduce(folder)


def lay_recipe(recipe: str, folder: Path) -> str:
    """Lays a recipe over a project's parameters and small values over the recipe, and reproduces that."""
    shutil.copyfile(ROOT / "params.yaml", folder / "params.yaml")
    call(folder, sys.executable, "-m", "src.params", "recipe", recipe)
    set_parameters(folder, TOY)
    return reproduce(folder, last_stage(recipe))


def records_key(recipe: str) -> str:
    """What a recipe draws its records by, less what is the same for all: recipes with equal keys have equal splits."""
    sections = {name: RECIPES[recipe].get(name) or {} for name in ("data", "clean", "sample")}
    return repr({name: value for name, value in parameters(sections).items() if name not in TOY})


def prompts_key(recipe: str) -> str:
    """What a recipe makes prompts and rows by: between recipes with equal keys the base answers once."""
    return repr([RECIPES[recipe]["format"], RECIPES[recipe]["train"]["max_length"]])


def recipes_by_records() -> list[list[str]]:
    """Recipes in groups with the same records, the largest group first, so that what is equal is run once."""
    ordered = sorted(RECIPES, key=lambda name: (records_key(name), prompts_key(name), name))
    groups = [list(group) for _, group in itertools.groupby(ordered, key=records_key)]
    return sorted(groups, key=len, reverse=True)


def changes_by_test() -> list[dict[str, Change]]:
    """The changes that tests ask for, by the tests' names, in groups: first those of the project as it was made."""
    changes: dict[str, Change] = {
        test_a_new_learning_rate_reruns_training_and_what_follows_it.__name__: partial(set_value, "train.lr", 3e-5),
        test_a_new_template_reruns_format_and_what_follows_it.__name__: partial(set_value, "format.template", "alpaca"),
    }
    name = test_every_recipe_runs.__name__
    recipes: list[dict[str, Change]] = [
        {f"{name}[{recipe}]": partial(lay_recipe, recipe) for recipe in group} for group in recipes_by_records()
    ]
    return [changes, *recipes]


@pytest.fixture(scope="session")
def outcomes(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    scratch_project: Path,
    reproducing: Future[tuple[Path, str]],
) -> Iterator[dict[str, Future[Reproduction]]]:
    """What the change of each test that is to run will have done, by the test's name."""
    folder, names = tmp_path_factory.mktemp("workers"), {item.name for item in request.session.items}
    workers = [
        ProjectWorker(scratch_project, reproducing, folder / str(number)) for number in range(os.cpu_count() or 1)
    ]
    asked = [{name: change for name, change in group.items() if name in names} for group in changes_by_test()]
    yield submit_groups(workers, asked)
    for worker in workers:
        worker.stop()


@pytest.fixture
def outcome(request: pytest.FixtureRequest, outcomes: dict[str, Future[Reproduction]]) -> Reproduction:
    """What the change of this test has done."""
    return outcomes[request.node.name].result()


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


def test_output_is_quiet(reproduced: tuple[Path, str]) -> None:
    _, output = reproduced
    assert "Traceback" not in output
    for noise in ("Warning", "WARNING", "kernels-community", "Token indices", "[transformers]"):
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
