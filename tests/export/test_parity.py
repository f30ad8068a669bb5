"""An export that answers otherwise is refused, unless the model it was made from sees a tie."""

from typing import Any

import pytest
import torch

from src.errors import UserError
from src.export.forms import BY_NAME, chosen_ggufs
from src.export.parity import (
    RECORD_DIFFERENCE,
    PromptCheck,
    answer_agreement,
    answer_preference,
    check_answers,
    check_losses,
    check_mean_loss,
    prompt_checks,
    served_form,
)
from src.inference.engine import Answer, Sampling
from src.inference.reference_loss import ReferenceLoss
from src.inference.transformers_engine import TransformersEngine
from src.prompts.encoding import encode_prompt
from src.prompts.rendering import prompt_turns
from src.prompts.tokenizers import end_of_turn_id

TURNS = prompt_turns("Describe it.", "{title}", "Brass Lamp")


def answer(*token_ids: int) -> Answer:
    return Answer("", list(token_ids), "length")


def preference(engine: TransformersEngine, own: list[int], other: list[int]) -> float:
    """How much the engine prefers its own answer to TURNS."""
    return answer_preference(engine, PromptCheck(TURNS, TURNS, answer(*own)), answer(*other))


@pytest.fixture
def engine(model: Any, chat_tokenizer: Any) -> TransformersEngine:
    return TransformersEngine(model, chat_tokenizer, batch_size=1)


@pytest.fixture
def prompt(chat_tokenizer: Any) -> list[int]:
    return encode_prompt(chat_tokenizer, TURNS)


def greedy_token(model: Any, tokens: list[int]) -> tuple[int, torch.Tensor]:
    """The most likely next token, and the logits it was chosen from."""
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0, -1]
    return int(logits.argmax()), logits


def test_an_answer_agrees_to_the_last_token_or_not_at_all() -> None:
    answers, expected = [answer(1, 2), answer(1, 2), answer(3)], [answer(1, 2), answer(1), answer(3)]
    assert answer_agreement(answers, expected) == 0.666667


def test_the_same_answer_is_preferred_by_nothing(engine: TransformersEngine) -> None:
    assert preference(engine, [8, 9], [8, 9]) == 0.0


@pytest.mark.parametrize("other", [[9], [9, 10], []])
def test_a_greedy_answer_is_preferred_where_the_answers_part(
    engine: TransformersEngine, prompt: list[int], other: list[int]
) -> None:
    first, logits = greedy_token(engine.model, prompt)
    second, _ = greedy_token(engine.model, [*prompt, first])
    expected = logits[first] - logits[(*other, end_of_turn_id(engine.tokenizer))[0]]
    assert preference(engine, [first, second], other) == pytest.approx(float(expected))
    assert expected > 0


def test_a_preference_is_measured_after_the_tokens_in_common(engine: TransformersEngine, prompt: list[int]) -> None:
    first, _ = greedy_token(engine.model, prompt)
    second, logits = greedy_token(engine.model, [*prompt, first])
    expected = float(logits[second] - logits[end_of_turn_id(engine.tokenizer)])
    assert preference(engine, [first, second], [first]) == pytest.approx(expected)


def losses(*pairs: tuple[float, int]) -> list[ReferenceLoss]:
    return [ReferenceLoss(*pair) for pair in pairs]


def test_losses_are_compared_by_the_token() -> None:
    expected = losses((10.0, 10), (5.0, 5))
    assert check_losses("merged", losses((10.0, 10), (5.02, 5)), expected) == pytest.approx(0.004)
    with pytest.raises(UserError, match=r"merged finds an answer 0\.100 nats a token"):
        check_losses("merged", losses((1.0, 10)), losses((2.0, 10)))
    assert RECORD_DIFFERENCE < 0.1


