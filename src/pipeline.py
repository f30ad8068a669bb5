"""Writes into dvc.yaml which source files each stage depends on, found by following the imports from its module.

Covers the entries under `deps` that lie in src/; all else in dvc.yaml is written by hand. A file is an input of a stage
if it can change the stage's result. Modules that only check, refuse or word messages are not: see `is_inert`.

    python -m src.pipeline            # write the source files into dvc.yaml
    python -m src.pipeline --check    # exit status 1 if they are not up to date
"""

import argparse
import ast
import sys
from collections.abc import Iterator
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from src.errors import UserError
from src.files import atomic_file
from src.params import PIPELINE, read_yaml

# Every stage computes under the threads, seeds and instruction set that this module fixes.
ALWAYS = "src/numerics.py"

# They check the parameters, start the stage, word its errors and show how far it is. DVC tracks the parameters' values
# by itself.
INERT = frozenset(
    {
        "src/errors.py",
        "src/params.py",
        "src/progress.py",
        "src/stages/__init__.py",
        "src/stages/runner.py",
        "src/training/live.py",
        "src/training/machines.py",
    }
)
REFUSALS = "refusals.py"  # in any room: functions that only refuse or word messages

# What a service trains and answers follows from what it is sent, by which it is found again and not paid for twice; and
# no model that was trained here is to be trained again for this code.
HOSTED = "src/hosted/"

# What code finds by its place or its name instead of importing it: the file that does so, and what it opens or loads.
FOUND_BY_PATH = {
    "src/models/backends/__init__.py": "src/models/backends",
    "src/prompts/rendering.py": "src/prompts/templates",
    "src/scoring/overlap.py": "src/scoring/metrics",
    "src/scoring/report_page.py": "src/scoring/page",
}


def is_inert(file: str) -> bool:
    """Whether a change of a file cannot change what a stage writes."""
    return file in INERT or file.startswith(HOSTED) or Path(file).name == REFUSALS or only_documented(file)


def only_documented(file: str) -> bool:
    """Whether a file holds nothing but a docstring."""
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in syntax_tree(file).body)


@cache
def syntax_tree(file: str) -> ast.Module:
    """The parsed source of a file, relative to the project's root."""
    return ast.parse(Path(file).read_text(encoding="utf-8"))


def module_file(name: str) -> str | None:
    """The file of a module or package of this project by its dotted name, None for any other's."""
    path = name.replace(".", "/")
    return next((file for file in (f"{path}.py", f"{path}/__init__.py") if Path(file).is_file()), None)


def is_for_types(node: ast.AST) -> bool:
    """Whether a node is the body of `if TYPE_CHECKING:`, which never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def executed_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """A syntax tree's nodes, less those that are there for type checkers."""
    yield tree
    for child in ast.iter_child_nodes(tree):
        if not is_for_types(child):
            yield from executed_nodes(child)


def imported_names(file: str) -> set[str]:
    """Every dotted name that a file imports, at its top or in a function; what is imported from may be a module."""
    names: set[str] = set()
    for node in executed_nodes(syntax_tree(file)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update([str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)])
    return names


def with_packages(name: str) -> list[str]:
    """A dotted name and all packages around it, whose __init__.py Python runs as well."""
    parts = name.split(".")
    return [".".join(parts[: end + 1]) for end in range(len(parts))]


@cache
def imported_files(file: str) -> frozenset[str]:
    """The project's files that a file imports itself."""
    found = (module_file(package) for name in imported_names(file) for package in with_packages(name))
    return frozenset(path for path in found if path)


def found_modules(file: str) -> set[str]:
    """The modules that a file loads by their names, from a folder of FOUND_BY_PATH."""
    return {path.as_posix() for path in Path(FOUND_BY_PATH[file]).glob("*.py")} if file in FOUND_BY_PATH else set()


def reachable_files(main_file: str) -> set[str]:
    """The files that can change what a module computes: itself and everything that it imports, directly or not."""
    reached: set[str] = set()
    waiting = [main_file, ALWAYS]
    while waiting:
        file = waiting.pop()
        if file not in reached and not is_inert(file):
            reached.add(file)
            waiting += imported_files(file) | found_modules(file)
    return reached


def main_module(stage: dict[str, Any]) -> str:
    """The file of the module that a stage's command runs."""
    words = stage["cmd"].split()
    file = next((module_file(word) for word in words if word.startswith("src.")), None)
    if file is None:
        raise UserError(f"{PIPELINE}: the command {stage['cmd']!r} runs no module of src/: name one.")
    return file


def source_files(stage: dict[str, Any]) -> list[str]:
    """What a stage depends on in src/: files, and folders whose files are found by path, in alphabetical order."""
    files = reachable_files(main_module(stage))
    folders = {FOUND_BY_PATH[file] for file in files if file in FOUND_BY_PATH}
    return sorted({file for file in files if str(Path(file).parent) not in folders} | folders)


def is_source(dependency: str) -> bool:
    """Whether an entry of `deps` is a source file rather than data."""
    return dependency.startswith("src/")


def with_source_files(text: str) -> str:
    """The text of dvc.yaml with every stage's source files written again, after its other dependencies."""
    yaml = YAML()
    yaml.width = 120
    yaml.indent(mapping=2, sequence=4, offset=2)
    document = yaml.load(text)
    for entry in document["stages"].values():
        stage = entry.get("do", entry)
        # One by one, from the end: a new list would lose the comments beside the entries that stay.
        for position in reversed(range(len(stage["deps"]))):
            if is_source(stage["deps"][position]):
                del stage["deps"][position]
        stage["deps"].extend(source_files(stage))
    written = StringIO()
    yaml.dump(document, written)
    return written.getvalue()


def main() -> None:
    """Writes dvc.yaml, or compares it."""
    parser = argparse.ArgumentParser(prog="python -m src.pipeline", description="Writes source files into dvc.yaml.")
    parser.add_argument("--check", action="store_true", help="only compare")
    check = parser.parse_args().check
    try:
        read_yaml(PIPELINE)  # names its faults
        text = PIPELINE.read_text(encoding="utf-8")
        new = with_source_files(text)
    except UserError as error:
        sys.exit(str(error))
    if new == text:
        return
    if check:
        sys.exit(f"{PIPELINE} is not up to date with the imports in src/: run `make pipeline`.")
    with atomic_file(PIPELINE) as partial:
        partial.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
