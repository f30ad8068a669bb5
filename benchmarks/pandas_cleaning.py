"""The usual pandas program for the work of decompress and clean, to compare with: read, filter, clean text by text.

Covers both stages without duplicates, with the same expressions as src/records, applied by Python's `re` (by `regex`
where `re` can't express them) to one text after the other until it changes no more.

    python -m benchmarks.pandas_cleaning RAW LINES RESULT
"""

import gzip
import json
import re
import sys
import unicodedata
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Protocol

import pandas as pd
import regex

from src.records import addresses, markup, rules

Transform = Callable[[str], str]
MIN_TITLE_CHARS, MIN_CONTENT_CHARS = 3, 40  # the defaults of data.min_title_chars and data.min_content_chars


class Pattern(Protocol):
    """What the patterns of re and of regex have in common."""

    def sub(self, repl: str, string: str, /) -> str:
        """Replaces every match in a string by a template."""


def main(raw: str, lines: int, result: str) -> None:
    """Cleans the first lines of a raw file into a Parquet file of uid, title and content.

    Args:
        raw: a .json.gz.
        lines: how many of its lines are read.
        result: the Parquet file.
    """
    with gzip.open(raw, "rt", encoding="utf-8", errors="replace") as file:
        records = pd.DataFrame([record for line in islice(file, lines) if (record := parse_line(line))])
    records = records[["uid", "title", "content"]]
    stripped = records[["title", "content"]].apply(lambda column: column.str.strip().str.len())
    records = records[(stripped["title"] >= MIN_TITLE_CHARS) & (stripped["content"] >= MIN_CONTENT_CHARS)].copy()
    for column in ("title", "content"):
        records[column] = records[column].apply(apply_until_stable)
    records.to_parquet(result)


def parse_line(line: str) -> dict[str, str] | None:
    """A line's record, or None if it is malformed."""
    try:
        record = json.loads(line)
    except ValueError:
        return None
    complete = isinstance(record, dict) and all(isinstance(record.get(key), str) for key in ("uid", "title", "content"))
    return record if complete else None


def apply_until_stable(text: str) -> str:
    """The text after all rules, again and again until it changes no more."""
    for _ in range(rules.MAX_PASSES):
        before = text
        for transform in TRANSFORMS:
            text = transform(text)
        if text == before:
            break
    return text


def replace_pattern(*replacements: tuple[str, str]) -> Transform:
    """A transform that replaces what each expression matches, one after the other; all in Rust's syntax."""
    compiled = [(python_pattern(pattern), python_template(template)) for pattern, template in replacements]

    def transform(text: str) -> str:
        for pattern, template in compiled:
            text = pattern.sub(template, text)
        return text

    return transform


def python_pattern(rust: str) -> Pattern:
    """An expression in Rust's syntax as one of Python's."""
    python = re.sub(r"\\x\{([0-9a-f]+)\}", lambda code: f"\\U{int(code[1], 16):08x}", rust)
    python = python.replace(r"(?-u:\b)", r"\b").replace("(?i-u:", "(?i:")
    return regex.compile(python, regex.VERSION1) if "[[" in python else re.compile(python)


def python_template(rust: str) -> str:
    """A replacement in Rust's syntax as one of Python's."""
    return re.sub(r"\$(\d)", r"\\\1", rust)


TRANSFORMS: tuple[Transform, ...] = (
    replace_pattern((rules.LOST_AMPERSAND, "$1&$2")),
    rules.decode_entities,
    rules.repair_mojibake,
    replace_pattern(*rules.LOST_CHARACTER, (rules.INVISIBLE, "")),
    partial(unicodedata.normalize, "NFC"),
    replace_pattern(*markup.REMOVED),
    replace_pattern(*addresses.URLS),
    replace_pattern(*addresses.EMAILS),
    replace_pattern(*rules.BOILERPLATE),
    replace_pattern(*rules.GLUED),
    replace_pattern((rf"\s\s+|{rules.SPACES}", " ")),
    str.strip,
)

if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
