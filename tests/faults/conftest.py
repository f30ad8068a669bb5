"""A project whose data stages have run, to be damaged."""

import gzip
import os
import shutil
from pathlib import Path

import pytest

from src.files import write_json
from src.models.base_note import describe_base
from src.scoring.judgements import Judgements, write_judgements
from tests.faults.table import run_command, set_param
from tests.training.plans import training_plan

ROOT = Path(__file__).parents[2]
DATA_STAGES = ("decompress", "clean", "sample", "format")
LINES = 1_000
ANSWER = (
    '{"uid": "1", "title": "Lamp", "prompt": "Lamp", "answer": "Oak.", "reference": "Oak lamp.", '
    '"finish_reason": "stop", "prompt_tokens": 1, "tokens": 2, "loss": 1.5, "loss_tokens": 3}'
)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, base_folder: Path) -> Path:
    """A project whose data stages have run on few lines, with a base model."""
    folder, before = tmp_path_factory.mktemp("finished"), Path.cwd()
    (folder / "recipes").mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    raw = gzip.decompress((ROOT / "data/sample/trn.json.gz").read_bytes()).splitlines(keepends=True)
    (folder / "raw.json").write_bytes(b"".join(raw[:LINES]))
    shutil.copytree(ROOT / "data/sample", folder / "data/sample")
    shutil.copytree(base_folder, folder / "models/base", copy_function=os.link)
    os.chdir(folder)
    set_param("data.raw", "raw.json")
    set_param("sample.records", "300")
    patch = pytest.MonkeyPatch()
    for stage in DATA_STAGES:
        run_command(stage, patch)
    for name in ("audit", "train", "evaluate", "export"):
        Path(f"data/reports/{name}.json").write_text("{}")
    write_json("data/training_plan.json", training_plan(10))
    Path("data/generations").mkdir()
    for name in ("base", "few_shot", "tuned"):
        Path(f"data/generations/{name}.jsonl").write_text(f"{ANSWER}\n")
    write_judgements("data/judgements.json", Judgements(judge="", model="", judgements=[]))
    write_json("models/adapter/base.json", describe_base(base_folder, four_bit=True))
    patch.undo()
    os.chdir(before)
    return folder


@pytest.fixture
def damaged(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, to damage, as the current folder; what is large is linked, and replaced by what damages it."""
    folder = tmp_path / "project"
    shutil.copytree(finished, folder, copy_function=os.link)
    (folder / "params.yaml").unlink()
    shutil.copy(finished / "params.yaml", folder)
    monkeypatch.chdir(folder)
    return folder
