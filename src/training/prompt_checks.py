"""Refuses prompts for which training, or the evaluation after it, would make no sense.

Covers pad, begin and stop tokens, labels, empty completions, truncation and rounds, each with the file and line of the
first record. Reads the same encoding that training does. Does not look at text quality.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy

from src.errors import UserError
from src.params import AuditParams, TrainParams
from src.prompts.encoding import IGNORE_INDEX, EncodedRecord, encode_records, find_special_token
from src.prompts.rendering import FormattedRecord, reference_text
from src.prompts.tokenizers import end_of_turn_id, stop_token_ids
from src.training.label_audit import prompt_length

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Item = TypeVar("Item")


def check_prompts(
    tokenizer: "PreTrainedTokenizerBase",
    splits: dict[str, list[FormattedRecord]],
    limits: AuditParams,
    train: TrainParams,
) -> dict[str, list[EncodedRecord]]:
    """The formatted records of each file, encoded and not truncated.

    Args:
        tokenizer: the base model's, with the chat template.
        splits: formatted records by file; the first file is the one that is trained on.
        limits: what the audit allows.
        train: the parameters of training.

    Raises:
        UserError: naming every reason for which training, or the evaluation after it, would make no sense.
    """
    # First what shows without encoding, which a faulty template may refuse.
    found = [*pad_faults(tokenizer), *text_faults(tokenizer, splits)]
    if empty := [path for path, records in splits.items() if not records]:
        raise UserError("\n".join([*found, f"{' and '.join(empty)}: no record there: raise sample.records."]))
    try:
        encoded = {path: encode_records(tokenizer, records) for path, records in splits.items()}
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


def pad_faults(tokenizer: "PreTrainedTokenizerBase") -> list[str]:
    """A pad token that ends answers."""
    if tokenizer.pad_token_id not in stop_token_ids(tokenizer):
        return []
    return ["the pad token is a stop token, so answers would never end: choose a base model with another one."]


def text_faults(tokenizer: "PreTrainedTokenizerBase", splits: dict[str, list[FormattedRecord]]) -> list[str]:
    """Completions without text, and text that would become a special token.

    Args:
        tokenizer: the base model's.
        splits: formatted records by file.
    """
    empty = find_places(splits, lambda record: not reference_text(record).strip())
    special = find_places(splits, lambda record: find_special_token(tokenizer, record) is not None)
    found = []
    if empty:
        found.append(f"{name_places(empty)}: the completion is empty: raise data.min_content_chars.")
    if special:
        record = first_record(splits, special)
        found.append(
            f"{name_places(special)}: the text holds {find_special_token(tokenizer, record)!r}, which would become "
            f"that special token: take it out of the raw record with uid {record.get('uid', 'unknown')}, or out of "
            "format.instruction and format.question."
        )
    return found


def label_faults(
    tokenizer: "PreTrainedTokenizerBase", encoded: dict[str, list[EncodedRecord]], max_length: int
) -> list[str]:
    """Begin and stop tokens and labels that no template should lead to.

    Args:
        tokenizer: the base model's.
        encoded: encoded records by file, the first the one that is trained on.
        max_length: train.max_length.
    """
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
    """Begin-of-text tokens in a row at the start; some templates use that token between turns as well.

    Args:
        encoded: a record.
        begin: the id of the begin-of-text token.
    """
    return next((at for at, token in enumerate(encoded.input_ids) if token != begin), len(encoded.input_ids))


def prompt_faults(encoded: dict[str, list[EncodedRecord]], max_length: int) -> list[str]:
    """Prompts that leave no room for a completion, in which training and evaluation would find nothing to measure.

    Args:
        encoded: encoded records by file.
        max_length: train.max_length.
    """
    long = find_places(encoded, lambda one: prompt_length(one) >= max_length)
    if not long:
        return []
    longest = max(prompt_length(one) for records in encoded.values() for one in records)
    return [
        f"{name_places(long)}: the prompt alone fills train.max_length ({max_length} tokens): raise it above "
        f"{longest}, the longest prompt, or shorten format.instruction and format.question."
    ]


def truncation_faults(trained: list[EncodedRecord], limits: AuditParams, max_length: int) -> list[str]:
    """More records truncated than audit.max_truncated_share allows.

    Args:
        trained: the training records, not truncated.
        limits: what the audit allows.
        max_length: train.max_length.
    """
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
    """Rounds that would have no record.

    Args:
        trained: the training records.
        rounds: train.rounds.
    """
    if rounds <= len(trained):
        return []
    return [f"train.rounds is {rounds}, and there are {len(trained)} training records: lower it."]


def find_places(files: dict[str, list[Item]], faulty: Callable[[Item], bool]) -> list[str]:
    """File and line of every record for which `faulty` is true, in order.

    Args:
        files: records, or encoded ones, by file.
        faulty: what is looked for.
    """
    return [f"{path}:{line}" for path, many in files.items() for line, one in enumerate(many, start=1) if faulty(one)]


def first_record(files: dict[str, list[FormattedRecord]], found: list[str]) -> FormattedRecord:
    """The record at the first of the places.

    Args:
        files: records by file.
        found: places as `find_places` gives them, at least one.
    """
    path, _, line = found[0].rpartition(":")
    return files[path][int(line) - 1]


def name_places(found: list[str]) -> str:
    """The first of the places, and how many more there are."""
    return found[0] + (f" and {len(found) - 1} more" if len(found) > 1 else "")
