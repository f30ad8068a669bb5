"""README's tables and results are those of the project."""

from pathlib import Path

import pytest

from docs import build

ROOT = Path(__file__).parents[1]


def test_readme_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    text = build.README.read_text(encoding="utf-8")
    assert build.fill_blocks(text) == text, "run `make readme`"


def test_blocks_hold_every_stage_and_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert all(f"`{stage}`" in build.stages_table() for stage in ("decompress", "generate", "export"))
    assert "| `train.lr` |" in build.parameters_table()
    values = build.read_yaml(build.PARAMS).values()
    assert build.parameters_table().count("\n") == sum(map(len, values)) + 1
