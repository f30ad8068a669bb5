"""From held-out records to rows of data/generations: what a model answers, and how likely it finds the reference.

Covers what the stages that answer have in common. Which model answers, and where the rows go, is theirs.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.inference.answering import answer_prompts
from src.inference.engine import Answer, Sampling
from src.inference.kept_answers import KeptAnswers
from src.inference.reference_loss import ReferenceLoss, reference_losses
from src.inference.transformers_engine import TransformersEngine
from src.prompts.encoding import render_prompt
from src.prompts.rendering import FormattedRecord, reference_text
from src.prompts.tokenizers import token_ids
from src.scoring.generations import Generation

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def generate_and_measure(
    engine: TransformersEngine,
    records: Sequence[FormattedRecord],
    sampling: Sampling,
    max_length: int,
    kept: KeptAnswers,
) -> list[Generation]:
    """Answers to held-out records, with the loss of their references.

    Args:
        engine: the model that answers.
        records: prompts and completions.
        sampling: how the answers are drawn.
        max_length: tokens that prompt and completion are truncated to for the loss.
        kept: the answers of a run that was interrupted, where this one's are kept too.
    """
    answers = answer_prompts(engine, [record["prompt"] for record in records], sampling, kept)
    losses = reference_losses(engine.model, engine.tokenizer, records, max_length)
    return make_generations(engine.tokenizer, records, answers, losses)


def make_generations(
    tokenizer: "PreTrainedTokenizerBase",
    records: Sequence[FormattedRecord],
    answers: Sequence[Answer],
    losses: Sequence[ReferenceLoss] | None = None,
) -> list[Generation]:
    """Answers beside the references that they are compared with.

    Args:
        tokenizer: in whose tokens the prompts were read.
        records: the formatted records that were asked.
        answers: to each of them.
        losses: of each reference; None of a model that tells none.
    """
    measured: Sequence[ReferenceLoss | None] = losses or [None] * len(records)
    return [make_generation(tokenizer, *row) for row in zip(records, answers, measured, strict=True)]


def make_generation(
    tokenizer: "PreTrainedTokenizerBase", record: FormattedRecord, answer: Answer, loss: ReferenceLoss | None
) -> Generation:
    """An answer beside its reference; arguments as of `make_generations`, of one record."""
    prompt = render_prompt(tokenizer, record["prompt"])
    return Generation(
        uid=record["uid"],
        title=record["title"],
        prompt=prompt,
        answer=answer.text,
        reference=reference_text(record),
        finish_reason=answer.finish_reason,
        prompt_tokens=len(token_ids(tokenizer, prompt)),
        tokens=len(answer.token_ids),
        loss=round(loss.nats, 6) if loss else None,
        loss_tokens=loss.tokens if loss else None,
    )


def describe_generations(generations: Sequence[Generation]) -> str:
    """How many answers there are, of how many tokens, for the line that a stage ends with."""
    stopped = sum(row.finish_reason == "stop" for row in generations)
    tokens = sum(row.tokens for row in generations)
    return f"{len(generations):,} answers of {tokens:,} tokens, {stopped:,} ended by themselves"
