"""Recipes: what their comments promise, where it can be computed. That they run is shown by test_dag.py."""

import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from src import params
from src.params import TrainParams
from src.training.memory import choose_optimizer, estimate_memory

ROOT = Path(__file__).parents[1]
RECIPES = {path.stem: path for path in sorted((ROOT / "recipes").glob("*.yaml"))}
DEFAULTS = RECIPES.pop("defaults")
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in RECIPES.items()}
LLAMA_3_8B = {
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_attention_heads": 32,
    "num_hidden_layers": 32,
    "num_key_value_heads": 8,
    "tie_word_embeddings": False,
    "vocab_size": 128256,
}


def laid(path: Path) -> dict[str, Any]:
    """The values that a recipe gives over the defaults."""
    return params.plain_values(params.apply_overlay(params.read_yaml(DEFAULTS), params.read_yaml(path)))


def test_the_defaults_hold_every_parameter() -> None:
    assert list(params.find_faults(params.read_yaml(DEFAULTS), "defaults")) == []


def test_the_parameters_in_place_are_the_defaults_or_a_recipe() -> None:
    in_place = params.plain_values(params.read_yaml(ROOT / "params.yaml"))
    assert in_place in [laid(path) for path in (DEFAULTS, *RECIPES.values())], "write recipes/defaults.yaml too"


def test_a_recipe_laid_after_another_gives_what_it_gives_alone(project: Path) -> None:
    for path in RECIPES.values():
        Path(f"recipes/{path.name}").write_bytes(path.read_bytes())
    for name, path in [*RECIPES.items(), *reversed(RECIPES.items()), ("defaults", DEFAULTS)]:
        params.apply_recipe(name)
        assert params.plain_values(params.read_yaml(params.PARAMS)) == laid(path), name


def test_every_recipe_is_valid_whatever_was_laid_before(project: Path) -> None:
    for path in RECIPES.values():
        Path(f"recipes/{path.name}").write_bytes(path.read_bytes())
    params.apply_recipe("llama-3.2-1b-chat")  # sets sample.pool, which is larger than another recipe's sample.records
    params.check_params()


@pytest.mark.parametrize("name", TEXTS)
def test_a_recipe_tells_what_it_is_for_and_how_it_is_run(name: str) -> None:
    title, *lines = (line.removeprefix("#").strip() for line in TEXTS[name].splitlines() if line.startswith("#"))
    comment = " ".join(lines)
    assert "GB" in title
    assert "Not yet measured here on a GPU" in comment
    assert f"python -m src.params recipe {name}" in lines
    assert "dvc repro" in lines


@pytest.mark.parametrize("name", [name for name, text in TEXTS.items() if "estimated:" in text])
def test_the_memory_in_a_comment_is_the_audits_estimate_for_full_rows(name: str) -> None:
    recipe = YAML(typ="safe").load(TEXTS[name])
    assert recipe["base"]["repository"] == "NousResearch/Meta-Llama-3-8B"
    asked = TrainParams.model_construct(**recipe["train"])
    train = asked.model_copy(update={"optimizer": choose_optimizer(LLAMA_3_8B, asked)})
    total = estimate_memory(LLAMA_3_8B, train, train.max_length)["memory_total_gb"]
    [(available, estimated)] = re.findall(r"GPU with (\d+) GB \(estimated: (\d+) GB\)", TEXTS[name])
    assert round(total) == int(estimated)
    assert total < 0.7 * int(available)  # room for what the estimate leaves out, and for its error
