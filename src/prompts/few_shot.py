"""Prompts that show a model some training records before they ask: the cheap alternative to training it.

Covers which records are shown, the same in every prompt, and how.
"""

from collections.abc import Sequence
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING

from src.prompts import refusals
from src.prompts.encoding import encode_record
from src.prompts.rendering import FormattedRecord, Prompt

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BETWEEN = "\n\n"  # an example in text and what follows it


def choose_examples(
    tokenizer: "PreTrainedTokenizerBase", records: Sequence[FormattedRecord], count: int, max_length: int
) -> list[FormattedRecord]:
    """Records chosen by the hash of their uid, which knows nothing of their texts.

    Args:
        tokenizer: the model's.
        records: those of the training split.
        count: how many.
        max_length: tokens that an example has at most: train.max_length, so that no one is longer than training takes.

    Raises:
        UserError: if too few records are so short.
    """
    hashed = sorted(records, key=lambda record: sha256(record["uid"].encode()).hexdigest())
    fitting = (one for one in hashed if len(encode_record(tokenizer, one).input_ids) <= max_length)
    examples = list(islice(fitting, count))
    if len(examples) < count:
        raise refusals.too_few_examples(count, len(examples), max_length)
    return examples


def with_examples(examples: Sequence[FormattedRecord], prompt: Prompt) -> Prompt:
    """A prompt after examples: turns of user and assistant before the last user's, or text before the text.

    Args:
        examples: prompts and completions, in the form of the prompt.
        prompt: what is asked after them.
    """
    if isinstance(prompt, str):
        return "".join(f"{one['prompt']}{one['completion']}{BETWEEN}" for one in examples) + prompt
    shown = [turn for one in examples for turn in [one["prompt"][-1], *one["completion"]]]
    return [*prompt[:-1], *shown, prompt[-1]]


def refuse_long_prompts(longest: int, max_new_tokens: int, positions: int) -> None:
    """Makes sure that the longest prompt and its answer fit the model.

    Args:
        longest: tokens of the longest prompt, its examples among them.
        max_new_tokens: of an answer.
        positions: that the model has.

    Raises:
        UserError: if they do not fit.
    """
    if longest + max_new_tokens > positions:
        raise refusals.too_long_examples(longest, max_new_tokens, positions)
