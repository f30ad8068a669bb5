"""Changes of the scratch project that tests of the DAG look at: single parameters, and every recipe at toy size.

Covers what each change sets and which changes share their records, so that what is equal runs once. conftest.py starts
them with the first test; test_dag.py tells what they have to do.
"""

import itertools
import sys
from functools import partial
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from tests.scratch import ROOT, SMALL, Change, call, reproduce, set_parameters

SYNTHETIC: dict[str, object] = {  # in place of what a recipe fetches
    **{f"base.{key}": value for key, value in YAML(typ="safe").load(ROOT / "params.yaml")["base"].items()},
    "data.raw": "data/sample/trn.json.gz",
    "sample.parts": 1,
    "sample.pool": 0,
    "audit.max_truncated_share": 1.0,
    "train.backend": "transformers",  # the published one needs a GPU
}
TABLES = ("dvc metrics diff", "dvc exp show --only-changed --md")
LEARNING_RATE = YAML(typ="safe").load(ROOT / "params.yaml")["train"]["lr"]
TOY = SYNTHETIC | SMALL | {"train.max_steps": 2, "sample.records": 200}

RECIPES: dict[str, dict[str, Any]] = {
    path.stem: YAML(typ="safe").load(path)
    for path in sorted((ROOT / "recipes").glob("*.yaml"))
    if path.stem != "defaults"  # the first run itself
}
HOSTED = {name for name, recipe in RECIPES.items() if recipe["train"]["backend"] == "openai"}
for name in HOSTED:  # tests/hosted/test_dag.py runs what they set, against a server
    del RECIPES[name]


def parameters(sections: dict[str, dict[str, object]]) -> dict[str, object]:
    """The parameters of sections, by section and key."""
    return {f"{section}.{key}": value for section, keys in sections.items() for key, value in keys.items()}


def last_stage(recipe: str) -> str:
    """The stage to which a recipe runs: our own to the model card, as no other test exports its template."""
    return "model_card" if recipe == "best" else "evaluate"


def set_value(name: str, value: object, folder: Path) -> str:
    """Sets one parameter of a project as it is, and reproduces all of it."""
    set_parameters(folder, {name: value})
    return reproduce(folder)


def retrieve_context(folder: Path) -> str:
    """Shows training records in the prompts, in a template that no other change exports, and reproduces all of it."""
    set_parameters(folder, {"format.template": "plain", "format.context": "retrieved"})
    return reproduce(folder)


def run_experiment(folder: Path) -> str:
    """Runs an experiment from a commit of the results, and prints the tables in which a reviewer reads it."""
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", "results")
    ran = call(folder, "nice", "dvc", "exp", "run", "--name", "higher-rate", "-S", "train.lr=3e-3")
    return "\n".join([ran, *(f"$ {table}\n{call(folder, *table.split())}" for table in TABLES)])


def lay_recipe(recipe: str, folder: Path) -> str:
    """Lays a recipe over a project's parameters and small values over the recipe, and reproduces that."""
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


# A test that goes on from what another one has changed, also where it is run without that one.
FOLLOWS = {
    "test_an_earlier_learning_rate_is_restored_without_a_run": (
        "test_a_new_learning_rate_reruns_what_follows_training_and_is_read_at_a_glance"
    )
}


def changes_by_test() -> list[dict[str, Change]]:
    """The changes that tests ask for, by the tests' names, in groups: first those of the project as it was made."""
    changes: dict[str, Change] = {
        "test_a_new_learning_rate_reruns_what_follows_training_and_is_read_at_a_glance": run_experiment,
        "test_an_earlier_learning_rate_is_restored_without_a_run": partial(set_value, "train.lr", LEARNING_RATE),
        "test_a_new_template_reruns_format_and_what_follows_it": partial(set_value, "format.template", "alpaca"),
        "test_retrieved_records_in_the_prompts_go_through_to_the_exports": retrieve_context,
    }
    recipes: list[dict[str, Change]] = [
        {f"test_every_recipe_runs[{recipe}]": partial(lay_recipe, recipe) for recipe in group}
        for group in recipes_by_records()
    ]
    return [changes, *recipes]
