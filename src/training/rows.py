"""The rows of one training: records encoded, split into rounds and packed, and validation rows of one record each.

Covers what every training starts from, a resumed one too. Does not encode by itself: src/prompts/ does.
"""

from typing import TYPE_CHECKING, NamedTuple

from src.models.collation import Row
from src.params import TrainParams
from src.prompts.encoding import encode_records
from src.prompts.packing import make_rows
from src.prompts.rendering import FormattedRecord
from src.training.schedule import split_rounds

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


class TrainingRows(NamedTuple):
    """The rows of each round, of the validation, and the uid of each training record by its tokens."""

    rounds: "list[Dataset]"
    validation: list[Row]
    names: dict[tuple[int, ...], str]

    def per_round(self) -> list[int]:
        """The number of rows in each round."""
        return [len(rows) for rows in self.rounds]


def make_training_rows(
    tokenizer: "PreTrainedTokenizerBase", records: dict[str, list[FormattedRecord]], train: TrainParams, packing: bool
) -> TrainingRows:
    """Rows as the trainer takes them.

    Args:
        tokenizer: the base model's, with the chat template.
        records: formatted records of the splits train and validation.
        train: the parameters of training.
        packing: whether several records share a row, as the attention kernel allows it.
    """
    encoded = encode_records(tokenizer, records["train"], train.max_length)
    held_out = records["validation"][: train.eval_records or None]
    validation = encode_records(tokenizer, held_out, train.max_length)
    return TrainingRows(
        rounds=[make_rows(part, train.max_length, packing) for part in split_rounds(encoded, train.rounds)],
        validation=list(make_rows(validation, train.max_length, packing=False)),
        names={tuple(one.input_ids): record["uid"] for one, record in zip(encoded, records["train"], strict=True)},
    )
