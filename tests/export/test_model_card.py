"""The model card holds what it is given."""

from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from src.export.forms import BY_NAME
from src.export.model_card import ModelFacts, render_model_card
from src.inference.engine import Sampling
from src.models.base_note import BaseNote
from src.scoring.scores import SCORES as ALL_SCORES

SCORES = [score.name for score in ALL_SCORES if score.in_tables]


def form(size: int, agreement: float, difference: float) -> dict[str, float]:
    """The figures of an exported form."""
    return {
        "bytes": size,
        "agreement": agreement,
        "loss": 0.1 + difference,
        "loss_difference": difference,
        "loss_difference_low": difference - 0.001,
        "loss_difference_high": difference + 0.002,
    }


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
        "interval": {"tuned": {score: {"low": 29.125, "high": 49.5} for score in SCORES if score != "perplexity"}},
        "base": {score: 10.25 + number for number, score in enumerate(SCORES)},
        "tuned": {score: 30.25 + number for number, score in enumerate(SCORES)},
        "few_shot": dict.fromkeys(SCORES, 20.25),
        "title": {score: None if score in ("answer_loss", "perplexity") else 40.25 for score in SCORES},
        "nearest": {score: None if score in ("answer_loss", "perplexity") else 50.25 for score in SCORES},
    },
    "export": {
        "prompts": 8,
        "merged_loss_difference": 0.000124,
        "merged_16bit_loss_difference": 0.0123,
        "forms": {
            "adapter": form(3_868_812, 1.0, 0.0),
            "merged": form(5_901_055, 1.0, 0.0),
            "f16": form(5_837_824, 1.0, 0.0),
            "q8_0": form(3_134_464, 0.875, 0.0321),
        },
        "prompts_read": 313,
        "modelfile": "f16",
    },
}


HUB = BaseNote(
    name="owner/name",
    revision="abc",
    sha256="0123",
    quantisation="nf4",
    dtype="bfloat16",
    licence={"license": "other", "license_name": "own", "license_link": "LICENSE"},
)
FOLDER = HUB | BaseNote(name="mine@sha256:0123", revision=None, licence={})  # type: ignore[typeddict-item]


def facts(
    embedded_base: bool = False, synthetic_data: bool = False, base: BaseNote = HUB, place: str = "owner/name"
) -> ModelFacts:
    return ModelFacts(
        base=base,
        base_place=place,
        data="raw.zip",
        language="en",
        template="plain",
        instruction="Describe it.",
        question="{title}?",
        sampling=Sampling(77),
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
        "compared on 8 of them",
        "The Modelfile takes the GGUF, 16 bits.",
        "0.000124 nats",
        "on the 16-bit base instead raises the loss of the references by 0.0123 nats",
        "| `shelftalk-f16.gguf` | llama.cpp, Ollama, LM Studio | 5.8 | 100% | +0.0000 (-0.0010 to +0.0020) |",
        "| 3.1 | 88% | +0.0321 (+0.0311 to +0.0341) |",
    ):
        assert number in text, number
    assert "| facts of the title stated (%) | 10.25 | 20.25 | 30.25 (29.12 to 49.50) | 50.25 | 40.25 |" in text
    assert "| answer loss (nats a token) | 18.25 | 20.25 | 38.25 (29.12 to 49.50) | – | – |" in text
    assert "| ROUGE-L | 17.25 | 20.25 | 37.25 (29.12 to 49.50) | 50.25 | 40.25 |" in text
    for given in ("`owner/name` at commit `abc`", "`0123`", "raw.zip", "Template: plain", '"Describe it."', 'high?"'):
        assert given in text, given
    assert text.endswith("\n")
    assert not text.endswith("\n\n")


@pytest.mark.parametrize("embedded_base", [True, False])
@pytest.mark.parametrize("synthetic_data", [True, False])
def test_a_model_card_marks_a_demonstration(embedded_base: bool, synthetic_data: bool) -> None:
    text = render_model_card(facts(embedded_base, synthetic_data), METRICS)
    assert ("embedded model" in text) == embedded_base
    assert ("data is synthetic" in text) == synthetic_data


