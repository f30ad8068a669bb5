"""From prompt and completion to tokens and labels, and back from a template to its stop token.

Covers the tokenizer's preparation (template, pad token), token ids, labels and packing. Does not load models.

The prompt is encoded on its own, as it is when the model answers it, so that training and generation meet at the same
token boundary. Labels are IGNORED on the prompt: the loss is on the answer and its end-of-turn token alone.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from src.errors import UserError
from src.prompts.rendering import TemplateName, saved_chat_template, text_contents

IGNORE_INDEX = -100  # the label that PyTorch's cross entropy leaves out

PAD_CANDIDATES = ("<|finetune_right_pad_id|>", "<|reserved_special_token_0|>", "<pad>", "<unk>")
ANSWER_MARK = "SHELFTALK"  # stands for an answer where only what follows it is looked at


class EncodedRecord(NamedTuple):
    """One record as the model sees it: two lists of equal length."""

    input_ids: list[int]
    labels: list[int]


def load_tokenizer(folder: str | Path, template: TemplateName) -> Any:
    """The tokenizer of a model's folder, with the travelling chat template and a pad token that stops nothing.

    Raises:
        UserError: if the template does not fit the base model or no token can serve as padding.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    tokenizer.chat_template = saved_chat_template(template, tokenizer.chat_template)
    tokenizer.pad_token = choose_pad_token(tokenizer)
    tokenizer.padding_side = "left"  # generation goes on from the right end
    tokenizer.deprecation_warnings["sequence-length-is-longer-than-the-specified-maximum"] = True  # the audit says so
    return tokenizer


def choose_pad_token(tokenizer: Any) -> str:
    """A token for padding that is neither the end of a text nor of a turn: a model padded with those never stops.

    Raises:
        UserError: if the vocabulary offers none.
    """
    stops, vocabulary = stop_token_ids(tokenizer), tokenizer.get_vocab()
    for token in (tokenizer.pad_token, *PAD_CANDIDATES):
        if token in vocabulary and vocabulary[token] not in stops:
            return token
    raise UserError(
        "The base model's tokenizer has no token to pad with that does not also stop an answer: "
        f"add one of {', '.join(PAD_CANDIDATES)} to its vocabulary."
    )


def render_turns(tokenizer: Any, turns: list[dict[str, str]], add_generation_prompt: bool = False) -> str:
    """Turns as text by the tokenizer's chat template, beginning with one begin-of-text token where there is one.

    Raises:
        UserError: if the template refuses the turns, as some do a system turn.
    """
    from jinja2 import TemplateError

    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=add_generation_prompt)
    except TemplateError as error:
        raise UserError(
            f"the base model's chat template refuses the prompt ({error}): set format.template to alpaca or plain."
        ) from None
    return with_bos(tokenizer, text)


def with_bos(tokenizer: Any, text: str) -> str:
    """`text` with exactly one begin-of-text token in front, if the tokenizer has such a token."""
    begin = tokenizer.bos_token or ""
    return text if text.startswith(begin) else begin + text


def render_record(tokenizer: Any, record: dict[str, Any]) -> tuple[str, str]:
    """Prompt and completion of a formatted record as text, special tokens and all.

    Raises:
        UserError: if the chat template renders a prompt differently once the answer follows it.
    """
    prompt, completion = record["prompt"], record["completion"]
    if isinstance(prompt, str):
        return with_bos(tokenizer, prompt), completion + tokenizer.eos_token
    asked = render_turns(tokenizer, prompt, add_generation_prompt=True)
    whole = render_turns(tokenizer, prompt + completion)
    if not whole.startswith(asked):
        raise UserError(
            "The base model's chat template renders a prompt differently once the answer follows, so that training and "
            "generation would see different prompts: set format.template to alpaca or plain."
        )
    return asked, whole.removeprefix(asked)


def encode_prompt(tokenizer: Any, record: dict[str, Any]) -> list[int]:
    """Token ids of a formatted record's prompt."""
    return token_ids(tokenizer, render_record(tokenizer, record)[0])


def encode_record(tokenizer: Any, record: dict[str, Any], max_length: int | None = None) -> EncodedRecord:
    """Token ids and labels of a formatted record, cut off at `max_length` tokens."""
    prompt, completion = (token_ids(tokenizer, text) for text in render_record(tokenizer, record))
    stop = end_of_turn_id(tokenizer)
    if stop in completion:  # some templates put a line break behind it, which nobody is to learn
        completion = completion[: completion.index(stop) + 1]
    labels = [IGNORE_INDEX] * len(prompt) + completion
    return EncodedRecord((prompt + completion)[:max_length], labels[:max_length])


def token_ids(tokenizer: Any, text: str) -> list[int]:
    """Token ids of a text that holds its special tokens already."""
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def find_special_token(tokenizer: Any, record: dict[str, Any]) -> str | None:
    """The first special token's text in a formatted record's own words, where it would become that token.

    Nothing is done about it here: llama.cpp and Ollama read special tokens in the whole prompt, so a tokenizer that
    did not would train on another prompt than the one that is served.
    """
    matches = (special_token_pattern(tokenizer).search(text) for text in text_contents(record))
    return next((match[0] for match in matches if match), None)


@lru_cache(maxsize=8)
def special_token_pattern(tokenizer: Any) -> re.Pattern[str]:
    """What the special tokens look like in a text."""
    special = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    return re.compile("|".join(map(re.escape, special)) or "(?!)")  # matches nothing


def end_of_turn_id(tokenizer: Any) -> int | None:
    """The special token that the chat template puts after an answer, which a model has to learn to stop by."""
    return find_end_of_turn(tokenizer, tokenizer.chat_template)


@lru_cache(maxsize=8)
def find_end_of_turn(tokenizer: Any, chat_template: str) -> int | None:
    """What `end_of_turn` gives, remembered for a tokenizer and its template."""
    turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": ANSWER_MARK}]
    tail = token_ids(tokenizer, render_turns(tokenizer, turns).rpartition(ANSWER_MARK)[2])
    return next((token for token in tail if token in tokenizer.all_special_ids), None)


def stop_token_ids(tokenizer: Any) -> list[int]:
    """The tokens that end an answer: the template's end of turn and the tokenizer's end of text."""
    return sorted({token for token in (end_of_turn_id(tokenizer), tokenizer.eos_token_id) if token is not None})


def make_rows(encoded: Iterable[EncodedRecord], max_length: int, packing: bool) -> Any:
    """The rows a model trains on, as a `datasets.Dataset` of input_ids, labels and seq_lengths.

    With packing a row holds several records, best-fit decreasing (Ding et al. 2024, "Fewer Truncations Improve Language
    Modeling"), up to `max_length` tokens; seq_lengths says where each record ends. Without, a row holds one.
    """
    from datasets import Dataset, disable_progress_bars

    disable_progress_bars()  # rows are encoded in memory, in a moment
    examples = [example._asdict() for example in encoded]
    dataset = Dataset.from_list(examples)
    if not packing:
        return dataset.add_column("seq_lengths", [[len(example["input_ids"])] for example in examples])
    from trl import pack_dataset

    return pack_dataset(dataset, seq_length=max_length, strategy="bfd")
