"""format: every record of each side becomes a prompt and its completion, in the template chosen."""

from pathlib import Path

import polars as pl
import pytest

from src.files import read_jsonl
from src.params import FormatParams, Params
from src.stages import format as stage

SIDES = {"train": ["Lamp", "Kerr's {title}"], "validation": ["Bag"], "test": ["Hose"]}


def run(folder: Path, template: str) -> dict[str, list[dict]]:
    Path("data/split").mkdir(parents=True)
    for side, titles in SIDES.items():
        rows = {"uid": [f"{side}{n}" for n in range(len(titles))], "title": titles, "content": ["Good."] * len(titles)}
        pl.DataFrame(rows).write_parquet(f"data/split/{side}.parquet")
    chosen = FormatParams.model_construct(template=template, instruction="Describe it.", question="Title: {title}?")
    stage.main(Params.model_construct(format=chosen))
    return {side: read_jsonl(f"data/prompts/{side}.jsonl") for side in SIDES}


def test_chat_is_turns(project: Path) -> None:
    written = run(project, "chat")
    assert {side: len(rows) for side, rows in written.items()} == {"train": 2, "validation": 1, "test": 1}
    assert written["train"][1] == {
        "uid": "train1",
        "title": "Kerr's {title}",
        "prompt": [
            {"role": "system", "content": "Describe it."},
            {"role": "user", "content": "Title: Kerr's {title}?"},
        ],
        "completion": [{"role": "assistant", "content": "Good."}],
    }


@pytest.mark.parametrize("template", ["alpaca", "plain"])
def test_other_templates_are_text(project: Path, template: str) -> None:
    [row] = run(project, template)["test"]
    assert list(row) == ["uid", "title", "prompt", "completion"]
    assert "Title: Hose?" in row["prompt"]
    assert ("Describe it." in row["prompt"]) == (template == "alpaca")
    assert row["completion"] == "Good."


def test_rows_load_in_the_form_that_trl_calls_prompt_completion(project: Path) -> None:
    from datasets import Dataset

    run(project, "chat")
    loaded = Dataset.from_list(read_jsonl("data/prompts/train.jsonl"))
    assert loaded.num_rows == 2
    assert {"prompt", "completion"} <= set(loaded.column_names)
