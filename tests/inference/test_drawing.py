"""Drawn answers: as likely as the model has it, the same in every batch, and greedy at the limits."""

from typing import Any

import pytest
import torch
from scipy import stats

from src.inference.drawing import drawing_processors
from src.inference.engine import Sampling
from src.inference.transformers_engine import TransformersEngine
from src.prompts.rendering import Prompt

TITLES = ["Brass Desk Lamp", "Owl", "A Field Guide to the Owls of the Northern Woods", "Kettle", "Blue Canvas Bag"]
HOT = Sampling(8, temperature=1.5, seed=3)


@pytest.fixture
def prompts(record: Any) -> list[Prompt]:
    return [record("chat", title, "-")["prompt"] for title in TITLES]


def draw(sampling: Sampling, logits: torch.Tensor, prompts: int = 1) -> torch.Tensor:
    """The tokens drawn from the same logits for prompts 0, 1, ...: (prompts,)."""
    scores = logits.repeat(prompts, 1)
    for processor in drawing_processors(sampling, range(prompts)):
        scores = processor(torch.zeros(prompts, 1, dtype=torch.long), scores)
    return scores.argmax(-1)


def test_tokens_are_drawn_as_often_as_the_model_has_it() -> None:
    logits = torch.tensor([1.0, -0.5, 0.3, -torch.inf, 2.0])
    drawn = torch.bincount(draw(Sampling(1, temperature=2.0), logits, 20_000), minlength=5)
    assert drawn[3] == 0
    likely = [0, 1, 2, 4]
    expected = (logits.double() / 2).softmax(-1)[likely] * 20_000
    assert stats.chisquare(drawn[likely], expected).pvalue > 0.001


@pytest.mark.parametrize(
    ("limit", "allowed"), [({"top_k": 2}, {0, 4}), ({"top_p": 0.5}, {4}), ({"top_p": 0.9}, {0, 2, 4})]
)
def test_only_allowed_tokens_are_drawn(limit: dict[str, Any], allowed: set[int]) -> None:
    logits = torch.tensor([1.0, -2.0, 0.3, -3.0, 2.0])  # 0.22, 0.01, 0.11, 0.00, 0.61
    assert set(draw(Sampling(1, temperature=1.0, **limit), logits, 500).tolist()) == allowed


def test_a_prompt_s_draws_do_not_depend_on_its_neighbours(
    model: Any, chat_tokenizer: Any, prompts: list[Prompt]
) -> None:
    answers = [TransformersEngine(model, chat_tokenizer, size).answer(prompts, HOT) for size in (1, 2, 5)]
    assert answers[0] == answers[1] == answers[2]
    assert TransformersEngine(model, chat_tokenizer, 5).answer(prompts[:2], HOT) == answers[0][:2]


def test_another_seed_draws_other_answers_and_the_same_one_the_same(
    model: Any, chat_tokenizer: Any, prompts: list[Prompt]
) -> None:
    engine = TransformersEngine(model, chat_tokenizer, 5)
    assert engine.answer(prompts, HOT) == engine.answer(prompts, HOT)
    assert engine.answer(prompts, HOT) != engine.answer(prompts, HOT._replace(seed=4))


def test_equal_prompts_are_answered_by_different_draws(model: Any, chat_tokenizer: Any, prompts: list[Prompt]) -> None:
    one, other = TransformersEngine(model, chat_tokenizer, 2).answer([prompts[0]] * 2, HOT)
    assert one != other


@pytest.mark.parametrize("limit", [{"top_k": 1}, {"top_p": 1e-6}, {"temperature": 1e-6}])
def test_at_the_limits_it_is_greedy(
    model: Any, chat_tokenizer: Any, prompts: list[Prompt], limit: dict[str, Any]
) -> None:
    engine = TransformersEngine(model, chat_tokenizer, 5)
    assert engine.answer(prompts, HOT._replace(**limit)) == engine.answer(prompts, Sampling(8))


def test_a_penalty_on_repetitions_is_that_of_the_paper(model: Any, chat_tokenizer: Any, prompts: list[Prompt]) -> None:
    from src.prompts.encoding import encode_prompt

    engine, penalty = TransformersEngine(model, chat_tokenizer, 5), 1.8
    [answer] = engine.answer(prompts[:1], Sampling(4, repetition_penalty=penalty))
    tokens = encode_prompt(chat_tokenizer, prompts[0])
    for generated in answer.token_ids:
        with torch.no_grad():
            logits = model(torch.tensor([tokens])).logits[0, -1]
        seen = sorted(set(tokens))
        logits[seen] = torch.where(logits[seen] > 0, logits[seen] / penalty, logits[seen] * penalty)
        assert generated == int(logits.argmax())
        tokens = [*tokens, generated]
