"""The model card holds what it is given."""

from typing import Any

import pytest

from src.export.model_card import ModelFacts, render_model_card
from src.scoring.scores import SCORES as ALL_SCORES

SCORES = [score.name for score in ALL_SCORES if score.in_tables]

METRICS: dict[str, Any] = {
    "audit": {"trained_token_share": 0.37},
    "train": {
        "records": 2401,
        "steps": 5678,
        "trainable_parameters": 1234567,
        "b_matrices": 28,
        "validation_loss_first": 4.3214,
        "validation_loss_kept": 2.1098,
    },
    "evaluate": {
        "records": 199,
        "base": {score: 10.25 + number for number, score in enumerate(SCORES)},
        "tuned": {score: 30.25 + number for number, score in enumerate(SCORES)},
        "nearest": {score: None if score in ("answer_loss", "perplexity") else 50.25 for score in SCORES},
    },
    "export": {
        "prompts": 8,
        "merged_loss_difference": 0.000124,
        "gguf_f16_agreement": 1.0,
        "gguf_q8_0_agreement": 0.875,
        "prompts_read": 313,
        "modelfile": "f16",
    },
}


def facts(embedded_base: bool = False, synthetic_data: bool = False) -> ModelFacts:
    return ModelFacts(
        base="owner/name@abc",
        data="raw.zip",
        template="plain",
        instruction="Describe it.",
        question="{title}?",
        four_bit=True,
        embedded_base=embedded_base,
        synthetic_data=synthetic_data,
    )


def test_a_model_card_holds_the_numbers_given() -> None:
    text = render_model_card(facts(), METRICS)
    for number in (
        "2,401 records",
        "5,678 steps",
        "37%",
        "1,234,567",
        "28 of LoRA",
        "4.321 before",
        "2.110 after",
        "199",
        "all 313 held-out prompts in exactly the tokens",
        "checked on 8 of them",
        "The Modelfile takes the one in 16 bits",
        "0.000124 nats",
        "16 bits: 100%",
        "8 bits (Q8_0): 88%",
    ):
        assert number in text, number
    assert "| facts of the title stated (%) | 10.25 | 30.25 | 50.25 |" in text
    assert "| answer loss (nats a token) | 17.25 | 37.25 | – |" in text
    assert "| ROUGE-L | 16.25 | 36.25 | 50.25 |" in text
    for given in ("owner/name@abc", "raw.zip", "Template: plain", "`Describe it.`", "`{title}?`"):
        assert given in text, given
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("embedded_base", [True, False])
@pytest.mark.parametrize("synthetic_data", [True, False])
def test_a_model_card_marks_a_demonstration(embedded_base: bool, synthetic_data: bool) -> None:
    text = render_model_card(facts(embedded_base, synthetic_data), METRICS)
    assert ("embedded model" in text) == embedded_base
    assert ("data is synthetic" in text) == synthetic_data


def test_a_model_card_starts_with_its_front_matter() -> None:
    assert render_model_card(facts(embedded_base=True), METRICS).startswith("---\nlibrary_name: peft\n")
