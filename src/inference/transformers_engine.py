"""Greedy answers of a model, and the loss of the answers it should have given.

Covers batches of prompts and references on whatever device the model is on. Does not score text: src/scoring does.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from src.models.collation import collate_padded
from src.prompts.encoding import IGNORE_INDEX, encode_prompt, encode_record, stop_token_ids

Record = dict[str, Any]

LOSS_BATCH = 8  # the logits of more records over a large vocabulary do not fit a small GPU


class Answer(NamedTuple):
    """What a model said: the text, its tokens without the stop token, and whether it stopped by itself."""

    text: str
    tokens: list[int]
    stopped: bool


def progress_batches(records: list[Record], size: int, label: str) -> Iterator[list[Record]]:
    """Records in batches, with a progress bar."""
    from tqdm import tqdm

    for start in tqdm(range(0, len(records), size), desc=label, mininterval=5):
        yield records[start : start + size]


def greedy_answers(
    model: Any, tokenizer: Any, records: list[Record], max_new_tokens: int, batch_size: int
) -> list[Answer]:
    """The most likely answer to each formatted record's prompt, token by token, in the order of the records."""
    answered: list[Answer] = []
    decoding = model.generation_config = greedy_config(tokenizer, max_new_tokens)
    for batch in progress_batches(records, batch_size, "Answering"):
        prompts = [encode_prompt(tokenizer, record) for record in batch]
        inputs = tokenizer.pad({"input_ids": prompts}, padding_side="left", return_tensors="pt").to(model.device)
        output = model.generate(**inputs, generation_config=decoding)
        width = inputs["input_ids"].shape[1]
        answered += [read_answer(tokenizer, row[width:].tolist(), decoding.eos_token_id) for row in output]
    return answered


def greedy_config(tokenizer: Any, max_new_tokens: int) -> Any:
    """Greedy decoding up to the template's stop tokens; whatever sampling the base model suggests is left aside."""
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=False,
        max_new_tokens=max_new_tokens,
        eos_token_id=stop_token_ids(tokenizer),
        pad_token_id=tokenizer.pad_token_id,
    )


def read_answer(tokenizer: Any, tokens: list[int], stops: list[int]) -> Answer:
    """The answer in generated tokens, up to the first stop token."""
    end = next((index for index, token in enumerate(tokens) if token in stops), None)
    said = tokens[:end]
    return Answer(tokenizer.decode(said, skip_special_tokens=True).strip(), said, end is not None)


def reference_losses(model: Any, tokenizer: Any, records: list[Record], max_length: int) -> list[tuple[float, int]]:
    """For each record the negative log-likelihood of its reference answer, summed in nats, and its number of tokens.

    The end-of-turn token counts; the prompt does not. Records are cut off at `max_length` tokens, as in training.
    """
    import torch

    losses: list[tuple[float, int]] = []
    for batch in progress_batches(records, LOSS_BATCH, "Measuring the loss"):
        with torch.no_grad():
            losses += batch_losses(model, tokenizer, batch, max_length)
    return losses


def batch_losses(model: Any, tokenizer: Any, records: list[Record], max_length: int) -> list[tuple[float, int]]:
    """The losses of one batch, as `reference_losses` gives them."""
    from torch.nn.functional import cross_entropy

    encoded = [encode_record(tokenizer, record, max_length)._asdict() for record in records]
    rows = [{**row, "seq_lengths": [len(row["input_ids"])]} for row in encoded]
    batch = {name: tensor.to(model.device) for name, tensor in collate_padded(rows, tokenizer.pad_token_id).items()}
    labels = batch.pop("labels")[:, 1:]
    logits = model(**batch, use_cache=False).logits[:, :-1].float()
    losses = cross_entropy(logits.transpose(1, 2), labels, ignore_index=IGNORE_INDEX, reduction="none").sum(1)
    return list(zip(losses.tolist(), (labels != IGNORE_INDEX).sum(1).tolist(), strict=True))
