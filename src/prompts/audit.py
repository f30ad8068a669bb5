"""What the trainer will really see, measured before any GPU time is spent.

Covers token lengths, truncation, the share of tokens that are trained, begin and stop tokens, rows and steps. Reads
the same encoding that training does; does not look at text quality.
"""

from typing import Any, NamedTuple

import numpy

from src.errors import UserError
from src.params import AuditParams, TrainParams
from src.prompts.encoding import IGNORED, Encoded, encode, end_of_turn, predicted_steps, rows, stop_ids

PERCENTILES = (50, 90, 99)
HISTOGRAM_BINS = 20


class Audit(NamedTuple):
    """The measured training set: metrics, and a histogram of lengths as rows of tokens and records."""

    metrics: dict[str, Any]
    lengths: list[dict[str, Any]]


def audit(tokenizer: Any, records: list[dict[str, Any]], train: TrainParams) -> Audit:
    """Measures the training records as they are encoded, cut off at train.max_length and packed."""
    whole = [encode(tokenizer, record) for record in records]
    cut = [Encoded(one.input_ids[: train.max_length], one.labels[: train.max_length]) for one in whole]
    lengths = numpy.array([len(one.input_ids) for one in whole])
    metrics = {
        "records": len(records),
        **{f"tokens_p{percentile}": int(numpy.percentile(lengths, percentile)) for percentile in PERCENTILES},
        "tokens_max": int(lengths.max()),
        "truncated_share": share(lengths > train.max_length),
        **tokens(cut),
        **ends(tokenizer, cut),
        **shape(cut, train),
    }
    return Audit(metrics, histogram(lengths))


def tokens(encoded: list[Encoded]) -> dict[str, Any]:
    """Tokens of an epoch, and how many of them are trained."""
    total = sum(len(one.input_ids) for one in encoded)
    trained = sum(label != IGNORED for one in encoded for label in one.labels)
    return {"tokens_per_epoch": total, "trained_token_share": round(trained / total, 6)}


def ends(tokenizer: Any, encoded: list[Encoded]) -> dict[str, Any]:
    """Shares of records that begin with exactly one begin token, and whose end-of-turn token is trained."""
    begin, stop = tokenizer.bos_token_id, end_of_turn(tokenizer)
    return {
        "one_begin_token_share": share([begin is None or one.input_ids.count(begin) == 1 for one in encoded]),
        "trained_stop_token_share": share([stop in one.labels for one in encoded]),
        "nothing_trained_share": share([set(one.labels) == {IGNORED} for one in encoded]),
    }


def shape(encoded: list[Encoded], train: TrainParams) -> dict[str, Any]:
    """Rows after packing, how full they are, and the optimiser steps that training will take."""
    packed = rows(encoded, train.max_length, train.packing)
    filled = sum(len(one.input_ids) for one in encoded)
    return {
        "rows": len(packed),
        "row_fill_share": round(filled / (len(packed) * train.max_length), 6),
        "predicted_steps": predicted_steps(
            len(packed), train.batch_size, train.accumulation, train.epochs, train.max_steps
        ),
    }


def share(flags: Any) -> float:
    """The share of true flags."""
    return round(float(numpy.mean(flags)), 6)


def histogram(lengths: numpy.ndarray) -> list[dict[str, Any]]:
    """Records by token length, in bins of equal width."""
    counts, edges = numpy.histogram(lengths, bins=HISTOGRAM_BINS)
    return [{"tokens": round(float(edge)), "records": int(count)} for edge, count in zip(edges, counts, strict=False)]


def refuse(tokenizer: Any, metrics: dict[str, Any], limits: AuditParams, max_length: int) -> None:
    """Stops where training would make no sense.

    Raises:
        UserError: naming every reason.
    """
    truncated, untrained = metrics["truncated_share"], metrics["nothing_trained_share"]
    reasons = []
    if truncated > limits.max_truncated_share:
        reasons.append(
            f"{truncated:.1%} of the records are longer than train.max_length ({max_length} tokens), more than "
            f"audit.max_truncated_share allows: raise train.max_length; 90% have up to {metrics['tokens_p90']} tokens."
        )
    if untrained > limits.max_truncated_share:
        reasons.append(f"{untrained:.1%} of the records keep no token of their answer: raise train.max_length.")
    if metrics["one_begin_token_share"] < 1:
        reasons.append(
            "some records do not begin with exactly one begin-of-text token: look for that token in the titles and "
            "descriptions, or choose another format.template."
        )
    if round(metrics["trained_stop_token_share"] + truncated, 5) < 1:
        reasons.append("the template's end-of-turn token is not trained, so answers never end: change format.template.")
    if tokenizer.pad_token_id in stop_ids(tokenizer):
        reasons.append("the pad token is a stop token: choose a base model with another one.")
    if reasons:
        raise UserError("\n".join(reasons))
