"""Exports are refused at the first prompt or token that differs."""

import pytest

from src.errors import UserError
from src.models.checks import agreement, same_answers, same_prompts


def test_what_is_alike_passes() -> None:
    same_prompts("x.gguf", ["a", "b"], ["a", "b"])
    same_answers("x.gguf", [[1, 2], []], [[1, 2], []])


def test_the_first_prompt_that_differs_is_quoted() -> None:
    with pytest.raises(UserError, match=r"x\.gguf renders the prompt 'b ', and training saw 'b': not exported"):
        same_prompts("x.gguf", ["a", "b ", "c!"], ["a", "b", "c"])


@pytest.mark.parametrize(("answer", "token"), [([1, 9, 3], 2), ([9, 2, 3], 1), ([1, 2], 3), ([1, 2, 3, 4], 4), ([], 1)])
def test_the_first_token_that_differs_is_named(answer: list[int], token: int) -> None:
    with pytest.raises(
        UserError, match=f"answers check prompt 2 otherwise .* from token {token} on .50% of the answers"
    ):
        same_answers("x.gguf", [[5], answer], [[5], [1, 2, 3]])


def test_an_answer_agrees_to_the_last_token_or_not_at_all() -> None:
    assert agreement([[1, 2], [1, 2], [3]], [[1, 2], [1], [3]]) == 0.666667


def test_no_answer_may_be_missing() -> None:
    with pytest.raises(ValueError, match="longer"):
        same_answers("x.gguf", [[1]], [[1], [2]])
