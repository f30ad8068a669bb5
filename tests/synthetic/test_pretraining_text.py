"""The text of pretraining: drawn chunk by chunk, without the sample's records, no title with its description."""

import random
import re
from typing import Any

import pytest
import torch

from src.synthetic import pretraining_text
from src.synthetic.catalogue import draw_outline, title_facts
from src.synthetic.pretraining_text import (
    ROW_TOKENS,
    Chat,
    ask_for_facts,
    held_out_texts,
    make_chats,
    render_chat,
    token_rows,
)

PARAPHRASE = "Put the text in other words."


@pytest.fixture(scope="module")
def chats() -> list[Chat]:
    """Four chunks of the text of the committed model."""
    return [chat for number in range(4) for chat in make_chats(7, number)]


def test_each_chunk_is_drawn_on_its_own() -> None:
    assert make_chats(7, 3) == make_chats(7, 3)
    assert not set(make_chats(7, 3)) & set(make_chats(7, 4))
    assert not set(make_chats(7, 3)) & set(make_chats(8, 3))


def test_no_record_of_the_sample_is_in_the_text(chats: list[Chat], monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(held_out_texts()) > 15_000
    assert all(held_out_texts().isdisjoint(chat) for chat in chats)
    first = make_chats(7, 0)
    monkeypatch.setattr(pretraining_text, "held_out_texts", lambda: frozenset({first[5][1]}))
    assert first[5] not in make_chats(7, 0)


def test_no_title_is_in_the_text_with_its_description() -> None:
    chats = make_chats(7, 0)
    contents = [text.lower() for instruction, *texts in chats if instruction == PARAPHRASE for text in texts]
    titles = {title for instruction, title, _ in chats if instruction != PARAPHRASE}
    assert len(titles) > 450
    for title in titles:
        words = set(re.findall(r"\w+", title.lower()))
        assert not any(words <= set(re.findall(r"\w+", content)) for content in contents)


def test_questions_on_titles_are_answered_from_the_title() -> None:
    rng = random.Random(3)
    for _ in range(200):
        outline = draw_outline(rng)
        question, title, answer = ask_for_facts(rng, outline)
        values = {fact.value for fact in title_facts(outline)}
        named = [value for value in values if value in answer]
        assert named and all(value in title for value in named)
        assert question.count(" and the ") == answer.count("; ")


def test_a_description_is_put_in_other_words(chats: list[Chat]) -> None:
    pairs = [(one, other) for instruction, one, other in chats if instruction == PARAPHRASE]
    assert 0.28 < len(pairs) / len(chats) < 0.38
    assert sum(one != other for one, other in pairs) > 0.9 * len(pairs)


def test_rows_hold_each_chat_whole(chat_tokenizer: Any, chats: list[Chat]) -> None:
    rows = token_rows(chat_tokenizer, chats[:60])
    assert rows.shape[1] == ROW_TOKENS
    padding = rows == chat_tokenizer.pad_token_id
    assert not (padding[:, :-1] & ~padding[:, 1:]).any()  # at the end of a row alone
    texts = [render_chat(chat_tokenizer, chat) for chat in chats[:60]]
    fitting = [text for text in texts if len(chat_tokenizer(text, add_special_tokens=False)["input_ids"]) <= ROW_TOKENS]
    begin = chat_tokenizer.bos_token
    packed = [chat_tokenizer.decode(row[~hidden]) for row, hidden in zip(rows, padding, strict=True)]
    assert sorted(begin + part for text in packed for part in text.split(begin)[1:]) == sorted(fitting)


def test_a_chat_longer_than_a_row_is_left_out(chat_tokenizer: Any, chats: list[Chat]) -> None:
    long = ("Put the text in other words.", "word " * ROW_TOKENS, "word")
    assert torch.equal(token_rows(chat_tokenizer, [long, *chats[:5]]), token_rows(chat_tokenizer, chats[:5]))
