"""audit: what is written about the prompts, that a refusal leaves the last good result, and what --show prints."""

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.files import read_json, write_jsonl
from src.params import AuditParams, Params, TrainParams
from src.stages import audit
from src.training import memory as memory_estimate
from tests.conftest import FORMAT

ROOT = Path(__file__).parents[2]
PLAN = Path("data/training_plan.json")


@pytest.fixture
def prompts(project: Path, base_folder: Path, record: Any) -> Path:
    """Prompts of all three splits and the tiny base in place."""
    Path("models").mkdir()
    Path("models/base").symlink_to(base_folder)
    answers = ["Brass.", "Canvas, red.", "A hose for the garden."]
    write_jsonl("data/prompts/train.jsonl", [record("chat", "Lamp", answer) for answer in answers])
    for split in ("validation", "test"):
        write_jsonl(f"data/prompts/{split}.jsonl", [record("chat", "Hose", "Green.")])
    return project


@pytest.fixture
def params(prompts: Path, train_params: TrainParams) -> Params:
    """Parameters that fit the prompts."""
    return Params.model_construct(
        audit=AuditParams(max_truncated_share=0.0),
        format=FORMAT,
        train=train_params,
    )


def test_what_the_trainer_will_see_is_written(params: Params) -> None:
    outcome = audit.main(params)
    metrics = read_json("data/reports/audit.json")
    assert (metrics["records"], metrics["truncated_share"]) == (3, 0.0)
    assert metrics["memory_total_gb"] > 0
    header, *bars = Path("data/tables/audit/lengths.tsv").read_text().splitlines()
    assert header == "tokens\trecords\tkept"
    assert sum(int(bar.split("\t")[1]) for bar in bars) == 3
    assert Path("data/tables/audit/tokens.tsv").read_text().startswith("rows\ttokens\tshare\npacked\ttrained\t0.")
    assert outcome.line.startswith("3 records in 2 rows, 2 steps; ")


def test_the_plan_holds_what_train_needs_and_no_estimate(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    audit.main(params)
    plan, memory = PLAN.read_bytes(), read_json("data/reports/audit.json")["memory_total_gb"]
    report = read_json("data/reports/audit.json")
    memory_gb = {"none": 1, "alternate": 1, "all": 1}
    assert read_json(PLAN) == {"steps": report["predicted_steps"], "optimizer": "adamw_torch", "memory_gb": memory_gb}
    monkeypatch.setattr(memory_estimate, "BITS_32", 8)  # another formula
    audit.main(params)
    assert read_json("data/reports/audit.json")["memory_total_gb"] != memory
    assert PLAN.read_bytes() == plan


def test_the_memory_is_that_of_the_rows(params: Params) -> None:
    audit.main(params)
    packed = read_json("data/reports/audit.json")
    audit.main(params.model_copy(update={"train": params.train.model_copy(update={"packing": False})}))
    single = read_json("data/reports/audit.json")
    assert packed["row_tokens_max"] > single["row_tokens_max"] == single["tokens_max"]
    assert packed["memory_logits_gb"] > single["memory_logits_gb"] > 0


def test_the_steps_are_those_of_all_rounds_and_of_the_processes_asked_for(params: Params) -> None:
    def predicted(**changed: Any) -> int:
        values = {"packing": False, "batch_size": 1, "accumulation": 1, "epochs": 1.0} | changed
        audit.main(params.model_copy(update={"train": params.train.model_copy(update=values)}))
        return read_json("data/reports/audit.json")["predicted_steps"]

    assert predicted() == 3
    assert predicted(launcher="accelerate launch --num_processes 2 -m") == 2
    assert predicted(batch_size=2, rounds=3) == 3


def test_rows_may_be_as_long_as_the_model_has_positions_and_no_longer(params: Params) -> None:
    positions = read_json("models/base/config.json")["max_position_embeddings"]
    audit.main(params.model_copy(update={"train": params.train.model_copy(update={"max_length": positions})}))
    longer = params.train.model_copy(update={"max_length": positions + 1})
    with pytest.raises(UserError, match=rf"max_length is {positions + 1}, and the base model has {positions} pos"):
        audit.main(params.model_copy(update={"train": longer}))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_refusal_leaves_the_last_good_result(params: Params, record: Any, split: str) -> None:
    audit.main(params)
    written = {
        path: path.read_bytes() for folder in ("data/reports", "data/tables") for path in Path(folder).rglob("*.*")
    }
    written[PLAN] = PLAN.read_bytes()
    write_jsonl(f"data/prompts/{split}.jsonl", [record("chat", "Lamp", "")])
    with pytest.raises(UserError, match=rf"^data/prompts/{split}\.jsonl:1: the completion is empty"):
        audit.main(params)
    assert {path: path.read_bytes() for path in written} == written


def show(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the stage as a process in `folder`."""
    return subprocess.run(
        [sys.executable, "-m", "src.stages.audit", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
    )


def test_show_prints_examples_and_is_no_run_of_the_stage(prompts: Path) -> None:
    before = sorted(prompts.rglob("*"))
    shown = show(prompts, "--show", "2")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert sorted(prompts.rglob("*")) == before
    assert shown.stdout.startswith(
        "[[trained]], masked, ((truncated)); special tokens as <|text|>\n\ndata/prompts/train."
    )
    assert "[[Brass.]][[<|eot_id|>]]" in shown.stdout
    assert "[[A hose for the garden.]]" in shown.stdout
    assert "Canvas" not in shown.stdout


@pytest.mark.parametrize("count", ["0", "-1", "all"])
def test_show_wants_a_number_of_examples(prompts: Path, count: str) -> None:
    refused = show(prompts, f"--show={count}")
    assert refused.returncode == 2
    assert "is not a whole number of 1 or more" in refused.stderr


def read_all(terminal: int) -> bytes:
    """What was written to a pseudo-terminal whose other end is closed; Linux ends it with an error."""
    found = b""
    with suppress(OSError):
        while chunk := os.read(terminal, 4096):
            found += chunk
    os.close(terminal)
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="has no pseudo-terminals")
@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colours_are_for_terminals_that_want_them(
    params: Params, monkeypatch: pytest.MonkeyPatch, no_color: str, coloured: bool
) -> None:
    import pty

    monkeypatch.setenv("NO_COLOR", no_color)
    reader, writer = pty.openpty()
    with open(writer, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        audit.show_examples(params, 1)
    shown = read_all(reader).decode()
    assert ("\x1b[32mCanvas, red.\x1b[0m" in shown) == coloured
    assert ("[[Canvas, red.]]" in shown) != coloured
