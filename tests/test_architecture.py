"""The project's structure: imports run one way and in no circle, functions are short, refusals only refuse."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from src import pipeline

ROOT = Path(__file__).parents[1]
SOURCES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("src/**/*.py"))
BENCHMARKS = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("benchmarks/**/*.py"))

# Which rooms each room imports, beside the modules at the top of src/. Stages import every room.
ROOMS: dict[str, set[str]] = {
    "records": set(),
    "cluster": {"records"},
    "prompts": set(),
    "scoring": set(),
    "models": {"prompts"},
    "training": {"prompts", "models"},
    "inference": {"prompts", "models", "scoring"},
    "export": {"prompts", "models", "inference", "scoring"},
    "serving": {"prompts", "models", "inference", "scoring", "export"},
    "hosted": {"prompts", "scoring", "inference", "training"},
    "review": {"scoring"},
    "certificate": {"training", "review"},
    "synthetic": {"records", "prompts", "models"},
}
HEAVY = {"torch", "transformers", "trl", "peft", "datasets", "unsloth", "bitsandbytes", "sklearn", "xllamacpp"}
HEAVY |= {"datatrove", "openai", "choix", "gradio", "fastapi", "uvicorn"}
LONGEST_FUNCTION, LONGEST_MAIN = 40, 60  # lines
ONLY_REFUSES = {
    "None",
    "str",
    "str | None",
    "list[str]",
    "tuple[str, str]",
    "NoReturn",
    "UserError",
    "Iterator[str]",
    "Iterator[None]",
}


@pytest.fixture(autouse=True)
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the project's root, from which paths are given."""
    monkeypatch.chdir(ROOT)


def room_of(file: str) -> str:
    """The folder below src/ that a file is in, "" for the modules at its top."""
    parts = Path(file).parts
    return parts[1] if len(parts) > 2 else ""


@cache
def functions(file: str) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(pipeline.syntax_tree(file)) if isinstance(node, ast.FunctionDef)]


def lines_of(function: ast.FunctionDef) -> int:
    """The lines of a function's body, its docstring left out."""
    first = function.body[1] if ast.get_docstring(function) and len(function.body) > 1 else function.body[0]
    return (function.end_lineno or 0) - first.lineno + 1


@pytest.mark.parametrize("file", SOURCES)
def test_imports_run_one_way(file: str) -> None:
    room, imported = room_of(file), {room_of(other) for other in pipeline.imported_files(file)} - {"", room_of(file)}
    allowed = set(ROOMS) - {"synthetic"} if room == "stages" else ROOMS.get(room, set())
    assert imported <= allowed
    if room == "stages":
        others = {other for other in pipeline.imported_files(file) if other.startswith("src/stages/")}
        assert others - {file} <= {"src/stages/__init__.py", "src/stages/runner.py"}


def test_imports_run_in_no_circle() -> None:
    graph = {file: {other for other in pipeline.imported_files(file) if other != file} for file in SOURCES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"circle: {' -> '.join(error.args[1])}")


def test_nothing_in_src_imports_the_benchmarks_or_the_documentation() -> None:
    imported = {name.split(".")[0] for file in SOURCES for name in pipeline.imported_names(file)}
    assert imported.isdisjoint({"benchmarks", "docs", "tests"})


@pytest.mark.parametrize("file", [*SOURCES, *BENCHMARKS])
def test_functions_are_short(file: str) -> None:
    limit = {"main": LONGEST_MAIN} if file.startswith("src/stages/") else {}
    long = [one for one in functions(file) if lines_of(one) > limit.get(one.name, LONGEST_FUNCTION)]
    assert [(one.name, lines_of(one)) for one in long] == []


@pytest.mark.parametrize("file", [file for file in SOURCES if Path(file).name == pipeline.REFUSALS])
def test_refusals_only_refuse(file: str) -> None:
    """They are not inputs of stages, so what they return must not get into a result."""
    returned = {one.name: ast.unparse(one.returns) if one.returns else "nothing declared" for one in functions(file)}
    assert {name: kind for name, kind in returned.items() if kind not in ONLY_REFUSES} == {}


@pytest.mark.parametrize("file", SOURCES)
def test_modules_and_functions_are_documented(file: str) -> None:
    assert ast.get_docstring(pipeline.syntax_tree(file))
    public = [one for one in functions(file) if not one.name.startswith("_")]
    nested = {inner for one in public for inner in ast.walk(one) if isinstance(inner, ast.FunctionDef) and inner != one}
    assert [one.name for one in public if one not in nested and not ast.get_docstring(one)] == []
