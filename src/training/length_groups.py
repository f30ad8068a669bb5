"""An order of training rows that brings rows of about equal length into a batch, so that little is padded.

For GPUs without an attention kernel for packed rows.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import get_length_grouped_indices

from src.models import processes
from src.params import TrainParams

if TYPE_CHECKING:
    from datasets import Dataset


class LengthGroupedSampler(Sampler[int]):
    """Positions of rows, in another order in each epoch; transformers' own sampler loses its order after a resume."""

    def __init__(self, rows: "Dataset", params: TrainParams) -> None:
        self.lengths, self.seed, self.epoch = [len(ids) for ids in rows["input_ids"]], params.seed, 0
        self.batch_size = params.batch_size * params.accumulation * processes.world_size()

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self.seed + self.epoch)
        return iter(get_length_grouped_indices(self.lengths, self.batch_size, generator=generator))
