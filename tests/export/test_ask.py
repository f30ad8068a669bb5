"""Asking the exported model: the trained prompt, the evaluated answer, and refusals in a sentence."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.export.ask import EXPORT, ask
from src.export.gguf import convert_to_gguf
from src.export.modelfile import render_modelfile
from src.inference.engine import Sampling
from src.inference.llama_cpp import CONTEXT, LlamaCppEngine
from src.models.loading import load_base
from src.prompts.ollama import ollama_template
from src.prompts.rendering import prompt_turns
from src.prompts.tokenizers import stop_texts

ROOT = Path(__file__).parents[2]
INSTRUCTION, QUESTION = "Describe it.", "Title: {title}"
TITLE = "Kerr's Brass Lamp {title}, 3 é"
TOKENS = 12
FILES = {name: f"shelftalk-{name}.gguf" for name in ("f16", "q8_0")}


@pytest.fixture
def export(base_folder: Path, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an exported model with random weights, in each template."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / EXPORT
    load_base(base_folder, four_bit=False, exact=True).half().save_pretrained(folder / "merged")
    tokenizer.save_pretrained(folder / "merged")
    for precision, name in FILES.items():
        convert_to_gguf(folder / "merged", folder / name, precision, "tiny")
    template, stops = ollama_template(tokenizer, QUESTION), stop_texts(tokenizer)
    (folder / "Modelfile").write_text(render_modelfile(FILES["q8_0"], template, INSTRUCTION, stops, Sampling(TOKENS)))
    return folder


def test_the_answer_is_that_to_the_trained_prompt(export: Path) -> None:
    turns = prompt_turns(INSTRUCTION, QUESTION, TITLE)
    for precision, name in [(None, FILES["q8_0"]), *FILES.items()]:
        [expected] = LlamaCppEngine(export / name).answer([turns], Sampling(TOKENS))
        assert "".join(ask(f"  {TITLE}\n", precision)) == expected.text
    assert expected.text


@pytest.mark.parametrize("template", ["chat"], indirect=True)
def test_a_title_without_room_for_an_answer_is_refused(export: Path) -> None:
    with pytest.raises(
        UserError, match=rf"TITLE is too long: its prompt has [\d,]+ tokens.* holds {CONTEXT:,}: shorten"
    ):
        list(ask("lamp " * CONTEXT))


@pytest.mark.parametrize("template", ["chat"], indirect=True)
def test_a_form_that_is_not_there_is_refused(export: Path) -> None:
    (export / FILES["f16"]).unlink()
    with pytest.raises(UserError, match=r"models/export/shelftalk-f16\.gguf is missing: run `make repro`"):
        list(ask(TITLE, "f16"))
    assert "".join(ask(TITLE))


def asked(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, in a folder."""
    command = [sys.executable, "-X", "importtime", "-m", "src.export.ask", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("template", ["chat"], indirect=True)
def test_the_command_prints_the_answer_alone_and_loads_no_torch(export: Path) -> None:
    done = asked(export.parents[1], TITLE)
    assert done.stdout == "".join(ask(TITLE)) + "\n"
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert all(line.startswith("import time:") for line in lines)
    assert not {"torch", "transformers", "polars"} & {line.rpartition("|")[2].strip() for line in lines}


@pytest.mark.parametrize(
    ("title", "message"),
    [
        (" ", 'ask: TITLE is empty: write the title of a product, as in make ask TITLE="Oak Desk Lamp, 30 cm".'),
        ("Lamp", "ask: models/export/Modelfile is missing: run `make repro`, which trains and exports a model"),
    ],
)
def test_what_cannot_be_asked_is_told_in_a_sentence(tmp_path: Path, title: str, message: str) -> None:
    done = asked(tmp_path, title)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith(message)
    assert "Traceback" not in done.stderr
