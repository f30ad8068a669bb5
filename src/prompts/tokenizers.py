"""A base model's tokenizer, prepared: its template, its pad token, the tokens that stop an answer.

Covers what does not depend on the text that is encoded. Does not make labels: encoding.py does.
"""

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from src.params import TemplateName
from src.prompts import refusals
from src.prompts.rendering import Turns, saved_chat_template
from src.prompts.tokenizer_files import read_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Tokens that models reserve and never write, the likeliest first. A model padded with its stop token learns to ignore
# that token, and never stops.
PAD_CANDIDATES = ("<|finetune_right_pad_id|>", "<|reserved_special_token_0|>", "<|vision_pad|>", "<pad>", "<unk>")

# In place of a completion where only what the template puts after it matters.
COMPLETION_MARK = "SHELFTALK"


def load_tokenizer(folder: str | Path, template: TemplateName) -> "PreTrainedTokenizerBase":
    """The tokenizer of a model's folder, with the travelling chat template and a pad token that stops nothing.

    Args:
        folder: a base model or an adapter.
        template: the format whose chat template it gets.

    Raises:
        UserError: if there is no such folder, no tokenizer can be loaded from it, the template does not fit the base
            model or no token can serve as padding.
    """
    if not Path(folder).is_dir():
        raise refusals.missing_model(folder)
    try:
        tokenizer = read_tokenizer(folder)
    except Exception as error:  # transformers raises anything on a file that is missing or cut off
        raise refusals.broken_tokenizer(folder, error) from None
    tokenizer.chat_template = saved_chat_template(template, tokenizer.chat_template, tokenizer.bos_token)
    tokenizer.pad_token = choose_pad_token(tokenizer)
    tokenizer.padding_side = "left"  # generation goes on from the right end
    # No warning about long records: the audit counts them.
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True
    return tokenizer


def choose_pad_token(tokenizer: "PreTrainedTokenizerBase") -> str:
    """A token for padding that is neither the end of a text nor of a turn: a model padded with those never stops.

    Raises:
        UserError: if the vocabulary offers none.
    """
    stops, vocabulary = stop_token_ids(tokenizer), tokenizer.get_vocab()
    for token in (tokenizer.pad_token, *PAD_CANDIDATES):
        if token in vocabulary and vocabulary[token] not in stops:
            return token
    raise refusals.missing_pad_token(PAD_CANDIDATES)


def render_turns(tokenizer: "PreTrainedTokenizerBase", turns: Turns, add_generation_prompt: bool = False) -> str:
    """Turns as text by the tokenizer's chat template, beginning with one begin-of-text token where there is one.

    Args:
        tokenizer: one with a chat template.
        turns: what is rendered.
        add_generation_prompt: whether the text ends where a completion begins.

    Raises:
        UserError: if the template refuses the turns, as some do a system turn.
    """
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=add_generation_prompt)
    except Exception as error:  # a template is a program of the model's maker, which may raise anything
        raise refusals.refused_turns(str(error) or type(error).__name__) from None
    return with_bos(tokenizer, str(text))


def with_bos(tokenizer: "PreTrainedTokenizerBase", text: str) -> str:
    """A text with exactly one begin-of-text token in front, if the tokenizer has such a token.

    Args:
        tokenizer: any.
        text: with that token or without.
    """
    begin = tokenizer.bos_token or ""
    return text if text.startswith(begin) else begin + text


def without_bos(tokenizer: "PreTrainedTokenizerBase", text: str) -> str:
    """A text without the begin-of-text token in front, which llama.cpp and Ollama add themselves.

    Args:
        tokenizer: any.
        text: with that token or without.
    """
    return text.removeprefix(tokenizer.bos_token or "")


def token_ids(tokenizer: "PreTrainedTokenizerBase", text: str) -> list[int]:
    """Token ids of a text.

    Args:
        tokenizer: any.
        text: with its special tokens; none is added.
    """
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def end_of_turn_id(tokenizer: "PreTrainedTokenizerBase") -> int | None:
    """The special token that the chat template puts after a completion, which a model has to learn to stop by."""
    return find_end_of_turn(tokenizer, tokenizer.chat_template)


@lru_cache(maxsize=8)
def find_end_of_turn(tokenizer: "PreTrainedTokenizerBase", chat_template: str) -> int | None:
    """What `end_of_turn_id` gives, remembered for a tokenizer and its template.

    Args:
        tokenizer: the one that renders and encodes.
        chat_template: its template, here only to tell two states of one tokenizer apart.
    """
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": COMPLETION_MARK}]
    tail = token_ids(tokenizer, render_turns(tokenizer, turns).rpartition(COMPLETION_MARK)[2])
    return next((token for token in tail if token in tokenizer.all_special_ids), None)


def stop_token_ids(tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """The tokens that end an answer: the template's end of turn and the tokenizer's end of text."""
    return sorted({token for token in (end_of_turn_id(tokenizer), tokenizer.eos_token_id) if token is not None})


def stop_texts(tokenizer: "PreTrainedTokenizerBase") -> list[str]:
    """The stop tokens as text."""
    return [str(tokenizer.decode([token])) for token in stop_token_ids(tokenizer)]


@lru_cache(maxsize=8)
def special_token_pattern(tokenizer: "PreTrainedTokenizerBase") -> re.Pattern[str]:
    """What the special tokens look like in a text."""
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return re.compile("|".join(map(re.escape, special)) or "(?!)")  # matches nothing
