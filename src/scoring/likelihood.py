"""What only a model can be asked: how likely it finds the references, and whether its answers end by themselves.

Does not look at the text.
"""

import math
from collections.abc import Sequence

from src.scoring.generations import Generation
from src.scoring.intervals import RecordSums, mean_of, ratio_of_sums

LARGEST_EXPONENT = 700.0  # exp of more is infinite, which JSON cannot hold


def perplexity(generations: Sequence[Generation]) -> float | None:
    """The exponential of the answer loss, at least 1; None without one, and beyond the largest float."""
    sums = loss_sums(generations)
    return math.exp(sums.estimate) if sums and sums.estimate < LARGEST_EXPONENT else None


def stop_sums(generations: Sequence[Generation]) -> RecordSums:
    """The share of answers that ended by themselves, 0 to 1."""
    return mean_of([float(row.finish_reason == "stop") for row in generations])


def loss_sums(generations: Sequence[Generation]) -> RecordSums | None:
    """The references' mean loss in nats a token, over all tokens of all references; None where a model tells none."""
    losses = [(row.loss, row.loss_tokens) for row in generations if row.loss is not None and row.loss_tokens]
    return ratio_of_sums(*zip(*losses, strict=True)) if len(losses) == len(generations) else None


def byte_sums(generations: Sequence[Generation]) -> RecordSums | None:
    """The references' loss in bits a byte of UTF-8, which compares between tokenizers; None where a model tells none.

    The loss is that of the whole reference and of its end-of-turn token, which has no bytes: to end is part of what is
    predicted, and once a reference with any tokenizer.
    """
    losses = [(row.loss / math.log(2), len(row.reference.encode())) for row in generations if row.loss is not None]
    told = len(losses) == len(generations) and any(size for _, size in losses)
    return ratio_of_sums(*zip(*losses, strict=True)) if told else None
