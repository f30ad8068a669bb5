"""make ask: a title reaches the command as it was typed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STUB = "import sys\nprint(sys.argv[1:])\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The Makefile, an environment that needs no installing, and a command that prints its arguments."""
    shutil.copy(ROOT / "Makefile", tmp_path)
    for name in ("requirements.txt", "requirements-gpu.txt"):
        (tmp_path / name).touch()
    (tmp_path / "src/serving").mkdir(parents=True)
    (tmp_path / "src/serving/ask.py").write_text(STUB)
    (tmp_path / ".venv").mkdir()
    for name in ("requirements.txt", "requirements-gpu.txt"):
        (tmp_path / f".venv/.installed-{name}").touch()
    return tmp_path


def asked(folder: Path, *words: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    made = subprocess.run(["make", "ask", *words], cwd=folder, env=environment, capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.mark.parametrize(
    "title", ["Oak Desk Lamp, 30 cm", "It's a 19\" $10 $(shell id) `id` \\ 100% #1 Lamp; é", "-x", ""]
)
def test_a_title_is_passed_on_as_it_was_typed(folder: Path, title: str) -> None:
    assert asked(folder, f"TITLE={title}") == f"{['--', title]}\n"
