"""dvc.yaml says what the code does: every file imported and every parameter read is declared, and no other.

Covers the declaration, from the code's syntax trees, and what DVC would rerun after a change. Runs no stage.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from src.params import Params, declared_params

ROOT = Path(__file__).parents[1]
PIPELINE = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
STAGES: dict[str, dict[str, Any]] = {name: stage.get("do", stage) for name, stage in PIPELINE["stages"].items()}

# What code finds by its place or its name instead of importing it: the file that does so, and what it opens or loads.
FOUND_BY_PATH = {
    "src/synthetic/catalogue.py": "src/synthetic/vocabulary.yaml",
    "src/synthetic/tiny_model.py": "src/synthetic/chat.jinja",
    "src/prompts/rendering.py": "src/prompts/templates",
    "src/scoring/overlap.py": "src/scoring/metrics",
    "src/stages/train.py": "src/models/backends",
}
SIGNS = ("__file__", "backends.get_backend(")

SECTIONS = {field.annotation.__name__: name for name, field in Params.model_fields.items() if field.annotation}
KEYS = {
    (name, key) for name, field in Params.model_fields.items() for key in getattr(field.annotation, "model_fields", {})
}


@cache
def tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def module_file(name: str) -> str | None:
    """The file of a module or package of this project, relative to its root."""
    path = name.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if (ROOT / file).is_file()), None)


def names_imported(file: str) -> set[str]:
    """Every dotted name that a file imports, at its top or in a function; what is imported from may be a module."""
    names: set[str] = set()
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}:{node.lineno}: write the whole name of the module"
            names.update([str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)])
    return names


def packages(name: str) -> list[str]:
    """A dotted name and all packages it is in, which Python runs as well."""
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


def only_documented(file: str) -> bool:
    """Whether a file holds nothing but a docstring, so that a change of it changes nothing."""
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in tree(file).body)


@cache
def imports(file: str) -> frozenset[str]:
    """The files that a file imports itself."""
    found = {module_file(package) for name in names_imported(file) for package in packages(name)}
    return frozenset(found - {None})  # type: ignore[arg-type]


def closure(file: str) -> set[str]:
    """A file and all that it imports, directly or not."""
    reached, waiting = set(), [file]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting += imports(current)
    return reached


def main_file(stage: str) -> str:
    """The file of the module that a stage's command runs."""
    interpreter, flag, module, *_ = STAGES[stage]["cmd"].replace("${train.launcher}", "python -m").split()
    assert (interpreter, flag) == ("python", "-m")
    file = module_file(module)
    assert file, f"{stage}: there is no module {module}"
    return file


def needed(stage: str) -> set[str]:
    """The files and folders under src/ that a stage's result depends on."""
    code = {file for file in closure(main_file(stage)) if not only_documented(file)}
    return code | {FOUND_BY_PATH[file] for file in code if file in FOUND_BY_PATH}


def source_deps(stage: str) -> list[str]:
    """What a stage declares under src/."""
    return [dependency for dependency in STAGES[stage]["deps"] if dependency.startswith("src/")]


def covers(dependency: str, path: str) -> bool:
    return dependency == path or path.startswith(f"{dependency}/")


@pytest.mark.parametrize("stage", STAGES)
def test_every_file_a_stage_depends_on_is_declared(stage: str) -> None:
    deps = source_deps(stage)
    assert [path for path in sorted(needed(stage)) if not any(covers(dep, path) for dep in deps)] == []


@pytest.mark.parametrize("stage", STAGES)
def test_no_other_file_is_declared(stage: str) -> None:
    paths = needed(stage)
    assert [dep for dep in source_deps(stage) if not any(covers(dep, path) for path in paths)] == []
    assert all((ROOT / dep).exists() for dep in source_deps(stage))
    assert len(set(STAGES[stage]["deps"])) == len(STAGES[stage]["deps"])


def test_the_files_that_find_others_by_path_are_known() -> None:
    texts = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in ROOT.glob("src/**/*.py")}
    in_stages = set().union(*(closure(main_file(stage)) for stage in STAGES))
    finders = {file for file in in_stages if any(sign in texts[file] for sign in SIGNS)}
    assert finders == set(FOUND_BY_PATH)
    assert [file for file in in_stages if "import_module(" in texts[file]] == ["src/models/backends/__init__.py"]
    assert all((ROOT / path).exists() for path in FOUND_BY_PATH.values())


def test_the_walk_sees_imports_in_functions_of_packages_and_of_modules() -> None:
    assert "src/models/backends/transformers.py" in imports("src/training/rounds.py")  # in a function
    assert {"src/export/__init__.py", "src/export/refusals.py"} <= imports("src/export/parity.py")  # from a package
    assert "src/models/backends/__init__.py" in imports("src/stages/generate.py")  # on the way to a module
    assert only_documented("src/models/__init__.py")
    assert not only_documented("src/models/backends/__init__.py")


