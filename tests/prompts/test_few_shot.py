"""Examples in front of a prompt: the same in every one, chosen by hash, as turns or as text, refused where too long."""

from typing import Any

import pytest

from src.errors import UserError
from src.prompts.encoding import encode_record, render_prompt
from src.prompts.few_shot import choose_examples, refuse_long_prompts, with_examples

TITLES = ["Brass Lamp", "Owl", "Kettle", "Red Bag"]


@pytest.fixture
def records(record: Any, template: Any) -> list[dict[str, Any]]:
    return [{"uid": f"U{number}"} | record(template, title, f"{title} is fine.") for number, title in enumerate(TITLES)]


def test_the_choice_depends_on_the_uids_alone(tokenizer: Any, records: list[Any]) -> None:
    chosen = choose_examples(tokenizer, records, 2, 500)
    assert choose_examples(tokenizer, records[::-1], 2, 500) == chosen
    assert choose_examples(tokenizer, records, 3, 500)[:2] == chosen
    reworded = [one | {"title": "Other"} for one in records]
    assert [one["uid"] for one in choose_examples(tokenizer, reworded, 2, 500)] == [one["uid"] for one in chosen]


def test_no_example_is_longer_than_training_takes(tokenizer: Any, records: list[Any]) -> None:
    lengths = {one["uid"]: len(encode_record(tokenizer, one).input_ids) for one in records}
    longest = max(lengths.values())
    fitting = {uid for uid, length in lengths.items() if length < longest}
    assert {one["uid"] for one in choose_examples(tokenizer, records, len(fitting), longest - 1)} == fitting
    with pytest.raises(UserError, match=r"generate.few_shot is 4, and \d training records .* lower generate.few_shot"):
        choose_examples(tokenizer, records, 4, longest - 1)


def test_each_example_stands_before_the_prompt_with_its_answer(tokenizer: Any, records: list[Any]) -> None:
    *examples, asked = records
    text = render_prompt(tokenizer, with_examples(examples, asked["prompt"]))
    places = [text.find(part) for title in TITLES[:3] for part in (title, f"{title} is fine.")] + [text.find("Red Bag")]
    assert places == sorted(places) and places[0] > 0
    assert "Red Bag is fine." not in text
    alone = render_prompt(tokenizer, asked["prompt"])
    assert text.endswith(alone[alone.index("Red Bag") :])  # the model goes on from the same place
    assert with_examples([], asked["prompt"]) == asked["prompt"]


def test_the_examples_take_as_many_tokens_in_every_prompt(tokenizer: Any, records: list[Any]) -> None:
    added = {
        len(encode_record(tokenizer, one | {"prompt": with_examples(records[:2], one["prompt"])}).input_ids)
        - len(encode_record(tokenizer, one).input_ids)
        for one in records
    }
    assert len(added) == 1


def test_the_instruction_stands_once_in_a_chat(record: Any) -> None:
    records = [record("chat", title, "Fine.") for title in TITLES]
    turns = with_examples(records[:2], records[2]["prompt"])
    assert isinstance(turns, list)
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user", "assistant", "user"]


def test_prompts_and_answers_that_do_not_fit_are_refused() -> None:
    refuse_long_prompts(90, 10, 100)
    with pytest.raises(UserError, match=r"has 91 tokens, and with generate.max_new_tokens .10. more than the 100"):
        refuse_long_prompts(91, 10, 100)
