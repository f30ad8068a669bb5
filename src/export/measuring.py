"""Loads an exported form again, asks it what the adapter was asked, and measures what it gives.

Covers forms that transformers loads and those that llama.cpp loads. The limits are parity.py's and the table's.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from src.export.comparison import Measured
from src.export.forms import Form
from src.export.parity import (
    PromptCheck,
    answer_agreement,
    check_answers,
    check_mean_loss,
    check_prompt_tokens,
    prompt_checks,
)
from src.export.trial import load_form, try_form
from src.inference.engine import Sampling
from src.inference.llama_cpp import CONTEXT
from src.inference.llama_cpp_loss import llama_cpp_losses
from src.inference.reference_loss import ReferenceLoss, reference_losses
from src.inference.transformers_engine import TransformersEngine
from src.prompts.rendering import FormattedRecord

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH = 10  # prompts that transformers answers at once


class Question(NamedTuple):
    """What every form is asked."""

    tokenizer: "PreTrainedTokenizerBase"
    """The adapter's, with the chat template."""
    records: Sequence[FormattedRecord]
    """Whose prompts every form has to read as training did."""
    checked: Sequence[FormattedRecord]
    """Those that it answers, too."""
    instruction: str
    question: str
    sampling: Sampling
    max_length: int
    """Tokens that a record is truncated to."""


class Original(NamedTuple):
    """What the adapter gives on its base, which every exported form has to give too."""

    losses: list[ReferenceLoss]
    checks: list[PromptCheck]


def measure_original(engine: TransformersEngine, asked: Question) -> Original:
    """What the adapter gives.

    Args:
        engine: the adapter on its base.
        asked: the question.

    Raises:
        UserError: if all answers are empty, which show nothing.
    """
    checks = prompt_checks(engine, asked.checked, asked.instruction, asked.question, asked.sampling)
    return Original(transformers_losses(engine, asked), checks)


def measure_merged(engine: TransformersEngine, asked: Question, original: Original, size: int) -> Measured:
    """What a merged model gives.

    Args:
        engine: the merged model.
        asked: the question.
        original: what the adapter gives.
        size: of its files, in bytes.
    """
    answers = engine.answer([check.prompt for check in original.checks], asked.sampling)
    agreement = answer_agreement(answers, [check.answer for check in original.checks])
    return Measured(transformers_losses(engine, asked), agreement, size)


def transformers_losses(engine: TransformersEngine, asked: Question) -> list[ReferenceLoss]:
    """The losses of the references, by transformers; arguments as of `measure_original`."""
    return reference_losses(engine.model, engine.tokenizer, asked.checked, loss_length(asked))


def loss_length(asked: Question) -> int:
    """Tokens that a record is truncated to for its loss: llama.cpp's context is limited, and all have to be equal."""
    return min(asked.max_length, CONTEXT)


def measure_gguf(form: Form, folder: Path, asked: Question, original: Original, merged: TransformersEngine) -> Measured:
    """What a GGUF, or one with an adapter beside it, gives; checks it on the way.

    Args:
        form: which one.
        folder: where its files are.
        asked: the question.
        original: what the adapter gives.
        merged: the merged model, whose preferences tell a tie from another answer.

    Raises:
        UserError: if the form reads a prompt otherwise than training did, or answers otherwise than the adapter, or
            finds the references less likely, by more than its rounding explains.
    """
    files = [folder / name for name in form.files]
    engine = load_form(files)
    # Prompts before answers: another prompt explains other answers, and is the error to fix.
    check_prompt_tokens(engine, asked.tokenizer, asked.records, asked.instruction, asked.question)
    losses = llama_cpp_losses(engine, asked.tokenizer, asked.checked, loss_length(asked))
    check_mean_loss(form, losses, original.losses)
    answers, speed = try_form(files, [check.turns for check in original.checks], asked.sampling)
    agreement = check_answers(form, answers, merged, original.checks)
    return Measured(losses, agreement, form_bytes(form, folder), speed)


def form_bytes(form: Form, folder: Path) -> int:
    """The size of a form's files.

    Args:
        form: which one.
        folder: where they are.
    """
    paths = [path for name in form.files for path in (folder / name, *(folder / name).rglob("*"))]
    return sum(path.stat().st_size for path in paths if path.is_file())
