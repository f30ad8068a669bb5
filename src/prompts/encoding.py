"""From prompt and completion to tokens and labels.

Covers token ids, labels and truncation. Does not load models, nor put records into rows: packing.py does.

The prompt is encoded on its own, as it is when the model answers it, and the completion as what goes on from there, so
that training and generation meet at the same token boundary. Labels are IGNORE_INDEX on the prompt: the loss is on the
completion alone, its end-of-turn token included.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from src.progress import progress_bar
from src.prompts import refusals
from src.prompts.rendering import FormattedRecord, Prompt, text_contents
from src.prompts.tokenizers import end_of_turn_id, render_turns, special_token_pattern, token_ids, with_bos

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORE_INDEX = -100  # the label that PyTorch's cross entropy leaves out


class EncodedRecord(NamedTuple):
    """One record as the model sees it: two lists of equal length."""

    input_ids: list[int]
    labels: list[int]


def render_prompt(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt) -> str:
    """A prompt as the text that a model goes on with, with its special tokens.

    Args:
        tokenizer: as `load_tokenizer` prepares it.
        prompt: turns, or text without the begin-of-text token.

    Raises:
        UserError: if the chat template refuses the turns.
    """
    if isinstance(prompt, str):
        return with_bos(tokenizer, prompt)
    return render_turns(tokenizer, prompt, add_generation_prompt=True)


def render_record(tokenizer: "PreTrainedTokenizerBase", record: FormattedRecord) -> tuple[str, str]:
    """Prompt and completion of a formatted record as text, with their special tokens.

    Args:
        tokenizer: as `load_tokenizer` prepares it.
        record: prompt and completion.

    Raises:
        UserError: if the chat template renders a prompt differently once the completion follows it.
    """
    prompt, completion = render_prompt(tokenizer, record["prompt"]), record["completion"]
    if isinstance(completion, str):
        return prompt, completion + tokenizer.eos_token
    whole = render_turns(tokenizer, record["prompt"] + completion)
    if not whole.startswith(prompt):
        raise refusals.changing_prompt()
    return prompt, whole.removeprefix(prompt)


def encode_prompt(tokenizer: "PreTrainedTokenizerBase", prompt: Prompt) -> list[int]:
    """Token ids of a prompt, with the begin-of-text token where the tokenizer has one.

    Args:
        tokenizer: as `load_tokenizer` prepares it.
        prompt: turns, or text without that token.

    Raises:
        UserError: if the chat template refuses the turns.
    """
    return token_ids(tokenizer, render_prompt(tokenizer, prompt))


def encode_record(
    tokenizer: "PreTrainedTokenizerBase", record: FormattedRecord, max_length: int | None = None
) -> EncodedRecord:
    """Token ids and labels of a formatted record.

    Args:
        tokenizer: as `load_tokenizer` prepares it.
        record: prompt and completion.
        max_length: tokens that both are truncated to; None keeps all.

    Raises:
        UserError: if the chat template renders a prompt differently once the completion follows it.
    """
    prompt, completion = encode_texts(tokenizer, *render_record(tokenizer, record))
    stop = end_of_turn_id(tokenizer)
    if stop in completion:  # some templates put a line break after it, which is not to be learnt
        completion = completion[: completion.index(stop) + 1]
    labels = [IGNORE_INDEX] * len(prompt) + completion
    return EncodedRecord((prompt + completion)[:max_length], labels[:max_length])


def encode_texts(tokenizer: "PreTrainedTokenizerBase", prompt: str, completion: str) -> tuple[list[int], list[int]]:
    """Token ids of a prompt, and of the completion that follows it.

    By itself a completion would begin with a space that it does not have, where the tokenizer puts one in front of
    every text, as SentencePiece does.

    Args:
        tokenizer: as `load_tokenizer` prepares it.
        prompt: its text, with its special tokens.
        completion: likewise.
    """
    asked, whole = token_ids(tokenizer, prompt), token_ids(tokenizer, prompt + completion)
    joined = whole[: len(asked)] != asked  # a token spans the end of the prompt
    return asked, token_ids(tokenizer, completion) if joined else whole[len(asked) :]


def encode_records(
    tokenizer: "PreTrainedTokenizerBase", records: Sequence[FormattedRecord], max_length: int | None = None
) -> list[EncodedRecord]:
    """Token ids and labels of many records, with a progress bar.

    Args:
        tokenizer: as `load_tokenizer` prepares it.
        records: prompts and completions.
        max_length: tokens that each is truncated to; None keeps all.

    Raises:
        UserError: if the chat template renders a prompt differently once the completion follows it.
    """
    encoded = []
    with progress_bar("Encoding", len(records), "records") as bar:
        for record in records:
            encoded.append(encode_record(tokenizer, record, max_length))
            bar.update()
    return encoded


def find_special_token(tokenizer: "PreTrainedTokenizerBase", record: FormattedRecord) -> str | None:
    """The first special token's text in a formatted record's own words, where it would become that token.

    Nothing is done about it here: llama.cpp and Ollama read special tokens in the whole prompt, so a tokenizer that
    did not would train on another prompt than the one that is served.

    Args:
        tokenizer: one with special tokens.
        record: prompt and completion.
    """
    matches = (special_token_pattern(tokenizer).search(text) for text in text_contents(record))
    return next((match[0] for match in matches if match), None)