@pytest.mark.parametrize(
    ("q8_0", "q4_k_m", "served"),
    [(1.0, 1.0, "q4_k_m"), (1.0, 0.9, "q8_0"), (0.95, 0.95, "q4_k_m"), (0.5, 0.94, "f16"), (0.5, 1.0, "q4_k_m")],
)
def test_the_smallest_file_that_answers_like_f16_is_served(q8_0: float, q4_k_m: float, served: str) -> None:
    shares = {"merged": 1.0, "f16": 1.0, "q8_0": q8_0, "q4_k_m": q4_k_m, "lora": 1.0}
    assert served_form(shares, chosen_ggufs(["merged", "f16", "q8_0", "q4_k_m", "lora"])).name == served


def test_only_a_chosen_file_is_served() -> None:
    shares = {"f16": 1.0, "q8_0": 0.8, "q4_k_m": 0.5}
    assert served_form(shares, chosen_ggufs(["q8_0", "q4_k_m"])).name == "q8_0"


def test_a_loss_beyond_what_rounding_explains_is_refused() -> None:
    form, expected = BY_NAME["q4_k_m"], losses((10.0, 10), (5.0, 10))
    check_mean_loss(form, losses((11.0, 10), (5.9, 10)), expected)
    with pytest.raises(UserError, match=r"shelftalk-q4_k_m\.gguf finds the references 0\.150 nats a token less likely"):
        check_mean_loss(form, losses((13.0, 10), (5.0, 10)), expected)
    with pytest.raises(UserError, match="finds the references nan nats"):
        check_mean_loss(form, losses((float("nan"), 10), (5.0, 10)), expected)


def test_a_form_that_finds_the_references_likelier_is_another_model_too() -> None:
    with pytest.raises(UserError, match=r"shelftalk-f16\.gguf finds the references 0\.100 nats a token more likely"):
        check_mean_loss(BY_NAME["f16"], losses((8.0, 10), (5.0, 10)), losses((10.0, 10), (5.0, 10)))


def test_a_long_reference_counts_more_than_a_short_one() -> None:
    expected = losses((1.0, 1), (99.0, 99))
    check_mean_loss(BY_NAME["f16"], losses((1.5, 1), (99.0, 99)), expected)  # 0.25 as a mean of the records' own
    with pytest.raises(UserError, match=r"0\.297 nats a token less likely"):
        check_mean_loss(BY_NAME["f16"], losses((1.0, 1), (128.7, 99)), expected)


def test_another_answer_is_refused_unless_rounding_explains_it(engine: TransformersEngine, prompt: list[int]) -> None:
    token, logits = greedy_token(engine.model, prompt)
    least = int(logits.argmin())
    checks = [PromptCheck(TURNS, TURNS, answer(token))] * 2
    form = BY_NAME["f16"]._replace(tie=float(logits[token] - logits[least]) - 0.01)
    with pytest.raises(UserError, match=r"shelftalk-f16\.gguf answers check prompt 2 otherwise than the adapter"):
        check_answers(form, [answer(token), answer(least)], engine, checks)
    explained = form._replace(tie=float(logits[token] - logits[least]) + 0.01)
    assert check_answers(explained, [answer(token), answer(least)], engine, checks) == 0.5


def test_answers_that_are_all_empty_prove_nothing(engine: TransformersEngine, record: Any, monkeypatch: Any) -> None:
    records = [record("chat", title, "-") for title in ("Lamp", "Owl")]
    asked = ("Describe it.", "{title}", Sampling(1))
    assert [check.answer.token_ids for check in prompt_checks(engine, records, *asked)] != [[], []]
    first, _ = greedy_token(engine.model, encode_prompt(engine.tokenizer, records[0]["prompt"]))
    monkeypatch.setattr("src.inference.transformers_engine.stop_token_ids", lambda _: [first])
    with pytest.raises(UserError, match="answers all 2 check prompts with nothing, so that no exported form can be"):
        prompt_checks(engine, records[:1] * 2, *asked)
