"""Cleaning scored against the embedded sample's planted flaws: recall a flaw, and precision on untouched records."""

import gzip
import json
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.records import raw
from src.records.clean import clean
from src.records.duplicates import Seen
from src.records.rules import RULES

SAMPLE = Path("data/sample")
REASONS = {
    "no_json": "not JSON",
    "cut_off": "not JSON",
    "no_object": "not an object",
    "invalid_utf8": "invalid UTF-8",
    "wrong_type": "is no text",
    "missing_field": "is missing",
}
Outcome = tuple[str, str | None, str | None]


@cache
def truth() -> dict[str, Any]:
    return json.loads(gzip.decompress((SAMPLE / "truth.json.gz").read_bytes()))


@cache
def read() -> list[raw.Parsed]:
    return list(raw.read(SAMPLE / "trn.json.gz"))


@cache
def outcomes() -> dict[str, tuple[Outcome, Outcome]]:
    """By uid what cleaning made of a record, and what the truth says: verdict, title, content."""
    records = pl.concat(block.records for block in read())
    triaged = raw.triage(records, 3, 40)
    cleaned, _ = clean(triaged.filter(verdict="kept").drop("verdict"), RULES, 3, 40, Seen())
    judged = pl.concat([triaged.filter(pl.col("verdict") != "kept"), cleaned])
    made = {uid: outcome(verdict, title, content) for uid, title, content, verdict in judged.iter_rows()}
    return {uid: (made[uid], wanted(uid, title, content)) for uid, title, content in records.iter_rows()}


def wanted(uid: str, title: str, content: str) -> Outcome:
    known = truth()["records"].get(uid, {})
    return outcome(known.get("dropped", "kept"), known.get("title", title), known.get("content", content))


def outcome(verdict: str, title: str, content: str) -> Outcome:
    return (verdict, title, content) if verdict == "kept" else (verdict, None, None)


def test_every_planted_flaw_is_mended() -> None:
    planted, mended = Counter[str](), Counter[str]()
    for uid, (made, right) in outcomes().items():
        for flaw in truth()["records"].get(uid, {}).get("flaws", []):
            planted[flaw] += 1
            mended[flaw] += made == right
    assert len(planted) >= 15
    assert {flaw: mended[flaw] / planted[flaw] for flaw in planted if mended[flaw] < 0.99 * planted[flaw]} == {}


def test_what_is_changed_or_dropped_should_be() -> None:
    flawless = [pair for uid, pair in outcomes().items() if uid not in truth()["records"]]
    assert len(flawless) > 1000
    assert [made for made, right in flawless if made != right] == []


@pytest.mark.parametrize("verdict", ["content_is_title", "markup_title", "duplicate"])
def test_drops_are_precise(verdict: str) -> None:
    dropped = [right[0] for made, right in outcomes().values() if made[0] == verdict]
    assert dropped and set(dropped) == {verdict}


def test_malformed_lines_are_exactly_the_planted_ones() -> None:
    rejected = {str(line["line"]): line["reason"] for block in read() for line in block.rejected}
    planted = truth()["malformed"]
    assert rejected.keys() == planted.keys()
    assert [kind for line, kind in planted.items() if REASONS[kind] not in rejected[line]] == []
