"""Greedy answers: the same alone and in a batch, up to the stop token; and the loss of the reference answers."""

from typing import Any

import pytest
import torch

from src.inference.transformers_engine import greedy_answers, greedy_config, read_answer, reference_losses
from src.models.loss import answer_loss
from src.prompts.encoding import encode_prompt, encode_record
from src.prompts.tokenizers import stop_token_ids

TITLES = ["Brass Desk Lamp", "Owl", "A Field Guide to the Owls of the Northern Woods, Second Edition"]


@pytest.fixture
def records(record: Any) -> list[dict[str, Any]]:
    return [record("chat", title, f"{title} is described here.") for title in TITLES]


def test_an_answer_ends_at_the_first_stop_token(chat_tokenizer: Any) -> None:
    stops = stop_token_ids(chat_tokenizer)
    lamp = chat_tokenizer(" a lamp ", add_special_tokens=False)["input_ids"]
    assert read_answer(chat_tokenizer, [*lamp, stops[0], *lamp], stops) == ("a lamp", lamp, True)
    assert read_answer(chat_tokenizer, lamp, stops) == ("a lamp", lamp, False)
    assert read_answer(chat_tokenizer, [stops[0]], stops) == ("", [], True)


def test_decoding_is_greedy_and_never_stops_at_padding(chat_tokenizer: Any) -> None:
    decoding = greedy_config(chat_tokenizer, 7)
    assert (decoding.do_sample, decoding.max_new_tokens) == (False, 7)
    assert decoding.eos_token_id == stop_token_ids(chat_tokenizer)
    assert decoding.pad_token_id not in decoding.eos_token_id


def test_answers_are_the_most_likely_tokens_one_by_one(model: Any, chat_tokenizer: Any, records: list[Any]) -> None:
    prompt = encode_prompt(chat_tokenizer, records[0]["prompt"])
    expected: list[int] = []
    for _ in range(5):
        with torch.no_grad():
            expected.append(int(model(torch.tensor([prompt + expected])).logits[0, -1].argmax()))
    [answer] = greedy_answers(model, chat_tokenizer, records[:1], max_new_tokens=5, batch_size=1)
    assert answer.tokens == read_answer(chat_tokenizer, expected, stop_token_ids(chat_tokenizer)).tokens


def test_a_batch_answers_as_single_prompts_do(model: Any, chat_tokenizer: Any, records: list[Any]) -> None:
    alone, together = (greedy_answers(model, chat_tokenizer, records, 8, batch_size=size) for size in (1, 3))
    assert alone == together
    assert len(alone) == 3


def test_reference_losses_are_sums_over_each_answer_in_any_batch(
    model: Any, chat_tokenizer: Any, records: list[Any]
) -> None:
    alone = [loss for record in records for loss in reference_losses(model, chat_tokenizer, [record], 256)]
    together = reference_losses(model, chat_tokenizer, records, 256)
    assert [tokens for _, tokens in alone] == [len(answer_tokens(chat_tokenizer, record)) for record in records]
    assert [loss for loss, _ in together] == pytest.approx([loss for loss, _ in alone], abs=1e-3)
    encoded = [encode_record(chat_tokenizer, record)._asdict() for record in records]
    rows = [{**row, "seq_lengths": [len(row["input_ids"])]} for row in encoded]
    mean = sum(loss for loss, _ in alone) / sum(tokens for _, tokens in alone)
    assert mean == pytest.approx(answer_loss(model, rows, chat_tokenizer.pad_token_id), abs=1e-5)


def answer_tokens(tokenizer: Any, record: dict[str, Any]) -> list[int]:
    """The tokens of a record's answer, its end of turn included."""
    return tokenizer(record["completion"][0]["content"] + "<|eot_id|>", add_special_tokens=False)["input_ids"]
