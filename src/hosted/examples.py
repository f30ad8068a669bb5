"""Training examples as a service takes them: conversations in JSON Lines, checked by the API's own rules, and counted.

Covers the supervised format of OpenAI's fine-tuning API. The turns are those that src/inference/endpoint.py sends for
the same prompts, so that the tuned model is asked as it was trained.
"""

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from src.hosted import refusals
from src.inference.endpoint import as_turns
from src.prompts.rendering import FormattedRecord, Turns, reference_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROLES = ("system", "user", "assistant")  # more are allowed, but not made here
LEAST_EXAMPLES = 10
LARGEST_FILE = 512_000_000  # bytes
LONGEST_EXAMPLE = 65_536  # tokens, of the models whose limit is lowest; the service cuts off what is beyond
# What a turn, and a whole conversation, has beside its text (OpenAI's cookbook, "Chat fine-tuning data prep").
TURN_TOKENS, CONVERSATION_TOKENS = 3, 3


class Examples(NamedTuple):
    """A file of examples, ready to be sent."""

    content: bytes
    records: int
    tokens: int
    """By the tokenizer of models/base: an estimate, as the service has its own."""


def conversation(record: FormattedRecord) -> Turns:
    """A formatted record as the turns of one conversation, whose last one is trained."""
    return [*as_turns(record["prompt"]), {"role": "assistant", "content": reference_text(record)}]


def make_examples(
    records: Sequence[FormattedRecord], tokenizer: "PreTrainedTokenizerBase", place: str, least: int
) -> Examples:
    """The file of some records.

    Args:
        records: prompts and completions.
        tokenizer: of the base model in models/base.
        place: the file that the records are from, as messages name it.
        least: how many there have to be.

    Raises:
        UserError: naming everything that the service would refuse.
    """
    conversations = [conversation(record) for record in records]
    lines = [json.dumps({"messages": turns}, ensure_ascii=False) + "\n" for turns in conversations]
    content, tokens = "".join(lines).encode(), count_tokens(conversations, tokenizer)
    found = [
        *refusals.few_examples(place, len(records), least),
        *refusals.large_file(place, len(content), LARGEST_FILE),
        *refusals.bad_examples(place, list(faults(conversations))),
        *refusals.long_examples(place, [at for at, count in enumerate(tokens) if count > LONGEST_EXAMPLE]),
    ]
    refusals.refuse_examples(found)
    return Examples(content, len(records), sum(tokens))


def faults(conversations: Sequence[Turns]) -> Iterator[tuple[int, str]]:
    """The conversations that break a rule, as their number and which one."""
    for number, turns in enumerate(conversations):
        if reason := fault(turns):
            yield number, reason


def fault(turns: Sequence[dict[str, Any]]) -> str | None:
    """The first rule that a conversation breaks, None where it keeps all."""
    if not turns or turns[-1].get("role") != "assistant":
        return "its last turn is not the assistant's"
    if not any(turn.get("role") == "user" for turn in turns):
        return "it has no turn of a user"
    for turn in turns:
        if turn.get("role") not in ROLES:
            return f"its role {turn.get('role')!r} is none of {', '.join(ROLES)}"
        content = turn.get("content")
        if not isinstance(content, str) or not content.strip():
            return f"its {turn['role']} turn is empty"
    return None


def count_tokens(conversations: Sequence[Turns], tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """The tokens of each conversation, by a tokenizer that need not be the service's.

    Args:
        conversations: some turns each.
        tokenizer: what counts.
    """
    texts = [turn["content"] for turns in conversations for turn in turns]
    counts = iter([len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else [])
    return [sum(next(counts) + TURN_TOKENS for _ in turns) + CONVERSATION_TOKENS for turns in conversations]
