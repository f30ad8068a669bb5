"""Rounds: consecutive parts of the training records, one trained after the other, and the optimiser steps they take.

Covers the cut and the count, the same for the audit that predicts and for training. Does not make rows: encoding.py
does.
"""

import math
from itertools import pairwise
from typing import Any

from src.params import TrainParams


def split_rounds(records: list[Any], rounds: int) -> list[list[Any]]:
    """Records cut into consecutive parts, one a round, of sizes that differ by one at most."""
    edges = [len(records) * part // rounds for part in range(rounds + 1)]
    return [records[start:end] for start, end in pairwise(edges)]


def predict_steps(rows_a_round: list[int], train: TrainParams, processes: int) -> int:
    """Optimiser steps of all rounds, by the rule of transformers' Trainer; each process takes train.batch_size rows."""
    if train.max_steps:
        return train.max_steps * len(rows_a_round)
    batches = [math.ceil(rows / (train.batch_size * processes)) for rows in rows_a_round]
    return sum(math.ceil(train.epochs * math.ceil(count / train.accumulation)) for count in batches)
