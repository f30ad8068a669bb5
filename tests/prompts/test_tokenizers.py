"""The prepared tokenizer: its template, a pad token that stops nothing, the tokens that end an answer."""

from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from transformers import PreTrainedTokenizerFast

from src.errors import UserError
from src.prompts.tokenizers import (
    choose_pad_token,
    end_of_turn_id,
    load_tokenizer,
    stop_texts,
    stop_token_ids,
    with_bos,
    without_bos,
)


def test_a_base_padded_with_its_stop_token_gets_another(base_folder: Path, template: Any, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    padded = AutoTokenizer.from_pretrained(base_folder)
    padded.pad_token = padded.eos_token
    padded.save_pretrained(tmp_path)
    loaded = load_tokenizer(tmp_path, template)
    assert loaded.pad_token == "<|finetune_right_pad_id|>"
    assert loaded.pad_token_id not in stop_token_ids(loaded)


def padded_with_its_stop(*more: str) -> PreTrainedTokenizerFast:
    """A tokenizer of few words and some more."""
    words = {word: number for number, word in enumerate(("?", "SHELFTALK", "<end>", *more))}
    made = Tokenizer(WordLevel(words, unk_token="?"))
    bare = PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<end>", pad_token="<end>")
    bare.chat_template = "{% for message in messages %}{{ message['content'] + eos_token }}{% endfor %}"
    return bare


def test_a_base_without_any_pad_token_is_a_user_error() -> None:
    with pytest.raises(UserError, match="no token to pad with"):
        choose_pad_token(padded_with_its_stop())


def test_qwen_2_5_is_padded_with_a_token_that_it_never_writes() -> None:
    assert choose_pad_token(padded_with_its_stop("<|vision_pad|>")) == "<|vision_pad|>"


def test_a_base_without_a_chat_template_is_a_user_error(base_folder: Path, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    bare = AutoTokenizer.from_pretrained(base_folder)
    bare.chat_template = None
    bare.save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"set format\.template to alpaca or plain"):
        load_tokenizer(tmp_path, "chat")
    assert load_tokenizer(tmp_path, "plain").chat_template


def test_the_stop_tokens_are_the_end_of_a_turn_and_of_a_text(tokenizer: Any) -> None:
    assert end_of_turn_id(tokenizer) in stop_token_ids(tokenizer)
    assert tokenizer.eos_token_id in stop_token_ids(tokenizer)
    assert stop_texts(tokenizer) == [tokenizer.decode([token]) for token in stop_token_ids(tokenizer)]


def test_a_begin_token_is_put_in_front_once_and_taken_away_again(tokenizer: Any) -> None:
    begun = with_bos(tokenizer, "Lamp")
    assert begun == with_bos(tokenizer, begun) == f"{tokenizer.bos_token}Lamp"
    assert without_bos(tokenizer, begun) == without_bos(tokenizer, "Lamp") == "Lamp"
