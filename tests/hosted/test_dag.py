"""The whole DAG with a hosted model, small, against a server with state: it runs, and the key is found nowhere."""

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from src.files import read_json, read_jsonl
from tests.hosted.fake_fine_tuning import BASE_MODEL, FakeFineTuning, serve_fine_tuning
from tests.scratch import ENVIRONMENT, SMALL, call, copy_project, reproduce, set_parameters, stages_run

ANSWERED = ("base", "few_shot", "tuned")
ROUNDS = 2


def hosted_parameters(server: FakeFineTuning) -> dict[str, object]:
    return {
        "train.backend": "openai",
        "train.endpoint": {"address": server.address, "model": BASE_MODEL, "key_variable": "SOME_KEY"},
        "train.hosted": {"epochs": 1, "batch_size": 8, "lr_multiplier": 0.6, "suffix": "shop"},
        "train.rounds": ROUNDS,
        "train.price": 3.0,
        "train.max_cost": 10.0,
    }


def places_of(key: str, folder: Path) -> list[str]:
    """Where a project holds a key: its files, caches, locks and journals among them, and what git has packed."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    found = [str(path) for path in files if key.encode() in path.read_bytes()]
    objects = call(folder, "git", "cat-file", "--batch-all-objects", "--batch-check=%(objectname)").split()
    texts = subprocess.run(
        ["git", "cat-file", "--batch"], cwd=folder, input="\n".join(objects).encode(), capture_output=True, check=True
    )
    return found + ["git's objects"] * (key.encode() in texts.stdout)


def test_the_whole_dag_runs_with_a_hosted_model_and_the_key_is_found_nowhere(
    reproduced: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy_project(reproduced[0], tmp_path / "project")
    key = f"sk-{uuid4().hex}"  # in no source file
    monkeypatch.setitem(ENVIRONMENT, "SOME_KEY", key)
    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", "a local adapter")
    with serve_fine_tuning() as server:
        server.key = key
        set_parameters(folder, hosted_parameters(server))
        output = reproduce(folder)
        assert {"train", "generate@base", "generate@tuned", "generate_few_shot"} <= set(stages_run(output))
        assert "base" not in stages_run(output) and "Traceback" not in output
        assert "up to date" in call(folder, "dvc", "status")
        asked, paid = len(server.chats), server.count("POST", "/fine_tuning/jobs")
        assert (asked, paid) == (3 * int(str(SMALL["generate.records"])), ROUNDS)

        again = call(folder, "dvc", "repro", "--force", "--single-item", "train")
        again += call(folder, "dvc", "repro", "--force", "--single-item", "generate@tuned")
        assert (len(server.chats), server.count("POST", "/fine_tuning/jobs")) == (asked, paid)
        assert "up to date" in call(folder, "dvc", "status")  # the same bytes

    second = server.created()[1]["fine_tuned_model"]
    for system in ANSWERED:
        rows = read_jsonl(folder / f"data/generations/{system}.jsonl")
        kind = "tuned" if system == "tuned" else "base"
        assert all(row["answer"].startswith(f"A {kind} text on") and row["loss"] is None for row in rows)
    scores = read_json(folder / "reports/evaluate.json")
    assert scores["tuned"]["answer_loss"] is None and scores["tuned"]["rougeL"] > 0
    assert read_json(folder / "reports/export.json")["exported"] is False
    assert f"`{second}`, hosted" in (folder / "models/MODEL_CARD.md").read_text()
    assert "when first told" in call(folder, sys.executable, "-m", "src.summary")
    call(folder, "dvc", "plots", "show")

    call(folder, "git", "add", "-A")
    call(folder, "git", "commit", "-qm", "a hosted model")
    review = subprocess.run(
        [sys.executable, "-m", "src.review", "HEAD~1"], cwd=folder, env=ENVIRONMENT, text=True, capture_output=True
    )
    assert review.stderr == ""
    assert "train.backend" in (folder / "review/review.md").read_text()
    tracked = call(folder, "git", "ls-files")
    assert ".hosted" not in tracked and ".answers" not in tracked
    assert places_of(key, folder) == []
    assert places_of(BASE_MODEL, folder)  # which shows that they are searched
    assert key not in output + again + review.stdout + review.stderr
