"""Whether an exported form answers as the model it was made from.

Covers prompts byte by byte and token by token, greedy answers token by token, the loss of given answers, and which GGUF
is served by what was measured. Does not measure how good an answer is: src/scoring does.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from src.export import refusals
from src.export.forms import REFERENCE, Form
from src.inference.engine import Answer, Sampling
from src.inference.llama_cpp import LlamaCppEngine
from src.inference.reference_loss import ReferenceLoss
from src.inference.transformers_engine import TransformersEngine
from src.prompts.encoding import encode_prompt, render_prompt
from src.prompts.rendering import FormattedRecord, Prompt, Turns, record_turns
from src.prompts.tokenizers import end_of_turn_id, token_ids, without_bos

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

RECORD_DIFFERENCE = 0.01  # nats a token that merging may change the loss of any answer by
LOST_AGREEMENT = 0.05  # share of answers that a smaller file may give otherwise, beyond those of f16, and be served


class PromptCheck(NamedTuple):
    """A prompt that an exported form has to render and to answer as the adapter does."""

    prompt: Prompt
    """As training saw it."""
    turns: Turns
    """The same question as a program asks it, for the chat template inside the exported form to render."""
    answer: Answer
    """The adapter's."""


def check_losses(name: str, losses: Sequence[ReferenceLoss], expected: Sequence[ReferenceLoss]) -> float:
    """The largest difference between two models' losses of the same answers, in nats a token.

    Args:
        name: the form, as a refusal names it.
        losses: its losses.
        expected: those of the model it was made from.

    Raises:
        UserError: if it is more than merging into 16 bits explains.
    """
    pairs = zip(losses, expected, strict=True)
    largest = max(abs(loss.nats - other.nats) / loss.tokens for loss, other in pairs)
    refusals.refuse_other_loss(name, largest, RECORD_DIFFERENCE)
    return round(largest, 6)


def check_mean_loss(form: Form, losses: Sequence[ReferenceLoss], expected: Sequence[ReferenceLoss]) -> None:
    """Makes sure that a form finds the references as likely as the adapter does, but for its rounding.

    Args:
        form: which one.
        losses: its losses.
        expected: the adapter's.

    Raises:
        UserError: if they differ by more than the form's limit.
    """
    difference = mean_loss(losses) - mean_loss(expected)
    refusals.refuse_other_mean_loss(form.files[-1], difference, form.loss)


def mean_loss(losses: Sequence[ReferenceLoss]) -> float:
    """Nats a token, over all tokens."""
    return sum(loss.nats for loss in losses) / sum(loss.tokens for loss in losses)


def prompt_checks(
    engine: TransformersEngine, records: Sequence[FormattedRecord], instruction: str, question: str, sampling: Sampling
) -> list[PromptCheck]:
    """What every form is compared with, for each record.

    Args:
        engine: the adapter on its base.
        records: formatted records with a title.
        instruction: format.instruction.
        question: format.question.
        sampling: how it answers, and every form after it.

    Raises:
        UserError: if all answers are empty, which show nothing.
    """
    answers = engine.answer([record["prompt"] for record in records], sampling)
    refusals.refuse_empty_answers([answer.token_ids for answer in answers])
    return [
        PromptCheck(record["prompt"], record_turns(instruction, question, record), answer)
        for record, answer in zip(records, answers, strict=True)
    ]


def check_prompt_tokens(
    engine: LlamaCppEngine,
    tokenizer: "PreTrainedTokenizerBase",
    records: Sequence[FormattedRecord],
    instruction: str,
    question: str,
) -> None:
    """Makes sure that llama.cpp asks a GGUF in the text and in the tokens of training.

    Args:
        engine: the GGUF in llama.cpp.
        tokenizer: the adapter's, with the chat template.
        records: formatted records with a title.
        instruction: format.instruction.
        question: format.question.

    Raises:
        UserError: if the file renders another prompt, or splits it into other tokens.
    """
    for number, record in enumerate(records, start=1):
        trained = render_prompt(tokenizer, record["prompt"])
        rendered = engine.render_prompt(record_turns(instruction, question, record))
        refusals.refuse_other_prompt(engine.name, rendered, without_bos(tokenizer, trained))
        ids = engine.token_ids(rendered), token_ids(tokenizer, trained)
        read, expected = (list(tokenizer.convert_ids_to_tokens(each)) for each in ids)
        refusals.refuse_other_tokens(engine.name, number, read, expected)


def check_answers(
    form: Form, answers: Sequence[Answer], merged: TransformersEngine, checks: Sequence[PromptCheck]
) -> float:
    """The share of prompts that a form answers with exactly the adapter's tokens.

    Args:
        form: which one.
        answers: its answers.
        merged: the model whose preferences tell a tie from another answer.
        checks: the prompts, with the adapter's answers.

    Raises:
        UserError: if an answer is another one where the merged model sees no tie.
    """
    if form.tie is not None:
        preferences = [answer_preference(merged, check, answer) for check, answer in zip(checks, answers, strict=True)]
        refusals.refuse_other_answers(form.files[-1], preferences, form.tie)
    return answer_agreement(answers, [check.answer for check in checks])


def served_form(shares: Mapping[str, float], chosen: Sequence[Form]) -> Form:
    """The smallest file that answers hardly less like the adapter than f16 does; the largest where there is none.

    Args:
        shares: of equal answers by form; f16 is one of them.
        chosen: the files to choose from, the largest first.
    """
    enough = shares[REFERENCE] - LOST_AGREEMENT
    return next((form for form in reversed(chosen) if shares[form.name] >= enough), chosen[0])


def answer_agreement(answers: Sequence[Answer], expected: Sequence[Answer]) -> float:
    """The share of answers that are the same to the last token.

    Args:
        answers: those of one model.
        expected: those of another, to the same prompts.
    """
    same = sum(answer.token_ids == other.token_ids for answer, other in zip(answers, expected, strict=True))
    return round(same / len(expected), 6)


def answer_preference(engine: TransformersEngine, check: PromptCheck, other: Answer) -> float:
    """How much likelier a model finds its own token than another answer's where the two first differ, in nats.

    0 where the answers are the same. An answer that ended earlier chose the stop token there.

    Args:
        engine: the model.
        check: the prompt and the model's own answer, a greedy one.
        other: the answer that it is compared with.
    """
    import torch

    tokenizer, own, others = engine.tokenizer, check.answer.token_ids, other.token_ids
    if own == others:
        return 0.0
    same = shared_tokens(own, others)
    prefix = encode_prompt(tokenizer, check.prompt) + own[:same]
    with torch.no_grad():
        logits = engine.model(torch.tensor([prefix], device=engine.model.device)).logits[0, -1].float()
    stop = end_of_turn_id(tokenizer) or tokenizer.eos_token_id
    chosen, instead = ((*token_ids, stop)[same] for token_ids in (own, others))
    return float(logits[chosen] - logits[instead])


def shared_tokens(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens two answers begin with in common.

    Args:
        one: token ids of an answer.
        other: those of another one.
    """
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
