"""dvc.yaml declares what the code does: every source file and every parameter that a stage depends on, and no other.

Covers the declaration, from the code's syntax trees. What DVC reruns after a change is in test_reruns.py.
"""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from src import pipeline
from src.params import Params, declared_params
from src.records.filters import FILTERS
from src.records.rules import RULES

ROOT = Path(__file__).parents[1]
DOCUMENT = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, dict[str, Any]] = {name: stage.get("do", stage) for name, stage in DOCUMENT["stages"].items()}

# What shows that a file finds others by its own place, or loads modules by their names.
SIGNS = ("__file__", "import_module(")
# Tables whose entries name the parameters of the section clean that switch them.
SWITCHES = {
    "src/records/rules.py": {rule.switch for rule in RULES},
    "src/records/filters.py": {each.switch for each in FILTERS if each.switch},
}

MODEL_CARD, REVIEWED = "models/MODEL_CARD.md", ("metrics/", "plots", "reports")
WRITTEN_AGAIN = {"model_card", "gather"}  # in a second, by whatever `dvc repro` follows
SECTIONS = {field.annotation.__name__: name for name, field in Params.model_fields.items() if field.annotation}
KEYS = {
    (name, key) for name, field in Params.model_fields.items() for key in getattr(field.annotation, "model_fields", {})
}


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In the project's root, from which paths are given."""
    monkeypatch.chdir(ROOT)
    yield


def covers(dependency: str, path: str) -> bool:
    return dependency == path or path.startswith(f"{dependency}/")


def test_the_source_files_are_those_that_the_command_writes() -> None:
    text = Path("dvc.yaml").read_text(encoding="utf-8")
    assert pipeline.with_source_files(text) == text, "run `make pipeline`"


def test_the_command_writes_source_files_and_nothing_else() -> None:
    text = Path("dvc.yaml").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if "- src/records/" not in line) + "\n"
    assert kept != text
    assert pipeline.with_source_files(kept) == text


@pytest.mark.parametrize("stage", STAGES)
def test_every_input_exists_or_is_written_by_a_stage(stage: str) -> None:
    deps = STAGES[stage]["deps"]
    written = {path for other in STAGES for kind in ("outs", "metrics") for path in outputs(other, kind)}
    fixed = [dependency for dependency in deps if not dependency.startswith("${")]
    known = {path.replace("${key}", key) for path in written for key in ("base", "tuned")}
    assert [path for path in fixed if not Path(path).exists() and not any(covers(out, path) for out in known)] == []
    assert len(set(deps)) == len(deps)


def test_what_cannot_change_a_result_is_no_input() -> None:
    sources = {path for stage in STAGES for path in STAGES[stage]["deps"] if pipeline.is_source(path)}
    assert {path for path in sources if path.endswith(".py") and pipeline.is_inert(path)} == set()
    assert all(Path(path).is_file() for path in pipeline.INERT)
    assert all(pipeline.ALWAYS in STAGES[stage]["deps"] for stage in STAGES)


def test_the_files_that_find_others_by_path_are_known() -> None:
    in_stages = set().union(*(pipeline.reachable_files(pipeline.main_module(stage)) for stage in STAGES.values()))
    finders = {file for file in in_stages if any(sign in Path(file).read_text(encoding="utf-8") for sign in SIGNS)}
    assert finders - set(pipeline.FOUND_BY_PATH) <= {"src/models/backends/unsloth.py"}  # which imports a package
    assert set(pipeline.FOUND_BY_PATH) <= in_stages
    assert all(Path(path).exists() for path in pipeline.FOUND_BY_PATH.values())


def test_the_walk_sees_imports_in_functions_of_packages_and_of_modules() -> None:
    train = pipeline.reachable_files("src/stages/train.py")
    assert "src/training/trainer.py" in train  # imported in a function
    assert "src/models/backends/__init__.py" in train  # a package that holds code
    assert "src/models/backends/unsloth.py" in train  # loaded by its name
    assert "src/models/attention.py" in train  # imported from a package
    assert "src/models/__init__.py" not in train  # nothing but a docstring


def section_of(node: ast.AST) -> str | None:
    """The section that an expression stands for: `params.SECTION`, or the parameters that a trainer holds."""
    if ast.unparse(node) == "trainer.params":
        return "train"
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "params":
        return node.attr if node.attr in Params.model_fields else None
    return None


