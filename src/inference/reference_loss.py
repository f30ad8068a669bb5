"""How likely a model finds the references: the loss of each held-out text, given its prompt.

Covers single records, for the scores and for comparing two models. src/models/loss.py computes the
same quantity summed over a batch, for training. It does not serve here without changing data/generations: in each of
an earlier embedded model's 200 records its loss differs, by up to 0.0011 of 89 nats, since PyTorch's cross entropy over
transposed logits, as below, rounds otherwise than over contiguous ones.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from src.inference.batches import progress_batches
from src.models.collation import collate_padded
from src.prompts.encoding import IGNORE_INDEX, encode_record
from src.prompts.rendering import FormattedRecord

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

LOSS_BATCH = 8  # the logits of more records over a large vocabulary do not fit a small GPU


class ReferenceLoss(NamedTuple):
    """The loss of one reference."""

    nats: float
    """Negative log-likelihood, summed over the reference and its end-of-turn token."""
    tokens: int
    """How many tokens that is."""


def reference_losses(
    model: "PreTrainedModel | PeftModel",
    tokenizer: "PreTrainedTokenizerBase",
    records: Sequence[FormattedRecord],
    max_length: int,
) -> list[ReferenceLoss]:
    """The loss of each record's own completion, in their order; the prompt does not count.

    Args:
        model: what is asked, in evaluation mode.
        tokenizer: the model's.
        records: prompts and completions.
        max_length: tokens that a record is truncated to, as in training.
    """
    import torch

    losses: list[ReferenceLoss] = []
    for batch in progress_batches(records, LOSS_BATCH, "Measuring the loss", "records"):
        with torch.no_grad():
            losses += batch_losses(model, tokenizer, batch, max_length)
    return losses


def batch_losses(
    model: "PreTrainedModel | PeftModel",
    tokenizer: "PreTrainedTokenizerBase",
    records: Sequence[FormattedRecord],
    max_length: int,
) -> list[ReferenceLoss]:
    """The losses of one batch, as `reference_losses` gives them.

    Args:
        model: what is asked, in evaluation mode.
        tokenizer: the model's.
        records: prompts and completions, few enough for the memory.
        max_length: tokens that a record is truncated to.
    """
    from torch.nn.functional import cross_entropy

    encoded = [encode_record(tokenizer, record, max_length)._asdict() for record in records]
    rows = [{**row, "seq_lengths": [len(row["input_ids"])]} for row in encoded]
    batch = {name: tensor.to(model.device) for name, tensor in collate_padded(rows, tokenizer.pad_token_id).items()}
    labels = batch.pop("labels")[:, 1:]  # each token is predicted from the one before it
    logits = model(**batch, use_cache=False).logits[:, :-1].float()
    nats = cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORE_INDEX, reduction="none").sum(1)
    tokens = (labels != IGNORE_INDEX).sum(1)
    return [ReferenceLoss(*loss) for loss in zip(nats.tolist(), tokens.tolist(), strict=True)]
