"""Examples by the API's rules, their tokens, and what they are estimated to cost."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from src.errors import UserError
from src.files import write_jsonl
from src.hosted import examples
from src.hosted.costs import chosen_epochs, estimate_cost
from src.hosted.examples import LEAST_EXAMPLES, Examples, conversation, count_tokens, fault, make_examples
from src.inference.endpoint import as_turns
from src.params import FormatParams, HostedParams, TemplateName
from src.prompts.rendering import prompt_turns
from src.stages.format import openai_rows

PLACE = "data/prompts/train.jsonl"
USER, ASSISTANT = {"role": "user", "content": "Lamp"}, {"role": "assistant", "content": "Oak."}


@pytest.fixture
def records(record: Callable[..., Any], template: TemplateName) -> list[dict[str, Any]]:
    return [{"uid": str(at), **record(template, f"Lamp {at}", f"About lamp {at}.")} for at in range(12)]


def test_a_model_is_trained_on_what_an_endpoint_is_asked(records: list[dict[str, Any]], tokenizer: Any) -> None:
    made = make_examples(records, tokenizer, PLACE, LEAST_EXAMPLES)
    rows = [json.loads(line)["messages"] for line in made.content.splitlines()]
    assert len(rows) == made.records == 12
    assert [row[:-1] for row in rows] == [as_turns(record["prompt"]) for record in records]
    assert [row[-1]["content"] for row in rows] == [f"About lamp {at}." for at in range(12)]
    assert all(fault(row) is None for row in rows)


def test_chat_prompts_are_the_conversations_that_format_writes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    form = {"template": "chat", "instruction": "Describe it.", "question": "{title}", "openai": True}
    given = FormatParams.model_validate(form | {"context": "none", "context_records": 1, "context_chars": 120})
    monkeypatch.setattr("src.stages.format.read_split", lambda split: iter([("B1", "Lamp", "Oak.")]))
    turns = prompt_turns("Describe it.", "{title}", "Lamp")
    formatted = {"prompt": turns, "completion": [{"role": "assistant", "content": "Oak."}]}
    write_jsonl(tmp_path / "train.jsonl", [{"uid": "B1", "title": "Lamp", **formatted}])
    rows = openai_rows("train", given, tmp_path / "train.jsonl")
    assert [{"messages": conversation(formatted)}] == list(rows)


@pytest.mark.parametrize(
    ("turns", "reason"),
    [
        ([], "its last turn is not the assistant's"),
        ([ASSISTANT, USER], "its last turn is not the assistant's"),
        ([ASSISTANT], "it has no turn of a user"),
        ([{"role": "seller", "content": "x"}, USER, ASSISTANT], "its role 'seller' is none of system, user, assistant"),
        ([{**USER, "content": " \n"}, ASSISTANT], "its user turn is empty"),
        ([USER, {**ASSISTANT, "content": None}], "its assistant turn is empty"),
    ],
)
def test_a_conversation_that_the_api_would_refuse_is_found(turns: list[dict[str, Any]], reason: str) -> None:
    assert fault(turns) == reason
    assert fault([USER, ASSISTANT]) is None


def test_every_reason_for_a_refusal_is_named_at_once(
    record: Callable[..., Any], chat_tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(examples, "LARGEST_FILE", 500)
    monkeypatch.setattr(examples, "LONGEST_EXAMPLE", 60)
    made = [record("chat", "Lamp", text) for text in ("Oak.", "", "long " * 80, " ")]
    with pytest.raises(UserError) as refused:
        make_examples(made, chat_tokenizer, PLACE, LEAST_EXAMPLES)
    few, large, bad, long = str(refused.value).splitlines()
    assert few == f"{PLACE}: 4 examples in a round, and the API takes 10 or more: raise sample.records, or lower " + (
        "train.rounds."
    )
    assert large.startswith(f"{PLACE}: 0 MB in a round") or large.startswith(f"{PLACE}: 1 MB in a round")
    assert bad.startswith(f"{PLACE}: example 2 and 1 more: its assistant turn is empty")
    assert long.startswith(f"{PLACE}: example 3: longer than the 65,536 tokens")


def test_tokens_are_counted_with_those_around_each_turn(chat_tokenizer: Any) -> None:
    text = "A brass lamp."
    [count] = count_tokens([[{"role": "user", "content": text}] * 2], chat_tokenizer)
    assert count == 2 * (len(chat_tokenizer(text, add_special_tokens=False)["input_ids"]) + 3) + 3
    assert count_tokens([], chat_tokenizer) == []


@pytest.mark.parametrize(
    ("records", "epochs"), [(10, 10), (2, 25), (33, 3), (34, 3), (8000, 3), (20_000, 1), (30_000, 1), (9000, 2)]
)
def test_passes_that_are_left_to_the_service_follow_its_rule(records: int, epochs: int) -> None:
    assert chosen_epochs(records) == epochs


@pytest.mark.parametrize(("epochs", "tokens", "cost"), [(2, 6_000_000, 18.0), (0, 9_000_000, 27.0)])
def test_the_cost_is_of_all_rounds_and_passes(train_params: Any, epochs: int, tokens: int, cost: float) -> None:
    hosted = HostedParams(epochs=epochs, batch_size=0, lr_multiplier=0.0, suffix="")
    train = train_params.model_copy(update={"hosted": hosted, "price": 3.0, "max_cost": cost})
    rounds = [Examples(b"", 4000, 1_000_000), Examples(b"", 4000, 2_000_000)]
    assert estimate_cost(rounds, train) == (tokens, cost)
    with pytest.raises(
        UserError, match=rf"estimated to cost {cost:.2f} \({tokens:,} tokens at train.price 3 a million"
    ):
        estimate_cost(rounds, train.model_copy(update={"max_cost": cost - 0.01}))
