"""README's tables and results are those of the project."""

from pathlib import Path

import pytest

from src import readme

ROOT = Path(__file__).parents[1]


def test_readme_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = readme.README.read_text(encoding="utf-8")
    assert readme.filled(text) == text, "run `make readme`"


def test_blocks_hold_every_stage_and_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert all(f"`{stage}`" in readme.stages() for stage in ("decompress", "generate", "export"))
    assert "| `train.lr` |" in readme.parameters()
    values = readme.read_yaml(readme.PARAMS).values()
    assert readme.parameters().count("\n") == sum(map(len, values)) + 1
