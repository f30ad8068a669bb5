"""The code is formatted, free of lint and correctly typed."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


FOLDERS = ["src", "benchmarks", "docs", "tests"]


@pytest.mark.parametrize(
    "tool",
    [["ruff", "check", *FOLDERS], ["ruff", "format", "--check", *FOLDERS], ["mypy"]],
    ids=["lint", "format", "types"],
)
def test_the_code_passes(tool: list[str]) -> None:
    checked = subprocess.run([sys.executable, "-m", *tool], cwd=ROOT, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
