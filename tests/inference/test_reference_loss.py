"""The loss of the references: summed over each one, the same in any batch, and equal to the loss of training."""

from typing import Any

import pytest

from src.inference.reference_loss import reference_losses
from src.models.loss import mean_loss
from src.prompts.encoding import encode_record

TITLES = ["Brass Desk Lamp", "Owl", "A Field Guide to the Owls of the Northern Woods, Second Edition"]


@pytest.fixture
def records(record: Any) -> list[dict[str, Any]]:
    return [record("chat", title, f"{title} is described here.") for title in TITLES]


def test_reference_losses_are_sums_over_each_answer_in_any_batch(
    model: Any, chat_tokenizer: Any, records: list[Any]
) -> None:
    alone = [loss for record in records for loss in reference_losses(model, chat_tokenizer, [record], 256)]
    together = reference_losses(model, chat_tokenizer, records, 256)
    assert [loss.tokens for loss in alone] == [len(answer_tokens(chat_tokenizer, record)) for record in records]
    assert [loss.nats for loss in together] == pytest.approx([loss.nats for loss in alone], abs=1e-3)
    encoded = [encode_record(chat_tokenizer, record)._asdict() for record in records]
    rows = [{**row, "seq_lengths": [len(row["input_ids"])]} for row in encoded]
    mean = sum(loss.nats for loss in alone) / sum(loss.tokens for loss in alone)
    assert mean == pytest.approx(mean_loss(model, rows, chat_tokenizer.pad_token_id), abs=1e-5)


def answer_tokens(tokenizer: Any, record: dict[str, Any]) -> list[int]:
    """The tokens of a record's answer, its end of turn included."""
    return tokenizer(record["completion"][0]["content"] + "<|eot_id|>", add_special_tokens=False)["input_ids"]
