"""Decoding that finished answers leave: the tokens are transformers' own, whatever the batch, and rows do leave."""

from typing import Any

import pytest
import torch

from src.inference import decoding
from src.inference.decoding import rows_can_leave
from src.inference.engine import Answer, Sampling
from src.inference.transformers_engine import TransformersEngine
from src.prompts.rendering import Prompt

TITLES = ["Brass Desk Lamp", "Owl", "A Field Guide to the Owls of the Northern Woods", "Kettle", "Red Bag", "Tea", "A"]
SAMPLINGS = [
    Sampling(24),
    Sampling(24, repetition_penalty=1.3),
    Sampling(24, temperature=1.2, top_k=40, top_p=0.95, seed=3),
]


@pytest.fixture
def prompts(record: Any) -> list[Prompt]:
    return [record("chat", title, "-")["prompt"] for title in TITLES]


@pytest.fixture(params=SAMPLINGS, ids=["greedy", "penalty", "drawn"])
def sampling(request: pytest.FixtureRequest) -> Sampling:
    """Each way to draw answers in turn."""
    return request.param


@pytest.fixture
def stopping(
    model: Any, chat_tokenizer: Any, prompts: list[Prompt], sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """The model's tokenizer, with the token as stop token that ends the answers at the most different lengths."""
    answers = [answer.token_ids for answer in TransformersEngine(model, chat_tokenizer, 1).answer(prompts, sampling)]

    def lengths(token: int) -> int:
        return len({tokens.index(token) if token in tokens else len(tokens) for tokens in answers})

    stop = max(sorted({token for tokens in answers for token in tokens}), key=lengths)
    monkeypatch.setattr("src.inference.transformers_engine.stop_token_ids", lambda tokenizer: [stop])
    return chat_tokenizer


def test_answers_do_not_depend_on_the_batch_size_or_on_neighbours(
    model: Any, stopping: Any, prompts: list[Prompt], sampling: Sampling
) -> None:
    answers = [TransformersEngine(model, stopping, size).answer(prompts, sampling) for size in (1, 2, 3, 7)]
    assert all(other == answers[0] for other in answers)
    assert len({len(answer.token_ids) for answer in answers[0]}) > 2
    pair = TransformersEngine(model, stopping, 2).answer_batch([(5, prompts[5]), (1, prompts[1])], sampling)
    assert pair == [answers[0][5], answers[0][1]]


def test_the_tokens_are_those_of_the_library_s_own_loop(
    model: Any, stopping: Any, prompts: list[Prompt], sampling: Sampling, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = TransformersEngine(model, stopping, 7).answer(prompts, sampling)
    monkeypatch.setattr(decoding, "rows_can_leave", lambda model: False)
    assert TransformersEngine(model, stopping, 7).answer(prompts, sampling) == ours


def test_finished_rows_take_no_more_time(model: Any, stopping: Any, prompts: list[Prompt], sampling: Sampling) -> None:
    rows: list[int] = []
    hook = model.register_forward_pre_hook(
        lambda _, args, given: rows.append(len(given["input_ids"])), with_kwargs=True
    )
    answers = TransformersEngine(model, stopping, 7).answer(prompts, sampling)
    hook.remove()
    assert sum(rows) == sum(len(answer.token_ids) + (answer.finish_reason == "stop") for answer in answers)
    assert rows[0] == 7 > rows[-1]


def test_a_recurrent_cache_keeps_its_rows(model: Any) -> None:
    from transformers import LlamaConfig, Qwen3NextConfig

    def can_leave(config: Any) -> bool:
        return rows_can_leave(torch.nn.Module.__new__(type("Model", (torch.nn.Module,), {"config": config})))

    assert rows_can_leave(model) and can_leave(LlamaConfig())
    assert not can_leave(Qwen3NextConfig())


def test_an_empty_list_of_prompts_has_no_answers(model: Any, chat_tokenizer: Any) -> None:
    found: list[Answer] = TransformersEngine(model, chat_tokenizer, 3).answer([], Sampling(4))
    assert found == []
