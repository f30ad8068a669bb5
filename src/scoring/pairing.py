"""Whether models answered the same records, without which no difference between them means anything.

Covers the models of one run, which are refused otherwise, and what tells it of two runs: the digest of their records.
"""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import zip_longest

from src.errors import UserError
from src.scoring.generations import Generation

# What a pair of answers shares. Equal loss_tokens are the sign of an equal tokenizer: a loss per token of another one
# would not compare.
PAIRED_FIELDS = ("uid", "title", "reference", "loss_tokens")
DIGEST_DIGITS = 8  # enough to tell some revisions apart by eye


def check_paired(generations: Mapping[str, Sequence[Generation]]) -> None:
    """Makes sure that all models answered the same records, in the same order, from the same tokens.

    Args:
        generations: those of each model by its name; the first is what the others are compared with.

    Raises:
        UserError: naming the first line where they differ.
    """
    (first, expected), *others = generations.items()
    for other, found in others:
        for number, (left, right) in enumerate(zip_longest(expected, found), start=1):
            if left is None or right is None:
                raise UserError(
                    f"{first.capitalize()} answered {len(expected)} records and {other} {len(found)}, so they cannot "
                    "be compared: run the generate stage again for both."
                )
            check_pair(number, {first: left, other: right})


def check_pair(number: int, pair: Mapping[str, Generation]) -> None:
    """Makes sure that two models' answers on one line are to the same record.

    Args:
        number: the line, from 1.
        pair: the two models' rows by their names.

    Raises:
        UserError: naming the first field that differs.
    """
    (first, left), (other, right) = pair.items()
    fields = PAIRED_FIELDS if left.loss_tokens and right.loss_tokens else PAIRED_FIELDS[:-1]
    for field in fields:
        if getattr(left, field) != getattr(right, field):
            raise UserError(
                f"Line {number} of the generations: {field} is {getattr(left, field)!r} for {first} and "
                f"{getattr(right, field)!r} for {other}, so they cannot be compared: "
                "run the generate stage again for both."
            )


def records_digest(generations: Sequence[Generation]) -> str:
    """Eight hexadecimal digits, equal where two runs answered the same records: uid, title, reference and order."""
    records = json.dumps([(row.uid, row.title, row.reference) for row in generations])
    return sha256(records.encode()).hexdigest()[:DIGEST_DIGITS]
