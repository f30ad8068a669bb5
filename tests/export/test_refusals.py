"""An export that renders or answers otherwise is refused by a sentence that shows the difference."""

import pytest

from src.errors import UserError
from src.export.refusals import refuse_other_answers, refuse_other_loss, refuse_other_prompt


def test_the_same_prompts_pass() -> None:
    refuse_other_prompt("x.gguf", "a", "a")


def test_a_prompt_that_differs_is_quoted() -> None:
    with pytest.raises(UserError, match=r"x\.gguf renders the prompt 'b ', and training saw 'b': not exported"):
        refuse_other_prompt("x.gguf", "b ", "b")


def test_a_tie_passes_and_more_is_refused() -> None:
    refuse_other_answers("x.gguf", [0.0, 0.02], tolerance=0.02)
    with pytest.raises(UserError, match=r"x\.gguf answers check prompt 2 otherwise .* by 0\.500 nats"):
        refuse_other_answers("x.gguf", [0.0, 0.5], tolerance=0.3)


def test_a_loss_that_differs_by_more_than_its_limit_is_refused() -> None:
    refuse_other_loss("merged", 0.01, limit=0.01)
    with pytest.raises(UserError, match=r"merged finds an answer 0\.100 nats a token more or less likely"):
        refuse_other_loss("merged", 0.1, limit=0.01)
