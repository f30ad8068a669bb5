"""The command: the answer and its sources on the standard output, refusals in a sentence, and no torch."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from src.serving.ask import NO_SOURCE
from src.serving.model import ServedModel, Side
from src.serving.search import INDEX
from tests.serving.conftest import PRODUCTS, TITLES

ROOT = Path(__file__).parents[2]
TITLE = TITLES[0]
UNKNOWN = "Zyxwvut Qwertz Bnmkl"


@pytest.fixture(scope="module")
def project(export_folder: Path, index_path: Path) -> Path:
    """A folder with an export and an index."""
    return export_folder.parents[1]


def asked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, in a folder."""
    return subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "src.serving.ask", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


def said(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The lines on the standard error that Python did not write about its imports."""
    return [line for line in done.stderr.splitlines() if not line.startswith("import time:")]


def answer_of(model: ServedModel, title: str, side: Side, **sampling: Any) -> str:
    drawn = model.note.sampling._replace(**sampling)
    return "".join(piece.text for piece in model.stream(model.note.turns(title), side, drawn))


def test_the_command_prints_answer_and_sources_and_loads_no_torch(project: Path, served_model: ServedModel) -> None:
    done = asked(project, TITLE)
    expected = [*answer_of(served_model, TITLE, "tuned").splitlines(), "", "Sources:", f"100.0  u0  {TITLE}"]
    assert done.stdout.splitlines()[: len(expected)] == expected
    assert (done.returncode, said(done)) == (0, [])
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert not {"torch", "transformers", "polars", "sklearn"} & imported


def test_a_title_that_no_record_has_is_answered_from_itself_alone(project: Path) -> None:
    done = asked(project, UNKNOWN)
    assert done.stdout.endswith(f"\n\n{NO_SOURCE}\n")
    assert len(done.stdout) > len(NO_SOURCE) + 5


def test_json_has_it_all(project: Path, served_model: ServedModel) -> None:
    text = f"What is the {TITLE} made of?"
    done = asked(project, text, "--json", "--base", "--sources", "1", "--max-new-tokens", "2")
    answer = json.loads(done.stdout)
    assert answer["sources"] == [{"uid": "u0", "title": TITLE, "score": 100.0, "text": PRODUCTS[TITLE]}]
    assert all(passage["uid"] == "u0" and passage["text"] in PRODUCTS[TITLE] for passage in answer["passages"])
    assert {key: answer[key] for key in ("question", "title", "answer", "side", "finish_reason", "model")} == {
        "question": text,
        "title": TITLE,
        "answer": answer_of(served_model, TITLE, "base", max_new_tokens=2),
        "side": "base",
        "finish_reason": "length",
        "model": ["base-q8_0.gguf"],
    }


def test_an_answer_can_be_drawn(project: Path, served_model: ServedModel) -> None:
    words = ["--temperature", "3", "--seed", "4", "--top-k", "50", "--top-p", "0.9", "--repetition-penalty", "1.2"]
    expected = answer_of(
        served_model, TITLE, "tuned", temperature=3.0, seed=4, top_k=50, top_p=0.9, repetition_penalty=1.2
    )
    assert json.loads(asked(project, TITLE, "--json", *words).stdout)["answer"] == expected


def test_without_an_index_the_answer_comes_from_the_title_alone(project: Path, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "export").symlink_to(project / "models" / "export")
    done = asked(tmp_path, TITLE)
    assert done.stdout.endswith(f"\n\n{NO_SOURCE}\n")
    assert said(done) == [
        f"ask: {INDEX} is missing: run `dvc repro index`, which makes it from the cleaned records. "
        "Until then no source is named."
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ((" ",), "ask: TITLE is empty: write a product's title, such as"),
        (("lamp " * 3_000,), "ask: TITLE is too long: its prompt has"),
        (("Lamp <|eot_id|>",), "ask: TITLE holds a special token of the model"),
        (
            (TITLE, "--temperature", "20"),
            "ask: --temperature is 20.0, and must be less than or equal to 10",
        ),
        ((TITLE, "--top-p", "nan"), "ask: --top-p is nan, and must be a finite number: change it."),
        ((TITLE, "--max-new-tokens", "0"), "ask: --max-new-tokens is 0, and must be"),
        ((TITLE, "--sources", "11"), "ask: --sources is 11, and must be 0 to 10: change it."),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_sentence(project: Path, words: tuple[str, ...], sentence: str) -> None:
    done = asked(project, *words)
    assert (done.returncode, done.stdout, len(said(done))) == (1, "", 1)
    assert said(done)[0].startswith(sentence)


def test_a_missing_export_is_told_in_a_sentence(tmp_path: Path) -> None:
    done = asked(tmp_path, TITLE)
    assert (done.returncode, done.stdout) == (1, "")
    assert said(done) == [
        "ask: models/export/serving.json is missing: run `make repro`, which trains a model and exports it "
        "(export.formats has to hold lora), then try again."
    ]


def started(folder: Path, *words: str) -> subprocess.Popen[bytes]:
    """The command amid a long answer."""
    running = subprocess.Popen(
        [sys.executable, "-m", "src.serving.ask", *words, "--temperature", "9", "--max-new-tokens", "1500"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert running.stdout
    assert running.stdout.read(2)
    return running


def test_ctrl_c_ends_an_answer_quietly(project: Path) -> None:
    running, begin = started(project, UNKNOWN), time.monotonic()
    running.send_signal(signal.SIGINT)
    error = running.communicate(timeout=60)[1]
    assert (running.returncode, error) == (1, b"\nask: interrupted.\n")
    assert time.monotonic() - begin < 60


def test_a_reader_that_reads_no_more_ends_it_quietly(project: Path) -> None:
    running = started(project, UNKNOWN)
    assert running.stdout
    running.stdout.close()
    assert running.stderr
    assert (running.wait(20), running.stderr.read()) == (0, b"")
    running.stderr.close()


def test_help_names_every_option(tmp_path: Path) -> None:
    done = asked(tmp_path, "--help")
    for option in ("--base", "--json", "--sources", "--temperature", "--top-k", "--repetition-penalty", "--seed"):
        assert option in done.stdout
