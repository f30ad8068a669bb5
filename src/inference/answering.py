"""Answers of any engine, batch by batch: in the order of the prompts, and kept as they come where that is asked for.

Covers what engines have in common. How a batch is made up and answered is theirs.
"""

from collections.abc import Sequence
from typing import Protocol

from src.inference.engine import Answer, Sampling
from src.inference.kept_answers import KeptAnswers
from src.progress import progress_bar
from src.prompts.rendering import Prompt


class BatchEngine(Protocol):
    """An engine that answers some prompts at once."""

    def batches(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        """The numbers of the prompts that are answered at once: the same ones whenever the same prompts are asked."""

    def answer_batch(self, batch: Sequence[tuple[int, Prompt]], sampling: Sampling) -> list[Answer]:
        """Answers to prompts that come with their numbers, in their order."""


def answer_prompts(
    engine: BatchEngine,
    prompts: Sequence[Prompt],
    sampling: Sampling,
    kept: KeptAnswers | None = None,
    label: str = "Answering",
) -> list[Answer]:
    """An answer to each prompt, in their order.

    Args:
        engine: what answers.
        prompts: turns, or text without the begin-of-text token.
        sampling: how the answers are drawn.
        kept: what an interrupted run has finished, where this one goes on and adds its own. A batch is asked again as a
            whole unless all of it is there, so that its answers do not even differ in how they are rounded.
        label: the text beside the progress bar.

    Raises:
        UserError: if the engine does not answer a prompt.
    """
    answers = kept.read() if kept else {}
    with progress_bar(label, len(prompts), "prompts") as bar:
        for batch in engine.batches(prompts):
            if not answers.keys() >= set(batch):
                found = engine.answer_batch([(number, prompts[number]) for number in batch], sampling)
                numbered = dict(zip(batch, found, strict=True))
                if kept:
                    kept.add(numbered)
                answers |= numbered
            bar.update(len(batch))
    return [answers[number] for number in range(len(prompts))]
