"""src/synthetic can be deleted: nothing imports it except the benchmarks and tests."""

import ast
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"


def imported(file: Path) -> set[str]:
    """The modules that a file imports, at its top or in a function."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.update([str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)])
    return found


def test_nothing_else_imports_it() -> None:
    others = [file for file in SRC.rglob("*.py") if SRC / "synthetic" not in file.parents]
    assert others
    assert not [file for file in others if any(name.startswith("src.synthetic") for name in imported(file))]
