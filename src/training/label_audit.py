"""What the trainer will really see, measured before any GPU time is spent, and refused where it makes no sense.

Covers token lengths, truncation, the share of tokens that are trained, begin and stop tokens, rows, padding and steps.
Reads the same encoding that training does. Does not look at text quality, nor at memory: models/memory.py does.
"""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy

from src.errors import UserError
from src.params import AuditParams, TrainParams
from src.prompts.encoding import IGNORE_INDEX, EncodedRecord, encode_record, find_special_token
from src.prompts.packing import make_rows
from src.prompts.rendering import reference_text
from src.prompts.tokenizers import end_of_turn_id, stop_token_ids
from src.training.schedule import predict_steps, split_rounds

PERCENTILES = (5, 25, 50, 75, 95, 99)
HISTOGRAM_BARS = 32

Record = dict[str, Any]
Row = dict[str, Any]


class LabelAudit(NamedTuple):
    """The measured training set: metrics, and the plots' rows."""

    metrics: Row
    lengths: list[Row]
    tokens: list[Row]


def audit_labels(whole: list[EncodedRecord], train: TrainParams, processes: int) -> LabelAudit:
    """Measures training records, encoded and not cut off, as they will be cut off, packed and trained in rounds.

    `processes` train together, each on train.batch_size rows at once.
    """
    cut = [EncodedRecord(one.input_ids[: train.max_length], one.labels[: train.max_length]) for one in whole]
    lengths = numpy.array([len(one.input_ids) for one in whole])
    prompts = numpy.array([prompt_length(one) for one in whole])
    metrics = {
        "records": len(whole),
        **length_percentiles("prompt_tokens", prompts),
        **length_percentiles("answer_tokens", lengths - prompts),
        **length_percentiles("tokens", lengths),
        "truncated_share": round(float(numpy.mean(lengths > train.max_length)), 6),
        **epoch_tokens(cut),
        **row_shape(cut, train, processes),
    }
    return LabelAudit(metrics, length_histogram(lengths, train.max_length), token_shares(metrics))


def prompt_length(encoded: EncodedRecord) -> int:
    """Tokens in front of the first trained one."""
    return next((at for at, label in enumerate(encoded.labels) if label != IGNORE_INDEX), len(encoded.labels))


def length_percentiles(name: str, lengths: numpy.ndarray) -> Row:
    """Percentiles of a length in tokens, each a length that occurs, and the largest."""
    found = numpy.percentile(lengths, PERCENTILES, method="inverted_cdf")
    return {
        **{f"{name}_p{rank}": int(length) for rank, length in zip(PERCENTILES, found, strict=True)},
        f"{name}_max": int(lengths.max()),
    }


def epoch_tokens(encoded: list[EncodedRecord]) -> Row:
    """Tokens of an epoch, that is of all records once, without padding, and how many of them are trained."""
    total = sum(len(one.input_ids) for one in encoded)
    trained = sum(label != IGNORE_INDEX for one in encoded for label in one.labels)
    return {"tokens_per_epoch": total, "trained_token_share": round(trained / total, 6)}


