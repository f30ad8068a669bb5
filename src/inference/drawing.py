"""Tokens drawn at random in a way that repeats, for transformers: each prompt has random numbers of its own.

transformers draws the tokens of a whole batch from one stream, so that an answer would depend on its neighbours and on
the batch size. Here each prompt has a stream, by its number among all prompts, and a token is drawn by the inverse of
the distribution function. Loads torch when it is imported: import it late.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from src.inference.engine import Sampling


def drawing_processors(sampling: Sampling, numbers: Sequence[int]) -> LogitsProcessorList:
    """What makes transformers' greedy decoding draw tokens, in the order of its own sampling: none where it is greedy.

    Args:
        sampling: how answers are drawn.
        numbers: of the batch's prompts, each its place among all prompts.
    """
    if sampling.temperature == 0:
        return LogitsProcessorList()
    processors: list[LogitsProcessor] = [TemperatureLogitsWarper(sampling.temperature)]
    if sampling.top_k > 0:
        processors.append(TopKLogitsWarper(sampling.top_k))
    if sampling.top_p < 1:
        processors.append(TopPLogitsWarper(sampling.top_p))
    return LogitsProcessorList([*processors, DrawToken(sampling, numbers)])


class DrawToken(LogitsProcessor):
    """Leaves of each row's tokens the one that is drawn, so that the most likely one is that.

    Args:
        sampling: its seed, and how many tokens an answer has at most.
        numbers: of the batch's prompts.
    """

    def __init__(self, sampling: Sampling, numbers: Sequence[int]) -> None:
        streams = [np.random.default_rng([sampling.seed, number]).random(sampling.max_new_tokens) for number in numbers]
        self.points = torch.tensor(np.array(streams))  # [prompts, tokens], each 0 up to 1
        self.step = 0

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Draws the next token of each row.

        Args:
            input_ids: not used; [rows, tokens so far].
            scores: logits, -inf for tokens that are not to be drawn, [rows, vocabulary].

        Returns:
            The same shape: 0 for the drawn token, -inf for all others.
        """
        cumulative = scores.double().softmax(-1).cumsum(-1)
        points = self.points[:, self.step, None].to(scores.device) * cumulative[:, -1:]
        drawn = torch.searchsorted(cumulative, points, right=True).clamp(max=scores.shape[-1] - 1)
        self.step += 1
        return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)

    def select_rows(self, left: Tensor) -> None:
        """Leaves the rows that are not finished; `left` has their places, [rows]."""
        self.points = self.points[left.to(self.points.device)]
