"""The Modelfile and the model card hold what they are given."""

from typing import Any

import pytest

from src.export.model_card import SCORES, CardFacts, render_model_card, render_modelfile

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
}


def recipe(tiny_base: bool = False, invented_data: bool = False) -> CardFacts:
    return CardFacts(
        base="owner/name@abc",
        data="raw.zip",
        template="plain",
        instruction="Say it.",
        question="{title}?",
        four_bit=True,
        tiny_base=tiny_base,
        invented_data=invented_data,
    )


def test_a_card_holds_the_numbers_given() -> None:
    card = render_model_card(recipe(), METRICS)
    for number in (
        "2,401 records",
        "5,678 steps",
        "37%",
        "1,234,567",
        "28 of LoRA",
        "4.321 before",
        "2.110 after",
        "199",
    ):
        assert number in card, number
    assert "| answer loss (nats a token) | 10.25 | 30.25 | – |" in card
    assert "| ROUGE-L | 16.25 | 36.25 | 50.25 |" in card
    for given in ("owner/name@abc", "raw.zip", "Template: plain", "`Say it.`", "`{title}?`"):
        assert given in card, given
    assert card.endswith("\n")
    assert not card.endswith("\n\n")


@pytest.mark.parametrize("tiny_base", [True, False])
@pytest.mark.parametrize("invented_data", [True, False])
def test_a_card_owns_up_to_a_demonstration(tiny_base: bool, invented_data: bool) -> None:
    card = render_model_card(recipe(tiny_base, invented_data), METRICS)
    assert ("embedded tiny model" in card) == tiny_base
    assert ("data is synthetic" in card) == invented_data


def test_a_card_starts_with_its_front_matter() -> None:
    assert render_model_card(recipe(tiny_base=True), METRICS).startswith("---\nlibrary_name: peft\n")


def test_a_modelfile_holds_template_system_stops_and_length() -> None:
    assert render_modelfile("x.gguf", "{{ .System }}\n{{ .Prompt }}", "Say it.", ["<|eot_id|>", "</s>"], 96) == (
        "FROM ./x.gguf\n"
        'TEMPLATE """{{ .System }}\n{{ .Prompt }}"""\n'
        'SYSTEM """Say it."""\n'
        'PARAMETER stop "<|eot_id|>"\n'
        'PARAMETER stop "</s>"\n'
        "PARAMETER temperature 0\n"
        "PARAMETER num_predict 96\n"
    )
