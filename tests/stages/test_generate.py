"""The stages that answer, as processes: killed, they go on where they were and write the same bytes."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.files import read_jsonl, write_jsonl
from src.params import params_for_stage
from src.scoring.generations import read_generations
from src.scoring.pairing import check_paired
from src.stages import generate_few_shot
from src.synthetic.catalogue import generate_products
from tests.faults.table import set_param

ROOT = Path(__file__).parents[2]
RECORDS, BATCH = 12, 2
GENERATE = ("generate", "base")
SETTINGS = {"generate.batch_size": BATCH, "generate.max_new_tokens": 150, "train.four_bit": "false"}


@pytest.fixture
def prompted(project: Path, base_folder: Path, record: Callable[..., Any]) -> Path:
    """A project with a base model and prompts."""
    Path("src").symlink_to(ROOT / "src")  # which kept answers are named after
    Path("models").mkdir()
    Path("models/base").symlink_to(base_folder)
    products = enumerate(generate_products(seed=3, count=2 * RECORDS))
    records = [{"uid": f"B{at}"} | record("chat", one.title, one.content[:80]) for at, one in products]
    for split, part in {"train": records[:RECORDS], "test": records[RECORDS:]}.items():
        write_jsonl(f"data/prompts/{split}.jsonl", part)
    for name, value in SETTINGS.items():
        set_param(name, str(value))
    return project


def start(*stage: str) -> subprocess.Popen[str]:
    """A stage as a process of its own."""
    command = [sys.executable, "-m", f"src.stages.{stage[0]}", *stage[1:]]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(*stage: str) -> str:
    """What a stage prints that runs to its end."""
    process = start(*stage)
    output, _ = process.communicate()
    assert process.returncode == 0, output
    return output


def kept_lines() -> list[bytes]:
    """The lines of all answers that are kept."""
    return [line for path in Path(".answers").rglob("*.jsonl") for line in path.read_bytes().splitlines() if line]


def kill_between_answers(*stage: str) -> None:
    """Starts a stage and kills it, as `kill -9` does, once it has kept some answers."""
    process = start(*stage)
    while process.poll() is None and len(kept_lines()) < 2 * BATCH:
        time.sleep(0.01)
    process.kill()
    process.communicate()


def test_a_killed_stage_goes_on_and_writes_the_same_bytes(prompted: Path) -> None:
    finish(*GENERATE)
    result = Path("data/generations/base.jsonl")
    expected = result.read_bytes()
    assert not Path(".answers").exists()
    result.unlink()
    kill_between_answers(*GENERATE)
    assert not result.exists()
    kept = len(kept_lines())
    assert 2 * BATCH <= kept < RECORDS
    [path] = Path(".answers").rglob("*.jsonl")
    path.write_bytes(path.read_bytes()[:-5])  # killed while it was writing
    output = finish(*GENERATE)
    assert f"Goes on after {kept - 1} answers" in output
    assert result.read_bytes() == expected
    assert not Path(".answers").exists()


def test_another_parameter_starts_anew_and_leaves_what_is_kept(prompted: Path) -> None:
    kill_between_answers(*GENERATE)
    kept = kept_lines()
    set_param("generate.max_new_tokens", "3")
    assert "Goes on" not in finish(*GENERATE)
    assert kept_lines() == kept


def test_few_shot_answers_pair_with_the_base_s_in_records_and_tokens(prompted: Path) -> None:
    set_param("generate.max_new_tokens", "3")
    finish(*GENERATE)
    told = finish("generate_few_shot")
    assert "after 2 examples of" in told and not Path(".answers").exists()
    generations = {name: read_generations(f"data/generations/{name}.jsonl") for name in ("base", "few_shot")}
    check_paired(generations)
    base, few_shot = generations.values()
    assert {more.prompt_tokens - less.prompt_tokens for less, more in zip(base, few_shot, strict=True)} == {
        few_shot[0].prompt_tokens - base[0].prompt_tokens
    }
    assert all(more.prompt_tokens > less.prompt_tokens for less, more in zip(base, few_shot, strict=True))
    assert [row.loss for row in base] != [row.loss for row in few_shot]
    shown = [one["title"] for one in read_jsonl("data/prompts/train.jsonl") if one["title"] in few_shot[0].prompt]
    assert len(shown) == 2


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "generate.max_new_tokens",
            "2000",
            "tokens, and with generate.max_new_tokens .2000. more than the 2048 positions",
        ),
        ("generate.few_shot", "100", "generate.few_shot is 100, and 12 training records are no longer than"),
    ],
)
def test_what_the_model_cannot_take_is_refused_before_it_is_loaded(
    prompted: Path, name: str, value: str, sentence: str
) -> None:
    set_param(name, value)
    with pytest.raises(UserError, match=sentence):
        generate_few_shot.main(params_for_stage("generate_few_shot"))
