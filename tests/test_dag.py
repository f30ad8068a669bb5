"""The whole DAG, small, in scratch copies of the project: it runs, it is up to date, and it reruns what it must.

Changes and recipes are reproduced in the background, in as many copies as there are cores; a test waits for its own.
"""

import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from src.export.card_code import quoted
from src.export.model_card import EXAMPLE_TITLE
from src.files import read_jsonl
from tests.changes import RECIPES, TABLES, TOY, last_stage, parameters, recipes_by_records
from tests.scratch import (
    ROOT,
    SMALL,
    Reproduction,
    call,
    copy_project,
    stages_run,
)

# Where a new stage is added: what a new adapter reruns, in DVC's order, and what no evaluation waits for.
AFTER_TRAINING = ["train", "generate@tuned", "export", "generate_exports", "judge", "evaluate", "model_card", "gather"]
NOT_FOR_EVALUATION = {"score_cleaning", "index", "model_card", "gather"}

LARGE = 100_000  # bytes; smaller are the metrics and the run cache's own entries, which DVC leaves writable
MODEL_WEIGHTS = (
    "models/base/model.safetensors",
    "models/adapter/adapter_model.safetensors",
    "models/export/merged/model.safetensors",
    "models/export/shelftalk-f16.gguf",
    "models/export/shelftalk-q8_0.gguf",
    "models/export/shelftalk-q4_k_m.gguf",
    "models/export/base-q8_0.gguf",
    "models/export/shelftalk-lora.gguf",
)
GGUFS = {Path(path).name for path in MODEL_WEIGHTS if path.endswith(".gguf")}
EXPORTED = {"adapter", "merged", "Modelfile", "serving.json"} | GGUFS


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
    train = json.loads((folder / "reports/train.json").read_text())
    assert train["steps"] == SMALL["train.max_steps"]
    assert train["b_matrices_moved"] == train["b_matrices"] > 0
    assert json.loads((folder / "reports/sample.json").read_text())["shared_titles"] == 0
    assert json.loads((folder / "reports/export.json").read_text())["prompts"] == SMALL["export.check_prompts"]
    assert {path.name for path in (folder / "models/export").iterdir()} == EXPORTED
    config = json.loads((folder / "models/export/adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"].startswith("embedded@sha256:")


def test_the_lines_of_the_model_card_give_the_answers_that_were_measured(
    reproduced: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(reproduced[0])
    [lines] = re.findall(r"(?s)```python\n(.*?)```", Path("models/MODEL_CARD.md").read_text(encoding="utf-8"))
    assert quoted(EXAMPLE_TITLE) in lines
    answers = read_jsonl("data/generations/tuned.jsonl")
    for row in answers:
        exec(lines.replace(quoted(EXAMPLE_TITLE), quoted(row["title"])), {})
    assert capsys.readouterr().out.splitlines() == [row["answer"] for row in answers]


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
    titles = [
        page.find(title) for title in ("Loss on the answers", "Scores of the answers", "Where each raw line went")
    ]
    assert titles == sorted(titles) and titles[0] > 0
    assert "nearest" in page
    assert len(call(folder, "dvc", "metrics", "show").splitlines()[0].split()) <= 16


class Tags(HTMLParser):
    """The tags of a page, not those in its scripts, and the addresses that they load from."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.addresses: list[str | None] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append(tag)
        self.addresses += [value for name, value in attrs if name in ("src", "href")]


def test_the_page_of_plots_loads_nothing(reproduced: tuple[Path, str]) -> None:
    folder, _ = reproduced
    call(folder, "dvc", "plots", "show", "--out", "offline")
    page = (folder / "offline/index.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert tags.found.count("script") > 10 and tags.addresses == []
    assert "@import" not in page and "{plot_divs}" not in page
    for name, version in {"vega": "5.33.1", "vega-lite": "5.21.0", "vega-embed": "6.29.0"}.items():
        assert f"{name} {version}" in page and f'<script id="{name}">' in page and f'"{version}"' in page
    assert "Redistribution and use in source and binary forms" in page


def test_results_lie_once_on_the_disk(reproduced: tuple[Path, str]) -> None:
    """Linked with DVC's cache, which takes a copy in a folder for a link where `reflink` comes first in cache.type."""
    linked = ("data/split/train.parquet", "data/prompts/train.jsonl", *MODEL_WEIGHTS)
    assert [name for name in linked if (reproduced[0] / name).stat().st_nlink < 2] == []


def test_a_copy_of_the_reproduced_project_is_up_to_date(reproduced: tuple[Path, str], tmp_path: Path) -> None:
    original, folder = reproduced[0], copy_project(reproduced[0], tmp_path / "copy")
    assert "up to date" in call(folder, "dvc", "status")
    cached = [path for path in (folder / ".dvc/cache").rglob("*") if path.is_file()]
    large = [path.relative_to(folder) for path in cached if path.stat().st_size > LARGE]
    assert large and all((folder / path).samefile(original / path) for path in large)
    assert not any((folder / name).samefile(original / name) for name in ("params.yaml", "dvc.lock", "src/params.py"))


def printed(outcome: Reproduction, table: str) -> list[str]:
    """The lines of a table that the change has printed."""
    return outcome.output.partition(f"$ {table}\n")[2].partition("\n$ ")[0].strip().splitlines()


def test_a_new_learning_rate_reruns_what_follows_training_and_is_read_at_a_glance(
    outcome: Reproduction,
) -> None:
    assert outcome.stages == AFTER_TRAINING
    heading, *changes = printed(outcome, TABLES[0])
    assert heading.split()[:2] == ["Path", "Metric"]
    # DVC prints the files in any order, so each has to begin with a score.
    scores = {"rougeL.tuned", "facts_stated.tuned", "facts_wrong.tuned", "validation_loss"}
    assert changes and {line.split()[1] for line in changes} <= scores
    columns = [name.strip() for name in printed(outcome, TABLES[1])[0].strip("|").split("|")]
    assert {"Experiment", "train.lr", "validation_loss"} < set(columns)
    assert len(columns) <= 11, columns


def test_a_run_leaves_nothing_in_git_that_differs_between_identical_runs(reproduced: tuple[Path, str]) -> None:
    folder, _ = reproduced
    assert (folder / "runtime.json").exists()
    assert "runtime.json" not in call(folder, "git", "status", "--porcelain", "--untracked-files=all")
    assert "device" in json.loads((folder / "metrics/train.json").read_text())


def test_a_new_template_reruns_format_and_what_follows_it(outcome: Reproduction) -> None:
    ran = outcome.stages
    assert ran[0] == "format"
    again = ["format", "audit", "generate@base", "generate_few_shot", "generate_endpoints"]
    assert sorted(ran) == sorted([*again, *AFTER_TRAINING])


def test_retrieved_records_in_the_prompts_go_through_to_the_exports(outcome: Reproduction) -> None:
    assert outcome.stages[0] == "format" and set(AFTER_TRAINING) <= set(outcome.stages)
    assert outcome.lock["stages"]["export"]["params"]["params.yaml"]["format.context"] == "retrieved"
    assert outcome.reports["export"]["prompts"] == SMALL["export.check_prompts"]
    assert outcome.reports["audit"]["prompt_tokens_p50"] > 50  # titles alone take 20 in this template


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_runs(outcome: Reproduction, recipe: str) -> None:
    """Its own settings, but the tiny model and the synthetic sample: what the recipe sets is what runs."""
    assert "base" not in outcome.stages and outcome.stages[-1] == last_stage(recipe)
    train = outcome.reports["train"]
    assert train["steps"] == train["predicted_steps"] == 2 * train["rounds"]
    assert train["b_matrices_moved"] == train["b_matrices"] > 0
    assert outcome.reports["evaluate"]["records"] == SMALL["generate.records"]
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
