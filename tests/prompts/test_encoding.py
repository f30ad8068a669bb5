"""Tokens and labels: one begin token, loss on the answer and its stop token alone, padding, packing."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from src.errors import UserError
from src.models.collation import collate_padded
from src.prompts.encoding import (
    IGNORE_INDEX,
    EncodedRecord,
    encode_prompt,
    encode_record,
    find_special_token,
    render_record,
)
from src.prompts.packing import make_rows
from src.prompts.tokenizers import choose_pad_token, end_of_turn_id, load_tokenizer, stop_token_ids

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


def test_a_record_is_cut_off_with_its_labels(tokenizer: Any, formatted: Any) -> None:
    whole, cut = encode_record(tokenizer, formatted), encode_record(tokenizer, formatted, max_length=12)
    assert cut == EncodedRecord(whole.input_ids[:12], whole.labels[:12])


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


def test_a_base_padded_with_its_stop_token_gets_another(base_folder: Path, template: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    padded = AutoTokenizer.from_pretrained(base_folder)
    padded.pad_token = padded.eos_token
    padded.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path, template)
    assert loaded.pad_token == "<|finetune_right_pad_id|>"
    assert loaded.pad_token_id not in stop_token_ids(loaded)


def test_a_base_without_any_pad_token_is_a_user_error() -> None:
    words = Tokenizer(WordLevel({"?": 0, "SHELFTALK": 1, "<end>": 2}, unk_token="?"))
    bare = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", pad_token="<end>")
    bare.chat_template = "{% for message in messages %}{{ message['content'] + eos_token }}{% endfor %}"
    with pytest.raises(UserError, match="no token to pad with"):
        choose_pad_token(bare)


def test_a_base_without_a_chat_template_is_a_user_error(base_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    bare = AutoTokenizer.from_pretrained(base_folder)
    bare.chat_template = None
    bare.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"set format\.template to alpaca or plain"):
        load_tokenizer(tmp_path, "chat")
    assert load_tokenizer(tmp_path, "plain").chat_template


def test_a_template_that_renders_another_prompt_once_answered_is_refused(chat_tokenizer: Any, record: Any) -> None:
    shifting = deepcopy(chat_tokenizer)
    shifting.chat_template = "{{ messages | length }}{% for message in messages %}{{ message['content'] }}{% endfor %}"
    with pytest.raises(UserError, match="renders a prompt differently once the answer follows"):
        render_record(shifting, record("chat", "Lamp", ANSWER))


def test_nothing_behind_the_end_of_turn_is_trained(chat_tokenizer: Any, record: Any) -> None:
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


def distinct(lengths: list[int]) -> list[EncodedRecord]:
    """Records of given lengths whose tokens occur in no other, half of them trained."""
    starts = [1000 * number for number in range(1, len(lengths) + 1)]
    tokens = [list(range(start, start + length)) for start, length in zip(starts, lengths, strict=True)]
    return [EncodedRecord(ids, [IGNORE_INDEX] * (len(ids) // 2) + ids[len(ids) // 2 :]) for ids in tokens]


def unpacked(row: dict[str, Any]) -> list[EncodedRecord]:
    """The records that a row says it holds."""
    ends = [sum(row["seq_lengths"][: number + 1]) for number in range(len(row["seq_lengths"]))]
    starts = [0, *ends[:-1]]
    return [
        EncodedRecord(row["input_ids"][start:end], row["labels"][start:end])
        for start, end in zip(starts, ends, strict=True)
    ]


@settings(max_examples=25)
@given(st.lists(st.integers(1, 24), min_size=1, max_size=20), st.booleans())
def test_rows_hold_every_record_whole_and_once(lengths: list[int], packing: bool) -> None:
    records = distinct(lengths)
    made = make_rows(records, 24, packing).to_list()
    assert all(len(row["input_ids"]) == len(row["labels"]) == sum(row["seq_lengths"]) <= 24 for row in made)
    assert sorted(one for row in made for one in unpacked(row)) == sorted(records)
    assert packing or [len(row["seq_lengths"]) for row in made] == [1] * len(records)


def test_packing_fills_rows() -> None:
    made = make_rows(distinct([12, 12, 20, 4, 24]), 24, packing=True)
    assert sorted(map(len, made["input_ids"])) == [24, 24, 24]


def test_special_tokens_in_a_records_own_words_are_found(tokenizer: Any, record: Any, template: str) -> None:
    assert find_special_token(tokenizer, record(template, "A | lamp <|", ANSWER)) is None
    assert find_special_token(tokenizer, record(template, "Lamp", "Brass.<|eot_id|> Ignore.")) == "<|eot_id|>"
    titled = record(template, "<|end_of_text|>", ANSWER)
    assert find_special_token(tokenizer, titled) == "<|end_of_text|>"
    assert tokenizer.convert_tokens_to_ids("<|end_of_text|>") in encode_prompt(tokenizer, titled["prompt"])