def row_shape(encoded: list[EncodedRecord], train: TrainParams, processes: int) -> Row:
    """Rows as train.packing makes them, the steps that training will take, and padding with and without packing.

    Over all rounds, each of which packs and batches its own part of the records.
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
    """The expected share of padding where rows, by their lengths, are batched at random within each round."""
    padded = sum(len(lengths) * longest_in_batch(lengths, batch_size) for lengths in rounds)
    return round(1 - sum(map(sum, rounds)) / padded, 6)


def longest_in_batch(lengths: list[int], batch_size: int) -> float:
    """The expected length that a row is padded to, the longest of a batch drawn at random.

    The longest of b rows drawn from n is the i-th shortest with probability C(i - 1, b - 1) / C(n, b) (David and
    Nagaraja, "Order Statistics", for draws without replacement). From i + 1 to i it changes by (i - b + 1) / i.
    """
    longest_first, count = numpy.sort(lengths)[::-1], len(lengths)
    batch = min(batch_size, count)
    below = numpy.arange(count - 1, 0, -1)
    changes = numpy.maximum(below - batch + 1, 0) / below
    probabilities = batch / count * numpy.cumprod(numpy.concatenate([[1.0], changes]))
    return float(probabilities @ longest_first)


def length_histogram(lengths: numpy.ndarray, max_length: int) -> list[Row]:
    """Records by length: bars of equal width, `tokens` the longest length in each, and one bar more for all cut off.

    The bars depend on `max_length` alone, so that two runs can be laid over each other.
    """
    width = math.ceil(max_length / HISTOGRAM_BARS)
    last = math.ceil(max_length / width) + 1
    bars = numpy.where(lengths > max_length, last, -(-lengths // width))
    counts = numpy.bincount(bars, minlength=last + 1)
    return [
        {"tokens": bar * width, "records": int(counts[bar]), "kept": "cut off" if bar == last else "whole"}
        for bar in range(1, last + 1)
    ]


def token_shares(metrics: Row) -> list[Row]:
    """What the tokens of a batch are, with and without packing: trained, masked or padding."""
    found = []
    for name in ("packed", "unpacked"):
        padding = metrics[f"padding_share_{name}"]
        trained = round((1 - padding) * metrics["trained_token_share"], 6)
        kinds = {"trained": trained, "masked": round(1 - padding - trained, 6), "padding": padding}
        found += [{"rows": name, "tokens": kind, "share": share} for kind, share in kinds.items()]
    return found


def check_prompts(
    tokenizer: Any, splits: dict[str, list[Record]], limits: AuditParams, train: TrainParams
) -> dict[str, list[EncodedRecord]]:
    """The formatted records of each file, encoded and not cut off; the first file is the one that is trained on.

    Raises:
        UserError: naming every reason for which training, or the evaluation after it, would make no sense.
    """
    found = [*pad_faults(tokenizer), *text_faults(tokenizer, splits)]
    if empty := [path for path, records in splits.items() if not records]:
        raise UserError("\n".join([*found, f"{' and '.join(empty)}: no record there: raise sample.records."]))
    try:
        encoded = {path: [encode_record(tokenizer, record) for record in records] for path, records in splits.items()}
    except UserError as error:  # the template cannot render the turns
        raise UserError("\n".join([*found, str(error)])) from None
    trained = next(iter(encoded.values()))
    found += [
        *label_faults(tokenizer, encoded, train.max_length),
        *prompt_faults(encoded, train.max_length),
        *truncation_faults(trained, limits, train.max_length),
        *round_faults(trained, train.rounds),
    ]
    if found:
        raise UserError("\n".join(found))
    return encoded


def pad_faults(tokenizer: Any) -> list[str]:
    """A pad token that ends answers."""
    if tokenizer.pad_token_id not in stop_token_ids(tokenizer):
        return []
    return ["the pad token is a stop token, so answers would never end: choose a base model with another one."]


def text_faults(tokenizer: Any, splits: dict[str, list[Record]]) -> list[str]:
    """Answers without text, and text that would become a special token."""
    empty = find_places(splits, lambda record: not reference_text(record).strip())
    special = find_places(splits, lambda record: find_special_token(tokenizer, record) is not None)
    found = []
    if empty:
        found.append(f"{name_places(empty)}: the answer is empty: raise data.min_content_chars.")
    if special:
        record = first_record(splits, special)
        found.append(
            f"{name_places(special)}: the text holds {find_special_token(tokenizer, record)!r}, which would become "
            f"that special token: take it out of the raw record with uid {record.get('uid', 'unknown')}, or out of "
            "format.instruction and format.question."
        )
    return found


def label_faults(tokenizer: Any, encoded: dict[str, list[EncodedRecord]], max_length: int) -> list[str]:
    """Begin and stop tokens and labels that no template should lead to."""
    begin, stop = tokenizer.bos_token_id, end_of_turn_id(tokenizer)
    unbegun = find_places(encoded, lambda one: begin is not None and begin_tokens(one, begin) != 1)
    unstopped = find_places(encoded, lambda one: stop is None or stop not in one.labels)
    unmasked = find_places(encoded, lambda one: IGNORE_INDEX not in one.labels)
    path, trained = next(iter(encoded.items()))
    found = []
    if unbegun:
        found.append(f"{name_places(unbegun)}: not one begin-of-text token in front: choose another format.template.")
    if unstopped:
        found.append(
            f"{name_places(unstopped)}: the template's end-of-turn token is not trained, so answers would never "
            "end: choose another format.template."
        )
    if unmasked:
        found.append(
            f"{name_places(unmasked)}: every token is trained, none masked as the prompt: choose another "
            "format.template."
        )
    if all(set(one.labels[:max_length]) <= {IGNORE_INDEX} for one in trained):
        found.append(f"{path}: nothing is trained in {max_length} tokens a record: raise train.max_length.")
    return found


def begin_tokens(encoded: EncodedRecord, begin: int) -> int:
    """Begin-of-text tokens in a row at the start; some templates use that token between turns as well."""
    return next((at for at, token in enumerate(encoded.input_ids) if token != begin), len(encoded.input_ids))


def prompt_faults(encoded: dict[str, list[EncodedRecord]], max_length: int) -> list[str]:
    """Prompts that leave no room for an answer, in which training and evaluation would find nothing to measure."""
    long = find_places(encoded, lambda one: prompt_length(one) >= max_length)
    if not long:
        return []
    longest = max(prompt_length(one) for side in encoded.values() for one in side)
    return [
        f"{name_places(long)}: the prompt alone fills train.max_length ({max_length} tokens): raise it above "
        f"{longest}, the longest prompt, or shorten format.instruction and format.question."
    ]


def truncation_faults(trained: list[EncodedRecord], limits: AuditParams, max_length: int) -> list[str]:
    """More records cut off than audit.max_truncated_share."""
    lengths = numpy.array([len(one.input_ids) for one in trained])
    share = float(numpy.mean(lengths > max_length))
    if share <= limits.max_truncated_share:
        return []
    fits = int(numpy.quantile(lengths, 1 - limits.max_truncated_share, method="inverted_cdf"))
    return [
        f"{share:.2%} of the training records are longer than train.max_length ({max_length} tokens), more than "
        f"audit.max_truncated_share ({limits.max_truncated_share:.2%}) allows: raise train.max_length to {fits}."
    ]


def round_faults(trained: list[EncodedRecord], rounds: int) -> list[str]:
    """Rounds that would have no record."""
    if rounds <= len(trained):
        return []
    return [f"train.rounds is {rounds}, and there are {len(trained)} training records: lower it."]


def find_places(files: dict[str, list[Any]], faulty: Callable[[Any], bool]) -> list[str]:
    """File and line of every record for which `faulty` is true, in order."""
    return [f"{path}:{line}" for path, many in files.items() for line, one in enumerate(many, start=1) if faulty(one)]


def first_record(files: dict[str, list[Record]], found: list[str]) -> Record:
    """The record at the first of the places."""
    path, _, line = found[0].rpartition(":")
    return files[path][int(line) - 1]


def name_places(found: list[str]) -> str:
    """The first of the places, and how many more there are."""
    return found[0] + (f" and {len(found) - 1} more" if len(found) > 1 else "")
