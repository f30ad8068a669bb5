"""The card of a hosted model: what it tells, and that its lines ask the model as the pipeline does."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from src.export.hosted_card import render_hosted_card
from src.export.model_card import EXAMPLE_TITLE
from src.hosted.answering import answer_hosted
from src.inference.engine import Sampling
from src.params import ServiceParams, TemplateName
from src.prompts.rendering import prompt_and_completion, prompt_turns
from tests.export.test_model_card import METRICS, facts
from tests.hosted.fake_fine_tuning import BASE_MODEL, KEY, FakeFineTuning, serve_fine_tuning

GREEDY = Sampling(77)
TRAIN: dict[str, Any] = {
    "records": 2401,
    "rounds": 2,
    "steps": 5678,
    "trained_tokens": 987654,
    "fine_tuned_model": BASE_MODEL,
    "base": "small",
    "validation_loss_first": 1.5,
    "validation_loss_kept": 1.25,
}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeFineTuning]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOME_KEY", KEY)
    with serve_fine_tuning() as served:
        yield served


def card(server: FakeFineTuning, template: str = "chat", sampling: Sampling = GREEDY, **train: Any) -> str:
    export = {"exported": False, "model": BASE_MODEL, "address": server.address}
    given = facts()._replace(template=template, sampling=sampling)
    return render_hosted_card(given, METRICS | {"train": TRAIN | train, "export": export})


def test_it_tells_the_model_and_what_the_service_told(server: FakeFineTuning) -> None:
    text = card(server)
    for words in (f"`{BASE_MODEL}`, hosted", "2,401 records in 2 rounds, 5,678 steps, 987,654 trained tokens", "1.250"):
        assert words in text
    assert "LoRA" not in text and "GGUF" not in text and "ollama" not in text
    assert "Validation loss" not in card(server, validation_loss_first=None, validation_loss_kept=None)


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(9, temperature=0.7, top_k=5, top_p=0.9, seed=3)])
def test_its_lines_ask_as_the_pipeline_does(
    server: FakeFineTuning, template: TemplateName, sampling: Sampling, capsys: pytest.CaptureFixture[str]
) -> None:
    [lines] = re.findall(r"(?s)```python\n(.*?)```", card(server, template, sampling))
    exec(lines.replace("YOUR KEY", KEY), {})
    turns = prompt_turns("Describe it.", "{title}?", EXAMPLE_TITLE)
    record = {"uid": "1", "title": EXAMPLE_TITLE} | prompt_and_completion(template, turns, "Oak.")
    endpoint = ServiceParams(address=server.address, model=BASE_MODEL, key_variable="SOME_KEY")
    [row] = answer_hosted(endpoint, "base", None, [record], sampling)
    assert server.chats[0] == server.chats[1]
    assert capsys.readouterr().out.strip() == row.answer
