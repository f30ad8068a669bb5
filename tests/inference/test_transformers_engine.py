"""Greedy answers of transformers: the same alone and in a batch, up to the stop token."""

from typing import Any

import pytest
import torch

from src.inference.engine import Answer, Sampling
from src.inference.transformers_engine import TransformersEngine, generation_config, read_answer
from src.prompts.encoding import encode_prompt
from src.prompts.rendering import Prompt
from src.prompts.tokenizers import stop_token_ids

TITLES = ["Brass Desk Lamp", "Owl", "A Field Guide to the Owls of the Northern Woods, Second Edition"]


@pytest.fixture
def prompts(record: Any) -> list[Prompt]:
    return [record("chat", title, "-")["prompt"] for title in TITLES]


def test_an_answer_ends_at_the_first_stop_token(chat_tokenizer: Any) -> None:
    stops = stop_token_ids(chat_tokenizer)
    lamp = chat_tokenizer(" a lamp ", add_special_tokens=False)["input_ids"]
    assert read_answer(chat_tokenizer, [*lamp, stops[0], *lamp], stops) == Answer("a lamp", lamp, "stop")
    assert read_answer(chat_tokenizer, lamp, stops) == Answer("a lamp", lamp, "length")
    assert read_answer(chat_tokenizer, [stops[0]], stops) == Answer("", [], "stop")


def test_decoding_is_greedy_and_never_stops_at_padding(chat_tokenizer: Any) -> None:
    decoding = generation_config(chat_tokenizer, Sampling(7))
    assert (decoding.do_sample, decoding.max_new_tokens) == (False, 7)
    assert decoding.eos_token_id == stop_token_ids(chat_tokenizer)
    assert decoding.pad_token_id not in decoding.eos_token_id


def test_answers_are_the_most_likely_tokens_one_by_one(model: Any, chat_tokenizer: Any, prompts: list[Prompt]) -> None:
    prompt = encode_prompt(chat_tokenizer, prompts[0])
    expected: list[int] = []
    for _ in range(5):
        with torch.no_grad():
            expected.append(int(model(torch.tensor([prompt + expected])).logits[0, -1].argmax()))
    [answer] = TransformersEngine(model, chat_tokenizer, batch_size=1).answer(prompts[:1], Sampling(5))
    assert answer == read_answer(chat_tokenizer, expected, stop_token_ids(chat_tokenizer))


def test_a_batch_answers_as_single_prompts_do(model: Any, chat_tokenizer: Any, prompts: list[Prompt]) -> None:
    alone, together = (TransformersEngine(model, chat_tokenizer, size).answer(prompts, Sampling(8)) for size in (1, 3))
    assert alone == together
    assert len(alone) == 3
