"""Settings that are valid by themselves and impossible with this data, this model or this machine."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.faults.table import Fault, contents, each_fault, refusal, set_param

OUTPUTS = ("data", "metrics", "models")
ENDPOINT = '{name: other, address: "http://localhost:1/v1", model: m, key_variable: NO_SUCH_KEY}'
LAUNCHER = "accelerate launch --num_processes 2 -m"
needs_no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="is possible on a GPU")


def settings(**values: str) -> Callable[[], object]:
    """Sets parameters, written section__key."""

    def breaks() -> None:
        for name, value in values.items():
            set_param(name.replace("__", "."), value)

    return breaks


def remove_adapter() -> None:
    """As before the first training."""
    shutil.rmtree("models/adapter")


def answer_other_titles() -> None:
    """Lets the tuned model answer another record than the base model."""
    path = Path("data/generations/tuned.jsonl")
    text = path.read_text().replace('"uid": "1"', '"uid": "2"')
    path.unlink()
    path.write_text(text)


TABLE = [
    ("decompress", settings(data__min_content_chars="100000"), "records of raw.json is left with data.min_title_chars"),
    ("decompress", settings(data__min_title_chars="100000"), "records of raw.json is left with data.min_title_chars"),
    ("clean", settings(data__min_content_chars="100000"), "data/records.parquet: no record is left ("),
    ("sample", settings(sample__records="100000"), "sample.records is 100000, and data/clean.parquet has"),
    ("sample", settings(sample__pool="100000"), "sample.pool is 100000, and data/clean.parquet has"),
    ("sample", settings(sample__parts="100000"), "sample.parts is 100000, and data/clean.parquet has"),
    ("sample", settings(sample__part="2"), "sample.part is 2 of sample.parts 1: set it to 1 or less"),
    ("sample", settings(sample__pool="5"), "sample.pool is 5, fewer than sample.records 300: raise it"),
    ("sample", settings(sample__validation_share="0.0000001"), "is in the validation split (sample.validation_share"),
    ("sample", settings(sample__test_share="0.0000001"), "is in the test split (sample.test_share is 1e-07): raise"),
    ("base", settings(base__folder="no/such"), "base.folder is 'no/such', which is not a folder: set it to the folder"),
    ("base", settings(base__folder="data"), "the base model lacks config.json, tokenizer.json, *.safetensors"),
    ("base", settings(base__source="hub", base__revision="main"), "base.revision is 'main', which can change"),
    ("base", settings(base__source="hub", base__repository="name"), "base.repository is 'name': write it as owner"),
    ("audit", settings(train__max_length="16"), "the prompt alone fills train.max_length (16 tokens): raise it above"),
    ("audit", settings(train__max_length="2049"), "is 2049, and the base model has 2048 positions: set train.max_len"),
    ("audit", settings(train__rounds="1000"), "train.rounds is 1000, and there are"),
    ("audit", settings(train__max_length="64", audit__max_truncated_share="0"), "audit.max_truncated_share (0.00%)"),
    ("train", settings(train__launcher=LAUNCHER), "and there are 1 processes: start training by `dvc repro`"),
    (
        "train",
        settings(train__max_steps="3"),
        "data/training_plan.json plans 10 steps, and the prompts make 3: run the",
    ),
    ("generate tuned", remove_adapter, "models/adapter is missing: run `dvc repro`, which makes it."),
    (
        "generate_few_shot",
        settings(generate__few_shot="100"),
        "than the 2048 positions of the base model: lower",
    ),
    (
        "generate_few_shot",
        settings(train__max_length="16"),
        "and 0 training records are no longer than train.max",
    ),
    ("generate_exports", settings(), "models/export/adapter is missing: run `dvc repro`, which makes it."),
    ("generate_endpoints", settings(evaluate__endpoints=f"[{ENDPOINT}]"), "variable NO_SUCH_KEY, which is not set"),
    ("judge", settings(evaluate__endpoints=f"[{ENDPOINT}]", evaluate__judge="other"), "NO_SUCH_KEY, which is not set"),
    ("judge", settings(evaluate__judge="other"), "evaluate.judge is 'other', and evaluate.endpoints has no such name"),
    ("judge", settings(evaluate__endpoints=f"[{ENDPOINT}, {ENDPOINT}]"), "1.name is 'other', which another system has"),
    ("export", remove_adapter, "models/adapter is missing: run `dvc repro`, which makes it."),
    ("evaluate", answer_other_titles, "Line 1 of the generations: uid is '1' for base and '2' for tuned"),
    (
        "evaluate",
        settings(evaluate__bertscore="no/such"),
        "evaluate.bertscore is 'no/such', and no model can be",
    ),
    (
        "evaluate",
        settings(evaluate__bertscore="data"),
        "(there is no config.json): set it to a folder with config",
    ),
    ("clean", settings(format__question="What?"), "format.question is 'What?' and has to hold {title} once"),
    ("clean", settings(sample__test_share="0.5", sample__validation_share="0.4"), "add up to 0.9: leave some."),
]
ON_A_CPU = [
    ("train", settings(train__backend="unsloth"), "train.backend is 'unsloth', which needs an NVIDIA GPU"),
    ("train", settings(train__compile="true"), "train.compile is true, which needs an NVIDIA GPU"),
    *(
        ("train", settings(train__attention=kernel), f"train.attention is '{kernel}', which trains on an NVIDIA GPU")
        for kernel in ("varlen", "flash_attention_2", "flex_attention")
    ),
]


def rows(table: list[tuple[str, Callable[[], object], str]]) -> list[Fault]:
    """The faults of a table, each named by its stage and place."""
    return [Fault(f"{stage} {number}", breaks, said) for number, (stage, breaks, said) in enumerate(table)]


def check(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Breaks a project and runs the stage."""
    fault.breaks()
    before = contents(*OUTPUTS)
    stage, *variant = fault.name.split()[:-1]
    assert fault.sentence in refusal(stage, monkeypatch, *variant)
    assert contents(*OUTPUTS) == before


@each_fault(rows(TABLE))
def test_impossible_settings_are_one_sentence(fault: Fault, damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(fault, monkeypatch)


@needs_no_gpu
@each_fault(rows(ON_A_CPU))
def test_what_needs_a_gpu_is_one_sentence(fault: Fault, damaged: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check(fault, monkeypatch)
