"""Examples that a reviewer reads in a diff: what the rules changed, and which records were dropped.

Covers which records are shown and how. They are drawn by a hash of their uid: spread over the file, and the same ones
in every run.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import polars as pl
from xxhash import xxh3_64_intdigest

from src.records.cleaning import CleanedBatch
from src.records.rules import MAX_PASSES, Rule, apply_rule

SHOWN = 10  # of each rule, and of each kind of duplicates
DROPPED = ("markup_title", "unsettled", "too_short", "content_is_title", "other_language")
REPEATS = {"duplicate": "exact", "near_duplicate": "near"}
LEAD, WIDTH = 20, 60  # characters shown before the first difference, and in all


def example_keys(uids: pl.Series) -> pl.Series:
    """A number of 64 bits for each uid: the records with the lowest are shown."""
    return pl.Series("lot", np.fromiter(map(xxh3_64_intdigest, uids.cast(pl.Binary).to_list()), np.uint64, len(uids)))


def lowest_positions(lots: pl.Series, hit: np.ndarray) -> list[int]:
    """The places of the SHOWN lowest lots among those hit; of equal ones the first."""
    places = np.flatnonzero(hit)
    return places[np.argsort(lots.to_numpy()[places], kind="stable")[:SHOWN]].tolist()


Example = tuple[int, str, str, str]  # lot, uid, field, text


class ChangeExamples:
    """The records drawn for each rule and for each reason to drop one, their texts as they were before cleaning."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._rules = rules
        self._drawn: dict[str, list[Example]] = {rule.name: [] for rule in rules}
        self._dropped: dict[str, list[Example]] = {verdict: [] for verdict in DROPPED}

    def add(self, cleaned: CleanedBatch) -> None:
        """Draws from a batch; of a record whose texts both changed, the title is shown."""
        lot = example_keys(cleaned.before["uid"])
        for name, drawn in self._drawn.items():
            title = cleaned.titles[name]
            for place in lowest_positions(lot, title | cleaned.contents[name]):
                field = "title" if title[place] else "content"
                drawn.append((lot[place], cleaned.before["uid"][place], field, cleaned.before[field][place]))
            self._drawn[name] = sorted(drawn, key=lambda example: example[0])[:SHOWN]
        for verdict, drawn in self._dropped.items():
            for place in lowest_positions(lot, (cleaned.after["verdict"] == verdict).to_numpy()):
                field = "title" if cleaned.in_title[place] else "content"
                drawn.append((lot[place], cleaned.before["uid"][place], field, cleaned.before[field][place]))
            self._dropped[verdict] = sorted(drawn, key=lambda example: example[0])[:SHOWN]

    def rows(self) -> list[dict[str, str]]:
        """The examples of each rule and each reason: rule, uid, field, before and after that rule."""
        return [row for rule in self._rules for row in self._rows(rule)] + [
            {
                "rule": verdict,
                "uid": escape_invisible(uid),
                "field": field,
                "before": excerpt(text, 0),
                "after": "(dropped)",
            }
            for verdict, drawn in self._dropped.items()
            for _, uid, field, text in drawn
        ]

    def _rows(self, rule: Rule) -> Iterable[dict[str, str]]:
        drawn = self._drawn[rule.name]
        changes = first_changes(rule, pl.Series([text for *_, text in drawn], dtype=pl.String), self._rules)
        for (_, uid, field, _), change in zip(drawn, changes, strict=True):
            before, after = difference_window(*change)
            yield {"rule": rule.name, "uid": escape_invisible(uid), "field": field, "before": before, "after": after}


class DuplicateExamples:
    """Some records that are dropped as duplicates, of each kind those with the lowest lots, and what they repeat."""

    def __init__(self, plan: pl.DataFrame) -> None:
        """Draws from all records, given by `lot`, `verdict` and, as a position, what they repeat (`of`)."""
        hits = {kind: (plan["verdict"] == kind).to_numpy() for kind in REPEATS}
        self._drawn = [
            (kind, place, plan["of"][place])
            for kind, hit in hits.items()
            for place in lowest_positions(plan["lot"], hit)
        ]
        self._records: dict[int, dict[str, Any]] = {}
        self._start = 0

    def add(self, records: pl.DataFrame) -> None:
        """Takes the texts of those drawn from a batch of all records, one batch behind the other."""
        inside = range(self._start, self._start + records.height)
        for place in sorted({place for _, *pair in self._drawn for place in pair if place in inside}):
            self._records[place] = records.row(place - self._start, named=True)
        self._start += records.height

    def rows(self) -> list[dict[str, str]]:
        """One row for each: kind, uid, of_uid, title, of_title, content, of_content."""
        return [
            duplicate_row(REPEATS[kind], self._records[place], self._records[of]) for kind, place, of in self._drawn
        ]


def duplicate_row(kind: str, record: dict[str, str], other: dict[str, str]) -> dict[str, str]:
    """A duplicate beside the record that it repeats."""
    title, of_title = difference_window(record["title"], other["title"])
    content, of_content = difference_window(record["content"], other["content"])
    uids = {"uid": escape_invisible(record["uid"]), "of_uid": escape_invisible(other["uid"])}
    texts = {"title": title, "of_title": of_title, "content": content, "of_content": of_content}
    return {"kind": kind} | uids | texts


def first_changes(rule: Rule, texts: pl.Series, rules: Sequence[Rule]) -> list[tuple[str, str]]:
    """Each text before and after `rule` changes it for the first time, when `rules` are applied again and again."""
    found: dict[int, tuple[str, str]] = {}
    for _ in range(MAX_PASSES):
        for each in rules:
            after, hit = apply_rule(each, texts)
            for place in hit.tolist() if each is rule else ():
                found.setdefault(place, (texts[place], after[place]))
            texts = after
    return [found[place] for place in range(len(texts))]


def difference_window(text: str, other: str) -> tuple[str, str]:
    """The same part of two texts, around where they first differ; a bracket is an end of the text, a … is none."""
    pairs = enumerate(zip(text, other, strict=False))
    same = next((place for place, (sign, another) in pairs if sign != another), min(len(text), len(other)))
    start = max(0, same - LEAD) if text != other else 0
    return excerpt(text, start), excerpt(other, start)


def excerpt(text: str, start: int) -> str:
    """WIDTH characters of a text, or as many as there are."""
    opening, closing = "…" if start else "[", "…" if start + WIDTH < len(text) else "]"
    return opening + escape_invisible(text[start : start + WIDTH]) + closing


def escape_invisible(text: str) -> str:
    r"""The text with tabs, line ends and all else that cannot be seen escaped, as in \t and \u200b."""
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
