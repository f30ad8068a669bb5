"""format: every record of a split becomes a prompt and its completion, in the template chosen; OpenAI's on demand."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from src.files import read_jsonl
from src.params import CleanParams, FormatParams, Params, TemplateName
from src.prompts.rendering import KNOWN_PRODUCTS, record_turns
from src.records import parquet
from src.serving.context import ENOUGH
from src.serving.search import similarity
from src.serving.trigrams import fold_title
from src.stages import format as stage
from src.synthetic.catalogue import generate_products

TITLES = {"train": ["Lamp", "Kerr's {title}", 'Tea\u2028pot "9" \\ é'], "validation": ["Bag"], "test": ["Hose"]}
TURNS = [{"role": "system", "content": "Describe it."}, {"role": "user", "content": "Title: Kerr's {title}?"}]
ANSWER = [{"role": "assistant", "content": "Good."}]


@pytest.fixture(autouse=True)
def folder(project: Path) -> None:
    Path("data/split").mkdir(parents=True)
    for split, titles in TITLES.items():
        rows = {"uid": [f"{split}{n}" for n in range(len(titles))], "title": titles, "content": ["Good."] * len(titles)}
        pl.DataFrame(rows).with_columns(topic=pl.lit("1: all")).write_parquet(f"data/split/{split}.parquet")


def run(
    template: str = "chat", openai: bool = False, folder: str = "data/prompts", records: int = 0, chars: int = 100
) -> dict[str, list[dict]]:
    """The rows written; with `records` their prompts have a context."""
    asked = {"template": template, "instruction": "Describe it.", "question": "Title: {title}?", "openai": openai}
    context = {"context": "retrieved" if records else "none", "context_records": records or 1, "context_chars": chars}
    form, clean = FormatParams.model_validate(asked | context), CleanParams.model_construct(near_threshold=0.8)
    stage.main(Params.model_construct(format=form, clean=clean))
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


def write_splits(splits: dict[str, Sequence[tuple[str, str]]]) -> None:
    """Titles and contents as the splits; a record's uid is its split and number."""
    for split, pairs in splits.items():
        rows = [(f"{split}{number}", *pair, "1: all") for number, pair in enumerate(pairs)]
        schema = dict.fromkeys(["uid", "title", "content", "topic"], pl.String())
        pl.DataFrame(rows, schema, orient="row").write_parquet(f"data/split/{split}.parquet")


def letters(text: str) -> str:
    return re.sub(r"\W", "", text).lower()


# Few words, so that titles and contents are often equal but for case and signs, and near.
TITLE = st.lists(st.sampled_from(["Brass", "brass,", "Desk", "Lamp", "LAMP!", "9"]), min_size=1, max_size=4)
CONTENT = st.lists(st.sampled_from(["green", "Green.", "oak"]), min_size=1, max_size=2)
PAIRS = st.lists(st.tuples(TITLE.map(" ".join), CONTENT.map(" ".join)), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(train=PAIRS, test=PAIRS, records=st.integers(1, 3))
def test_no_prompt_shows_its_own_record_or_one_of_its_group(
    train: list[tuple[str, str]], test: list[tuple[str, str]], records: int
) -> None:
    """Of the other splits none is in the training records: the split sees to that, and here it is done by hand."""
    titles, contents = ({letters(pair[n]) for pair in train} for n in range(2))
    held_out = [pair for pair in test if letters(pair[0]) not in titles and letters(pair[1]) not in contents]
    write_splits({"train": train, "validation": held_out, "test": held_out})
    written, known = run(records=records), {f"{title}: {content}": (title, content) for title, content in train}
    for split, pairs in {"train": train, "validation": held_out, "test": held_out}.items():
        for row, (title, content) in zip(written[split], pairs, strict=True):
            assert len(row["context"]) <= records
            for entry in row["context"]:
                other_title, other_content = known[entry]  # a training record's
                assert letters(other_title) != letters(title) and letters(other_content) != letters(content)
                assert similarity(fold_title(title), fold_title(other_title)) >= ENOUGH - 0.1


@pytest.mark.parametrize("template", get_args(TemplateName))
def test_retrieved_records_are_in_the_prompt_and_beside_it(template: str) -> None:
    products = generate_products(seed=7, count=120)
    pairs = [(product.title, product.content) for product in products]
    write_splits({"train": pairs[:100], "validation": pairs[100:110], "test": pairs[110:]})
    written, turns = run(template, True, records=2, chars=80), run(template, True, "data/prompts/openai", 2, 80)
    shown = [row for rows in written.values() for row in rows if row["context"]]
    assert len(shown) > 60
    for split, rows in written.items():
        for row, openai in zip(rows, turns[split], strict=True):
            prompt = row["prompt"] if isinstance(row["prompt"], str) else row["prompt"][-1]["content"]
            assert list(row) == ["uid", "title", "context", "prompt", "completion"]
            assert all(f"\n- {entry}\n" in prompt and len(entry) <= 80 for entry in row["context"])
            assert (KNOWN_PRODUCTS in prompt) == bool(row["context"])
            assert openai["messages"][:-1] == record_turns("Describe it.", "Title: {title}?", row)


def test_where_no_title_is_near_prompts_are_those_without_context() -> None:
    plain = run()
    bare = run(records=2)
    assert [row.pop("context") for rows in bare.values() for row in rows] == [[]] * 5
    assert bare == plain
    assert sorted(path.name for path in stage.PROMPTS.iterdir()) == ["test.jsonl", "train.jsonl", "validation.jsonl"]


def test_long_titles_and_descriptions_are_cut_off() -> None:
    """Beyond what a search reads of a query, too."""
    title, content = "Lamp " * 800, "brass " * 5_000
    write_splits({"train": [(f"{title}{n}", f"{n} {content}") for n in "ab"], "validation": [], "test": [(title, "x")]})
    written = run(records=2, chars=100)
    assert [len(row["context"]) for rows in written.values() for row in rows] == [1, 1, 2]
    assert {entry for rows in written.values() for row in rows for entry in row["context"]} == {"Lamp " * 18 + "Lamp…"}


def test_a_title_of_very_many_records_has_no_context(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [("Untitled", f"Thing {number} of its own") for number in range(5)] + [("Untitled One", "Another thing")]
    write_splits({"train": pairs, "validation": [], "test": [("Untitled Two", "A last thing")]})
    assert all(row["context"] for row in run(records=1)["train"])
    monkeypatch.setattr(stage, "MOST_TIED", 5)
    written = run(records=1)
    assert [bool(row["context"]) for row in written["train"]] == [False] * 5 + [True]
    assert written["test"][0]["context"]
