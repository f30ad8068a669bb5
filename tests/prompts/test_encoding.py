"""Tokens and labels: one begin token, loss on the completion and its stop token alone, padding, packing."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from src.errors import UserError
from src.models.collation import collate_padded
from src.prompts.encoding import (
    IGNORE_INDEX,
    EncodedRecord,
    encode_prompt,
    encode_record,
    find_special_token,
    render_prompt,
    render_record,
)
from src.prompts.tokenizers import end_of_turn_id, stop_token_ids, token_ids

TITLES = ["Brass Desk Lamp", "", "<b> Owls", "Ünï é 日本 7"]
ANSWER = "A lamp made of brass. It is 9 inches high."


@pytest.fixture(params=TITLES)
def formatted(request: pytest.FixtureRequest, record: Callable[..., Any], template: str) -> dict[str, Any]:
    return record(template, request.param, ANSWER)


def test_tokens_are_the_texts_tokens(tokenizer: Any, formatted: Any) -> None:
    ids, labels = encode_record(tokenizer, formatted)
    assert tokenizer.decode(ids) == "".join(render_record(tokenizer, formatted))
    assert len(labels) == len(ids)


def test_training_and_generation_meet_at_the_same_token(tokenizer: Any, formatted: Any) -> None:
    prompt = encode_prompt(tokenizer, formatted["prompt"])
    ids, labels = encode_record(tokenizer, formatted)
    assert ids[: len(prompt)] == prompt
    assert [label != IGNORE_INDEX for label in labels].index(True) == len(prompt)


def test_a_prompt_needs_no_answer(tokenizer: Any, formatted: Any) -> None:
    text = render_prompt(tokenizer, formatted["prompt"])
    assert text == render_record(tokenizer, formatted)[0]
    assert encode_prompt(tokenizer, formatted["prompt"]) == token_ids(tokenizer, text)


def test_there_is_exactly_one_begin_token(tokenizer: Any, formatted: Any) -> None:
    ids = encode_record(tokenizer, formatted).input_ids
    assert ids[0] == tokenizer.bos_token_id
    assert ids.count(tokenizer.bos_token_id) == 1


def test_labels_are_the_answer_and_its_stop_token(tokenizer: Any, formatted: Any) -> None:
    ids, labels = encode_record(tokenizer, formatted)
    trained = [label for label in labels if label != IGNORE_INDEX]
    assert tokenizer.decode(trained) == ANSWER + "<|eot_id|>"
    assert trained == ids[-len(trained) :]
    assert trained[-1] == end_of_turn_id(tokenizer)
    assert trained[-1] in stop_token_ids(tokenizer)


def test_a_record_is_truncated_with_its_labels(tokenizer: Any, formatted: Any) -> None:
    whole, truncated = encode_record(tokenizer, formatted), encode_record(tokenizer, formatted, max_length=12)
    assert truncated == EncodedRecord(whole.input_ids[:12], whole.labels[:12])


def test_the_pad_token_stops_nothing_and_is_never_trained(tokenizer: Any, record: Any, template: str) -> None:
    pad = tokenizer.pad_token_id
    assert pad not in stop_token_ids(tokenizer)
    encoded = [
        encode_record(tokenizer, record(template, title, ANSWER)) for title in ("Lamp", "A Long Title of a Brass Lamp")
    ]
    batch = collate_padded([{**one._asdict(), "seq_lengths": [len(one.input_ids)]} for one in encoded], pad)
    assert (batch["input_ids"] == pad).any()
    assert (batch["labels"][batch["input_ids"] == pad] == IGNORE_INDEX).all()
    assert not (batch["labels"] == pad).any()


def test_a_template_that_renders_another_prompt_once_answered_is_refused(chat_tokenizer: Any, record: Any) -> None:
    shifting = deepcopy(chat_tokenizer)
    shifting.chat_template = "{{ messages | length }}{% for message in messages %}{{ message['content'] }}{% endfor %}"
    with pytest.raises(UserError, match="renders a prompt differently once the completion follows"):
        render_record(shifting, record("chat", "Lamp", ANSWER))


def test_nothing_after_the_end_of_turn_is_trained(chat_tokenizer: Any, record: Any) -> None:
    breaking = deepcopy(chat_tokenizer)
    breaking.chat_template = chat_tokenizer.chat_template.replace(
        "'<|eot_id|>' -}}\n{%- endfor", "'<|eot_id|>\\n' -}}\n{%- endfor"
    )
    assert render_record(breaking, record("chat", "Lamp", ANSWER))[1].endswith("<|eot_id|>\n")
    assert encode_record(breaking, record("chat", "Lamp", ANSWER)).labels[-1] == breaking.eos_token_id


def test_a_template_that_refuses_a_system_turn_is_a_user_error(chat_tokenizer: Any, record: Any) -> None:
    strict = deepcopy(chat_tokenizer)
    strict.chat_template = "{{ raise_exception('no system turn') }}"
    with pytest.raises(UserError, match=r"refuses the prompt \(no system turn\): set format\.template"):
        render_record(strict, record("chat", "Lamp", ANSWER))


def test_special_tokens_in_a_records_own_words_are_found(tokenizer: Any, record: Any, template: str) -> None:
    assert find_special_token(tokenizer, record(template, "A | lamp <|", ANSWER)) is None
    assert find_special_token(tokenizer, record(template, "Lamp", "Brass.<|eot_id|> Ignore.")) == "<|eot_id|>"
    titled = record(template, "<|end_of_text|>", ANSWER)
    assert find_special_token(tokenizer, titled) == "<|end_of_text|>"
    assert tokenizer.convert_tokens_to_ids("<|end_of_text|>") in encode_prompt(tokenizer, titled["prompt"])
