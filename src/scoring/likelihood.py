"""What only a model can be asked: how likely it finds the references, and whether its answers end by themselves.

Does not look at the text.
"""

import math
from collections.abc import Sequence

from src.scoring.generations import Generation
from src.scoring.intervals import RecordSums, ratio_of_sums

LARGEST_EXPONENT = 700.0  # exp of more is infinite, which JSON cannot hold


def answer_loss(generations: Sequence[Generation]) -> float | None:
    """The references' mean loss in nats a token, over all tokens of all references; None where a model tells none."""
    sums = loss_sums(generations)
    return sums.estimate if sums else None


def perplexity(generations: Sequence[Generation]) -> float | None:
    """The exponential of the answer loss, at least 1; None without one, and beyond the largest float."""
    loss = answer_loss(generations)
    return math.exp(loss) if loss is not None and loss < LARGEST_EXPONENT else None


def stop_rate(generations: Sequence[Generation]) -> float:
    """The share of answers that ended by themselves, 0 to 1."""
    return sum(generation.finish_reason == "stop" for generation in generations) / len(generations)


def loss_sums(generations: Sequence[Generation]) -> RecordSums | None:
    """What the answer loss is a ratio of: each record's loss in nats, and its tokens; None where a model tells none."""
    losses = [(row.loss, row.loss_tokens) for row in generations if row.loss is not None and row.loss_tokens]
    return ratio_of_sums(*zip(*losses, strict=True)) if len(losses) == len(generations) else None
