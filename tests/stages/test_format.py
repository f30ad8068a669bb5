"""format: every record of a split becomes a prompt and its completion, in the template chosen; OpenAI's on demand."""

from pathlib import Path
from typing import get_args

import polars as pl
import pytest

from src.files import read_jsonl
from src.params import FormatParams, Params, TemplateName
from src.records import parquet
from src.stages import format as stage

TITLES = {"train": ["Lamp", "Kerr's {title}", 'Tea\u2028pot "9" \\ é'], "validation": ["Bag"], "test": ["Hose"]}
TURNS = [{"role": "system", "content": "Describe it."}, {"role": "user", "content": "Title: Kerr's {title}?"}]
ANSWER = [{"role": "assistant", "content": "Good."}]


@pytest.fixture(autouse=True)
def folder(project: Path) -> None:
    Path("data/split").mkdir(parents=True)
    for split, titles in TITLES.items():
        rows = {"uid": [f"{split}{n}" for n in range(len(titles))], "title": titles, "content": ["Good."] * len(titles)}
        pl.DataFrame(rows).with_columns(topic=pl.lit("1: all")).write_parquet(f"data/split/{split}.parquet")


def run(template: str = "chat", openai: bool = False, folder: str = "data/prompts") -> dict[str, list[dict]]:
    chosen = {"template": template, "instruction": "Describe it.", "question": "Title: {title}?", "openai": openai}
    stage.main(Params.model_construct(format=FormatParams.model_validate(chosen)))
    return {split: read_jsonl(f"{folder}/{split}.jsonl") for split in TITLES}


def test_chat_is_turns() -> None:
    written = run("chat")
    assert {split: len(rows) for split, rows in written.items()} == {"train": 3, "validation": 1, "test": 1}
    assert written["train"][1] == {"uid": "train1", "title": "Kerr's {title}", "prompt": TURNS, "completion": ANSWER}


@pytest.mark.parametrize("template", ["alpaca", "plain"])
def test_other_templates_are_text(template: str) -> None:
    [row] = run(template)["test"]
    assert list(row) == ["uid", "title", "prompt", "completion"]
    assert "Title: Hose?" in row["prompt"]
    assert ("Describe it." in row["prompt"]) == (template == "alpaca")
    assert row["completion"] == "Good."


def test_batches_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run()
    monkeypatch.setattr(parquet, "BATCH_ROWS", 2)
    assert run() == whole
    assert [row["title"] for row in whole["train"]] == TITLES["train"]


@pytest.mark.parametrize("template", get_args(TemplateName))
def test_openai_gets_the_turns_and_nothing_else_in_any_template(template: str) -> None:
    written = run(template, openai=True, folder="data/prompts/openai")
    assert [len(rows) for rows in written.values()] == [3, 1, 1]
    assert written["train"][1] == {"messages": TURNS + ANSWER}
    assert all(list(row) == ["messages"] for rows in written.values() for row in rows)


def test_openai_has_no_folder_unless_asked() -> None:
    run(openai=True)
    run(openai=False)
    assert sorted(path.name for path in stage.PROMPTS.iterdir()) == ["test.jsonl", "train.jsonl", "validation.jsonl"]


@pytest.mark.parametrize("template", ["chat", "plain"])
def test_datasets_loads_every_file_as_it_is(template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    for folder, columns in (
        ("data/prompts", {"uid", "title", "prompt", "completion"}),
        ("data/prompts/openai", {"messages"}),
    ):
        written = run(template, openai=True, folder=folder)
        files = {split: f"{folder}/{split}.jsonl" for split in TITLES}
        loaded = datasets.load_dataset("json", data_files=files, cache_dir=str(tmp_path / "cache"))
        for split, rows in written.items():
            assert set(loaded[split].column_names) == columns
            assert loaded[split].to_list() == rows
