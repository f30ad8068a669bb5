"""Rounds: consecutive parts of the training records, one trained after the other, and the optimiser steps they take.

Covers the division and the count, the same for the audit that predicts and for training. Does not make rows: rows.py
does.
"""

import math
from itertools import pairwise
from typing import TypeVar

from src.params import TrainParams

Record = TypeVar("Record")


def split_rounds(records: list[Record], rounds: int) -> list[list[Record]]:
    """Consecutive parts of the records, one a round, of sizes that differ by one at most.

    Args:
        records: in the order of the file.
        rounds: how many parts.
    """
    edges = [len(records) * part // rounds for part in range(rounds + 1)]
    return [records[start:end] for start, end in pairwise(edges)]


def predict_steps(rows_a_round: list[int], train: TrainParams, processes: int) -> int:
    """Optimiser steps of all rounds, by the rule of transformers' Trainer.

    Args:
        rows_a_round: the number of rows in each round.
        train: the parameters of training.
        processes: how many train together, each on train.batch_size rows at once.
    """
    if train.max_steps:
        return train.max_steps * len(rows_a_round)
    # Rounded up twice, as the Trainer does: a device's last batch and an epoch's last step may be smaller.
    batches = [math.ceil(rows / (train.batch_size * processes)) for rows in rows_a_round]
    return sum(math.ceil(train.epochs * math.ceil(count / train.accumulation)) for count in batches)