def test_a_hub_reads_what_the_model_is_made_from_and_what_it_scores(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(render_model_card(facts(), METRICS), encoding="utf-8")
    data = ModelCard.load(tmp_path / "README.md").data.to_dict()
    model_index = data.pop("model-index")
    assert data == {
        "base_model": "owner/name",
        "base_model_relation": "adapter",
        "datasets": ["raw"],
        "language": "en",
        "library_name": "peft",
        "license": "other",
        "license_name": "own",
        "license_link": "LICENSE",
        "pipeline_tag": "text-generation",
        "metrics": ["bleu", "chrf", "perplexity", "rouge"],
        "tags": ["lora", "gguf", "llama.cpp", "product-descriptions"],
    }
    [result] = model_index[0]["results"]
    assert result["dataset"] == {"type": "raw", "name": "raw, 199 held-out records", "split": "test"}
    scores = {metric["name"]: (metric["type"], metric["value"]) for metric in result["metrics"]}
    assert len(scores) == len(SCORES)
    assert scores["ROUGE-L, 95% interval 29.12 to 49.50"] == ("rouge", 37.25)
    assert scores["perplexity"] == ("perplexity", METRICS["evaluate"]["tuned"]["perplexity"])
    assert scores["chrF, 95% interval 29.12 to 49.50"] == ("chrf", METRICS["evaluate"]["tuned"]["chrf"])


def test_what_is_not_known_is_left_out_and_said() -> None:
    """A hub refuses a card whose base is no repository, and nobody else's licence is guessed."""
    text = render_model_card(facts(base=FOLDER, place="models/mine")._replace(language=None), METRICS)
    metadata = text.split("---")[1]
    assert not [key for key in ("base_model", "license", "language") if key in metadata]
    assert "- Base model: `models/mine`, a folder and no repository of a hub; SHA-256 of its weights `0123`" in text
    assert "The base declares none that could be read" in text
    assert "The language of its data is not known" in text


def test_its_limits_are_told_with_the_share_of_wrong_facts() -> None:
    text = render_model_card(facts(), METRICS)
    assert "of the facts that its answers stated 31.2% were wrong" in text
    assert "at most 77 tokens" in text
    scores = METRICS["evaluate"] | {"tuned": METRICS["evaluate"]["tuned"] | {"facts_wrong": None}}
    assert "its answers stated some were wrong" in render_model_card(facts(), METRICS | {"evaluate": scores})


@pytest.mark.parametrize(
    ("sampling", "words", "line"),
    [
        (Sampling(9), "greedy answers", "do_sample=False, max_new_tokens=9"),
        (
            Sampling(9, temperature=0.7, top_k=50, top_p=0.95),
            "answers drawn at temperature 0.7, top-k 50, top-p 0.95",
            "do_sample=True, temperature=0.7, top_k=50, top_p=0.95, max_new_tokens=9",
        ),
        (
            Sampling(9, repetition_penalty=1.2),
            "greedy answers, repetition penalty 1.2",
            "do_sample=False, repetition_penalty=1.2, max_new_tokens=9",
        ),
    ],
)
def test_a_model_card_tells_how_answers_were_drawn_and_draws_them_so(sampling: Sampling, words: str, line: str) -> None:
    text = render_model_card(facts()._replace(sampling=sampling), METRICS)
    assert f"held-out records, {words}." in text
    assert f"It was measured with {words}, of at most 9 tokens" in text
    assert f"prompt.to(model.device), {line})" in text


def test_what_serving_on_another_base_costs_is_told_where_there_is_another() -> None:
    """A base in 16 bits has no second merge; one in 4 bits may not have been merged twice."""
    assert "16-bit base instead" in render_model_card(facts(), METRICS)
    once = METRICS["export"] | {"merged_16bit_loss_difference": None}
    assert "instead of the 4-bit one was not measured" in render_model_card(facts(), METRICS | {"export": once})
    cheaper = METRICS["export"] | {"merged_16bit_loss_difference": -0.0123}
    told = render_model_card(facts(), METRICS | {"export": cheaper})
    assert "on the 16-bit base instead lowers the loss of the references by 0.0123 nats" in told
    whole: Any = HUB | {"quantisation": "none"}
    assert "16-bit base" not in render_model_card(facts(base=whole), METRICS)


@pytest.mark.parametrize("name", BY_NAME)
def test_every_form_has_a_row(name: str) -> None:
    export = METRICS["export"] | {"forms": {name: form(2_500_000, 0.5, 0.0)}}
    words = BY_NAME[name]
    named = ", ".join(f"`{file}`" for file in words.files)
    assert f"| {words.label} | {named} | {words.programs} | 2.5 | 50% |" in render_model_card(
        facts(), METRICS | {"export": export}
    )