def section_of(node: ast.AST) -> str | None:
    """The section that an expression `params.SECTION` stands for."""
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
    found = set()
    for function in ast.walk(tree(file)):
        if isinstance(function, ast.FunctionDef):
            bound = bindings(function)
            for node in ast.walk(function):
                if isinstance(node, ast.Attribute):
                    name = bound.get(node.value.id) if isinstance(node.value, ast.Name) else section_of(node.value)
                    found.add((str(name), node.attr))
    return found & KEYS


def code_of(stage: str) -> set[str]:
    """The files a stage imports and the modules it loads by name."""
    folders = (ROOT / path for path in needed(stage) if (ROOT / path).is_dir())
    loaded = {path.relative_to(ROOT).as_posix() for folder in folders for path in folder.glob("*.py")}
    return closure(main_file(stage)) | loaded


@pytest.mark.parametrize("stage", STAGES)
def test_every_parameter_declared_is_known_and_read(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    read = set().union(*(reads(file) for file in code_of(stage)))
    assert sorted(set(declared_params(stage)) - KEYS) == []
    assert sorted(set(declared_params(stage)) - read) == []
    assert len(set(declared_params(stage))) == len(declared_params(stage))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_itself_reads_no_other_parameter(stage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # modules that stages share read more: params.for_stage refuses that when a stage runs
    assert sorted(reads(main_file(stage)) - set(declared_params(stage))) == []


def test_every_parameter_is_read_by_some_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert sorted(KEYS.difference(*(declared_params(stage) for stage in STAGES))) == []


def outputs(stage: str, kind: str) -> dict[str, dict[str, Any]]:
    """A stage's `outs` or `metrics` with their options."""
    entries = STAGES[stage].get(kind, [])
    return {path: options for entry in entries for path, options in entry.items()}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_keeps_its_last_good_results(stage: str) -> None:
    assert len(STAGES[stage]["desc"]) > 20
    written = outputs(stage, "outs") | outputs(stage, "metrics")
    assert written
    assert all(options["persist"] for options in written.values())


@pytest.mark.parametrize("stage", STAGES)
def test_metrics_and_plots_are_committed_and_nothing_else_is(stage: str) -> None:
    written = outputs(stage, "outs") | outputs(stage, "metrics")
    committed = {path for path, options in written.items() if options.get("cache") is False}
    assert committed == {path for path in written if path.startswith(("metrics/", "plots/"))}
    assert set(outputs(stage, "metrics")) <= {f"metrics/{stage}.json"}


def test_stages_are_the_modules_of_their_folder() -> None:
    modules = {path.stem for path in (ROOT / "src/stages").glob("*.py")} - {"__init__", "runner"}
    assert set(STAGES) == modules
    assert all(main_file(stage) == f"src/stages/{stage}.py" for stage in STAGES)


def test_every_plot_and_artifact_is_written_by_a_stage() -> None:
    written = {path for stage in STAGES for path in outputs(stage, "outs")}
    shown = [path for plot in PIPELINE["plots"] for drawn in plot.values() for path in drawn["y"]]
    kept = [artifact["path"] for artifact in PIPELINE["artifacts"].values()]
    assert shown
    assert kept
    assert [path for path in [*shown, *kept] if not any(covers(out, path) for out in written)] == []


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git would commit, in a repository of their own; the outputs that DVC caches are not among them."""
    folder = tmp_path_factory.mktemp("copy")
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in (name for name in names if (ROOT / name).is_file()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    return folder


def modified(folder: Path) -> set[tuple[str, str]]:
    """Stages and what `dvc status` calls modified among their sources and parameters."""
    command = [sys.executable, "-m", "dvc", "status", "--json"]
    environment = os.environ | {"DVC_NO_ANALYTICS": "1", "DVC_SITE_CACHE_DIR": str(folder / ".dvc/site")}
    status = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert status.returncode == 0, status.stderr
    found = set()
    for stage, changes in json.loads(status.stdout).items():
        for change in changes:
            for path, state in change.get("changed deps", {}).items() if isinstance(change, dict) else ():
                keys = state.items() if isinstance(state, dict) else [(path, state)]
                found |= {(stage, key) for key, value in keys if value == "modified"}
    return found


def test_a_change_reruns_the_stages_that_it_concerns(copied: Path) -> None:
    before = modified(copied)
    with open(copied / "src/records/rules.py", "a", encoding="utf-8") as rules:
        rules.write("# a comment\n")
    text = (copied / "params.yaml").read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if line.startswith("  lr:")]
    (copied / "params.yaml").write_text(text.replace(line, "  lr: 0.123"), encoding="utf-8")
    after = modified(copied)
    assert after - before == {("clean", "src/records/rules.py"), ("train", "train.lr")}