def bindings(function: ast.FunctionDef) -> dict[str, str]:
    """The local names that stand for a section: arguments of its type, and what `params.SECTION` is assigned to."""
    bound = {
        argument.arg: SECTIONS[argument.annotation.id]
        for argument in (*function.args.args, *function.args.kwonlyargs)
        if isinstance(argument.annotation, ast.Name) and argument.annotation.id in SECTIONS
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            for target, value in pairs(node):
                section = section_of(value)
                if isinstance(target, ast.Name) and section:
                    bound[target.id] = section
    return bound


def pairs(node: ast.Assign) -> list[tuple[ast.AST, ast.AST]]:
    """An assignment's targets and values, one by one."""
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def reads(file: str) -> set[tuple[str, str]]:
    """The parameters, as section and key, that a file's functions read."""
    found = {("clean", switch) for switch in SWITCHES.get(file, ())}
    for function in ast.walk(pipeline.syntax_tree(file)):
        if isinstance(function, ast.FunctionDef):
            bound = bindings(function)
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute):
                    name = bound.get(node.value.id) if isinstance(node.value, ast.Name) else section_of(node.value)
                    found.add((str(name), node.attr))
    return found & KEYS


def code_of(stage: str) -> set[str]:
    """The files that a stage imports, its refusals and its code for services too, and what it loads by name."""
    files = pipeline.reachable_files(pipeline.main_module(STAGES[stage]))
    imported = set().union(*(pipeline.imported_files(file) for file in files))
    others = {file for file in imported if Path(file).name == pipeline.REFUSALS or file.startswith(pipeline.HOSTED)}
    return files | others | {file for one in others for file in pipeline.imported_files(one)}


@pytest.mark.parametrize("stage", STAGES)
def test_every_parameter_declared_is_known_and_read(stage: str) -> None:
    read = set().union(*(reads(file) for file in code_of(stage)))
    assert sorted(set(declared_params(stage)) - KEYS) == []
    assert sorted(set(declared_params(stage)) - read) == []
    assert len(set(declared_params(stage))) == len(declared_params(stage))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_itself_reads_no_other_parameter(stage: str) -> None:
    # Modules that stages share read more: params_for_stage refuses that when a stage runs.
    assert sorted(reads(pipeline.main_module(STAGES[stage])) - set(declared_params(stage))) == []


def test_every_parameter_is_read_by_some_stage() -> None:
    assert sorted(KEYS.difference(*(declared_params(stage) for stage in STAGES))) == []


def outputs(stage: str, kind: str) -> dict[str, dict[str, Any]]:
    """A stage's `outs` or `metrics` with their options."""
    entries = STAGES[stage].get(kind, [])
    with_options = [entry if isinstance(entry, dict) else {entry: {}} for entry in entries]
    return {path: options for entry in with_options for path, options in entry.items()}


@pytest.mark.parametrize("stage", STAGES)
def test_the_run_cache_knows_a_stage(stage: str) -> None:
    """DVC leaves out of it what is marked `persist`, and a stage with an output in git that is no metric."""
    assert len(STAGES[stage]["desc"]) > 20
    written = outputs(stage, "outs") | outputs(stage, "metrics")
    assert written
    assert not any("persist" in options for options in written.values())
    assert (stage in WRITTEN_AGAIN) == any(options.get("cache") is False for options in outputs(stage, "outs").values())


@pytest.mark.parametrize("stage", STAGES)
def test_what_a_reviewer_reads_is_committed_and_nothing_else_is(stage: str) -> None:
    written = outputs(stage, "outs") | outputs(stage, "metrics")
    committed = {path for path, options in written.items() if options.get("cache") is False}
    assert committed == {path for path in written if path.startswith(REVIEWED) or path == MODEL_CARD}
    assert set(outputs(stage, "metrics")) <= {f"metrics/{stage}.json"}


@pytest.mark.parametrize("stage", STAGES)
def test_no_parameter_is_part_of_a_command(stage: str) -> None:
    """DVC gives commands to a shell before anything has checked the parameters."""
    assert STAGES[stage]["cmd"].replace(" ${key}", "") == f"python -m src.stages.{stage}"


def test_stages_are_the_modules_of_their_folder() -> None:
    modules = {path.stem for path in (ROOT / "src/stages").glob("*.py")} - {"__init__", "runner"}
    assert set(STAGES) == modules
    assert all(pipeline.main_module(STAGES[stage]) == f"src/stages/{stage}.py" for stage in STAGES)


def test_every_plot_and_artifact_is_written_by_a_stage() -> None:
    written = {path for stage in STAGES for path in outputs(stage, "outs")}
    shown = [path for plot in DOCUMENT["plots"] for drawn in plot.values() for path in drawn["y"]]
    kept = [artifact["path"] for artifact in DOCUMENT["artifacts"].values()]
    assert shown
    assert kept
    assert [path for path in [*shown, *kept] if not any(covers(out, path) for out in written)] == []
