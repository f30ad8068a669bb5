"""audit: what is written about the training prompts, and that a refusal ends the stage."""

from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.files import read_json, write_jsonl
from src.params import AuditParams, FormatParams, Params, TrainParams
from src.stages import audit


@pytest.fixture
def params(project: Path, base_folder: Path, record: Any, train_params: TrainParams) -> Params:
    """Three prompts and the tiny base in place, and parameters that fit them."""
    Path("models").mkdir()
    Path("models/base").symlink_to(base_folder)
    answers = ["Brass.", "Canvas, red.", "A hose for the garden."]
    write_jsonl("data/prompts/train.jsonl", [record("chat", "Lamp", answer) for answer in answers])
    return Params.model_construct(
        audit=AuditParams(max_truncated_share=0.0),
        format=FormatParams.model_construct(template="chat"),
        train=train_params,
    )


def test_what_the_trainer_will_see_is_written(params: Params, capsys: pytest.CaptureFixture[str]) -> None:
    audit.main(params)
    metrics = read_json("metrics/audit.json")
    assert (metrics["records"], metrics["truncated_share"], metrics["one_begin_token_share"]) == (3, 0.0, 1.0)
    header, *bars = Path("plots/audit/lengths.tsv").read_text().splitlines()
    assert header == "tokens\trecords"
    assert sum(int(bar.split("\t")[1]) for bar in bars) == 3
    assert capsys.readouterr().out.startswith("3 records in ")


def test_a_refusal_ends_the_stage(params: Params) -> None:
    short = params.train.model_copy(update={"max_length": 20})
    with pytest.raises(UserError, match=r"100\.0% of the records are longer than train\.max_length \(20 tokens\)"):
        audit.main(params.model_copy(update={"train": short}))
