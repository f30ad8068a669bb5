"""The benchmark of the tiny model's training: what it needs and prints. The trainers run in test_gpu.py."""

from pathlib import Path

import pytest

from benchmarks import tiny_training
from src.errors import UserError


def test_it_names_what_it_needs_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    with pytest.raises(UserError, match=r"data/prompts is missing: run `dvc repro audit` first"):
        tiny_training.copy_project(tmp_path / "bench")


def test_the_table_compares_trained_tokens() -> None:
    rates = {"tokens_per_second": 5000.0, "records_per_second": 40.0, "padding_share": 0.02, "seconds": 20.0}
    results = {
        "machine": {"cores": 2, "processor": "some processor"},
        "stage": {
            "training_seconds": 88.7, "tokens_per_second": 5800, "samples_per_second": 47.5, "wall_s": 97.2,
            "peak_mb": 900,
        },
        "ours": rates | {"trained_tokens_per_second": 3000.0},
        "plain": rates | {"trained_tokens_per_second": 1000.0},
    }  # fmt: skip
    text = tiny_training.render_table(results)
    assert "trained for 88.7 s" in text and "3.0 times the trained tokens" in text
    assert "| trl, peft and bitsandbytes, padded | 5,000 | 1,000 | 40 | 2% |" in text
