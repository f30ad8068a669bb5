"""An export that answers otherwise is refused, unless the model it was made from sees a tie."""

from typing import Any

import pytest
import torch

from src.errors import UserError
from src.export.parity import (
    LOSS_DIFFERENCE,
    answer_agreement,
    check_answers_agree,
    check_losses_close,
    check_prompts_equal,
    token_preference,
)

STOP = 5


@pytest.fixture(scope="module")
def model(base_folder: Any) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(base_folder).eval()


def greedy_token(model: Any, tokens: list[int]) -> tuple[int, torch.Tensor]:
    """The most likely next token, and the logits it was chosen from."""
    with torch.no_grad():
        logits = model(torch.tensor([tokens])).logits[0, -1]
    return int(logits.argmax()), logits


def test_the_same_prompts_pass() -> None:
    check_prompts_equal("x.gguf", ["a", "b"], ["a", "b"])


def test_the_first_prompt_that_differs_is_quoted() -> None:
    with pytest.raises(UserError, match=r"x\.gguf renders the prompt 'b ', and training saw 'b': not exported"):
        check_prompts_equal("x.gguf", ["a", "b ", "c!"], ["a", "b", "c"])


def test_an_answer_agrees_to_the_last_token_or_not_at_all() -> None:
    assert answer_agreement([[1, 2], [1, 2], [3]], [[1, 2], [1], [3]]) == 0.666667


def test_the_same_answer_is_preferred_by_nothing(model: Any) -> None:
    assert token_preference(model, [0, 7], [8, 9], [8, 9], STOP) == 0.0


@pytest.mark.parametrize("other", [[9], [9, 10], []])
def test_a_greedy_answer_is_preferred_where_the_answers_part(model: Any, other: list[int]) -> None:
    first, logits = greedy_token(model, [0, 7])
    second, _ = greedy_token(model, [0, 7, first])
    expected = logits[first] - logits[(*other, STOP)[0]]
    assert token_preference(model, [0, 7], [first, second], other, STOP) == pytest.approx(float(expected))
    assert expected > 0


def test_a_preference_is_measured_behind_the_part_that_is_the_same(model: Any) -> None:
    first, _ = greedy_token(model, [0, 7])
    second, logits = greedy_token(model, [0, 7, first])
    expected = float(logits[second] - logits[STOP])
    assert token_preference(model, [0, 7], [first, second], [first], STOP) == pytest.approx(expected)


def test_a_tie_passes_and_more_is_refused() -> None:
    check_answers_agree("x.gguf", [0.0, 0.02], tolerance=0.02)
    with pytest.raises(UserError, match=r"x\.gguf answers check prompt 2 otherwise .* by 0\.500 nats"):
        check_answers_agree("x.gguf", [0.0, 0.5], tolerance=0.3)


def test_losses_are_compared_by_the_token() -> None:
    assert check_losses_close("merged", [(10.0, 10), (5.02, 5)], [(10.0, 10), (5.0, 5)]) == pytest.approx(0.004)
    with pytest.raises(UserError, match=r"merged finds an answer 0\.100 nats a token"):
        check_losses_close("merged", [(1.0, 10)], [(2.0, 10)])
    assert LOSS_DIFFERENCE < 0.1
