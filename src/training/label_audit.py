"""What the trainer will see, measured before any GPU time is spent.

Covers token lengths, truncation, the share of tokens that are trained, rows, padding and steps. Reads the same encoding
that training does. Does not refuse anything: prompt_checks.py does; nor estimate memory: memory.py does.
"""

from typing import Any, NamedTuple

import numpy

from src.params import TrainParams
from src.prompts.encoding import IGNORE_INDEX, EncodedRecord
from src.prompts.packing import make_rows
from src.training.schedule import predict_steps, split_rounds

PERCENTILES = (5, 25, 50, 75, 95, 99)
# Lower edges of bins in tokens, forty a decade up to a million: the same for any data and any train.max_length, so that
# two experiments can be laid over each other.
EDGES = numpy.unique(numpy.round(10 ** (numpy.arange(241) / 40)).astype(int))

Figures = dict[str, Any]  # named figures of the metrics, or a row of a plot


class LabelAudit(NamedTuple):
    """The measured training set: metrics, and the plots' rows."""

    metrics: Figures
    lengths: list[Figures]
    tokens: list[Figures]


def audit_labels(encoded: list[EncodedRecord], train: TrainParams, processes: int) -> LabelAudit:
    """Measures training records as they will be truncated, packed and trained in rounds.

    Args:
        encoded: the training records, not truncated.
        train: the parameters of training.
        processes: how many train together, each on train.batch_size rows at once.
    """
    truncated = [EncodedRecord(one.input_ids[: train.max_length], one.labels[: train.max_length]) for one in encoded]
    lengths = numpy.array([len(one.input_ids) for one in encoded])
    prompts = numpy.array([prompt_length(one) for one in encoded])
    metrics = {
        "records": len(encoded),
        **length_percentiles("prompt_tokens", prompts),
        **length_percentiles("answer_tokens", lengths - prompts),
        **length_percentiles("tokens", lengths),
        "truncated_share": round(float(numpy.mean(lengths > train.max_length)), 6),
        **epoch_tokens(truncated),
        **row_shape(truncated, train, processes),
    }
    return LabelAudit(metrics, length_histogram(lengths, train.max_length), token_shares(metrics))


def prompt_length(encoded: EncodedRecord) -> int:
    """Tokens in front of the first trained one."""
    return next((at for at, label in enumerate(encoded.labels) if label != IGNORE_INDEX), len(encoded.labels))


def length_percentiles(name: str, lengths: numpy.ndarray) -> Figures:
    """Percentiles of a length, each a length that occurs, and the largest.

    Args:
        name: what the length is of, such as prompt_tokens.
        lengths: in tokens, [records].
    """
    found = numpy.percentile(lengths, PERCENTILES, method="inverted_cdf")
    return {
        **{f"{name}_p{rank}": int(length) for rank, length in zip(PERCENTILES, found, strict=True)},
        f"{name}_max": int(lengths.max()),
    }


def epoch_tokens(encoded: list[EncodedRecord]) -> Figures:
    """Tokens of an epoch, that is of all records once, without padding, and how many of them are trained."""
    total = sum(len(one.input_ids) for one in encoded)
    trained = sum(label != IGNORE_INDEX for one in encoded for label in one.labels)
    return {"tokens_per_epoch": total, "trained_token_share": round(trained / total, 6)}


def row_shape(encoded: list[EncodedRecord], train: TrainParams, processes: int) -> Figures:
    """Rows as train.packing makes them, the steps that training will take, and padding with and without packing.

    Args:
        encoded: the training records, truncated; each round packs and batches its own part of them.
        train: the parameters of training.
        processes: how many train together.
    """
    rounds = split_rounds(encoded, train.rounds)
    single = [[len(one.input_ids) for one in part] for part in rounds]
    packed = [list(map(sum, make_rows(part, train.max_length, packing=True)["seq_lengths"])) for part in rounds]
    taken = packed if train.packing else single
    return {
        "rows": sum(map(len, taken)),
        "row_tokens_max": max(map(max, taken)),
        "padding_share_packed": padding_share(packed, train.batch_size),
        "padding_share_unpacked": padding_share(single, train.batch_size),
        "predicted_steps": predict_steps(list(map(len, taken)), train, processes),
    }


def padding_share(rounds: list[list[int]], batch_size: int) -> float:
    """The expected share of padding where rows are batched at random within each round.

    Args:
        rounds: the lengths of each round's rows, in tokens.
        batch_size: rows of a batch.
    """
    padded = sum(len(lengths) * longest_in_batch(lengths, batch_size) for lengths in rounds)
    return round(1 - sum(map(sum, rounds)) / padded, 6)


def longest_in_batch(lengths: list[int], batch_size: int) -> float:
    """The expected length that a row is padded to, the longest of a batch drawn at random.

    The longest of b rows drawn from n is the i-th shortest with probability C(i - 1, b - 1) / C(n, b) (David and
    Nagaraja, "Order Statistics", for draws without replacement). From i + 1 to i it changes by (i - b + 1) / i.

    Args:
        lengths: of all rows, in tokens.
        batch_size: rows of a batch.
    """
    longest_first, count = numpy.sort(lengths)[::-1], len(lengths)
    batch = min(batch_size, count)
    below = numpy.arange(count - 1, 0, -1)
    changes = numpy.maximum(below - batch + 1, 0) / below
    probabilities = batch / count * numpy.cumprod(numpy.concatenate([[1.0], changes]))
    return float(probabilities @ longest_first)


def length_histogram(lengths: numpy.ndarray, max_length: int) -> list[Figures]:
    """Records by length: `tokens` the shortest length of each bin, and a last row for those truncated.

    Args:
        lengths: of the records, not truncated, in tokens.
        max_length: train.max_length.
    """
    whole = lengths[lengths <= max_length]
    counts = numpy.bincount(numpy.searchsorted(EDGES, whole, side="right") - 1, minlength=len(EDGES))
    bins = [
        {"tokens": int(EDGES[place]), "records": int(counts[place]), "kept": "whole"} for place in shown_bins(counts)
    ]
    return [*bins, {"tokens": max_length, "records": int((lengths > max_length).sum()), "kept": "cut off"}]


def shown_bins(counts: numpy.ndarray) -> range:
    """The places from the first bin to the last that hold anything, and an empty one on either side."""
    occupied = numpy.flatnonzero(counts)
    return range(max(occupied[0] - 1, 0), min(occupied[-1] + 2, len(counts))) if occupied.size else range(0)


def token_shares(metrics: Figures) -> list[Figures]:
    """What the tokens of a batch are, with and without packing: trained, masked or padding."""
    found = []
    for name in ("packed", "unpacked"):
        padding = metrics[f"padding_share_{name}"]
        trained = round((1 - padding) * metrics["trained_token_share"], 6)
        kinds = {"trained": trained, "masked": round(1 - padding - trained, 6), "padding": padding}
        found += [{"rows": name, "tokens": kind, "share": share} for kind, share in kinds.items()]
    return found
