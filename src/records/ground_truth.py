"""Cleaning scored against the ground truth of the synthetic sample: recall and precision of every rule and filter.

The ground truth lists each flawed record's flaws, and its clean texts or why it has to be dropped. A record that it
does not list is clean as it is. Does not cover transliteration, nor languages: the sample has no flaws of that kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from src.records.cleaning import CleanedBatch
from src.records.filters import COMPARING_FILTERS, FILTERS
from src.records.rules import Rule

FLAWS_OF_RULE = {  # the flaws that each rule removes, by the names that src/synthetic/flaws.py gives them
    "entities": {"named_entities", "decimal_entities", "hexadecimal_entities", "windows_entities", "double_entities"},
    "mojibake": {"mojibake"},
    "controls": {"control"},
    "unicode": {"decomposed"},
    "markup": {"tags"},
    "urls": {"url"},
    "emails": {"email"},
    "boilerplate": {"boilerplate"},
    "glued": {"glued"},
    "spaces": {"whitespace"},
}
CleaningScore = dict[str, float | None]


@dataclass
class Outcome:
    """What a record needs beside what became of it.

    Attributes:
        flaws: the flaws injected into it.
        expected: the drop reason that it should have, None if it should be kept.
        changed: the rules that changed it.
        drop_reason: the drop reason that it has, None if it is kept.
        restored: whether its texts are the clean ones; None where the ground truth does not have those.
    """

    flaws: set[str]
    expected: str | None
    changed: set[str]
    drop_reason: str | None
    restored: bool | None


class CleaningScorer:
    """Compares what became of the synthetic sample's records with the ground truth."""

    def __init__(self, ground_truth: dict[str, dict[str, Any]], rules: Sequence[Rule]) -> None:
        """Takes what is known of each flawed record, by uid, and the rules that are applied."""
        self._ground_truth = ground_truth
        self._rules = [rule.name for rule in rules]
        self._outcomes: list[Outcome] = []

    def add(self, cleaned: CleanedBatch) -> None:
        """Notes what became of a batch."""
        records = zip(cleaned.before.iter_rows(named=True), cleaned.after.iter_rows(named=True), strict=True)
        for position, (before, after) in enumerate(records):
            changed = {
                rule
                for rule in self._rules
                if cleaned.changed_titles[rule][position] or cleaned.changed_contents[rule][position]
            }
            self._outcomes.append(compare_outcome(self._ground_truth.get(before["uid"], {}), before, after, changed))

    def add_duplicates(self, reasons: pl.Series) -> None:
        """Takes the drop reasons of duplicates among the records that were kept so far, in order, null for none."""
        kept = [outcome for outcome in self._outcomes if outcome.drop_reason is None]
        for outcome, reason in zip(kept, reasons, strict=True):
            outcome.drop_reason = reason

    def scores(self) -> dict[str, CleaningScore]:
        """Recall and precision by rule and by drop reason, None where there is no record to score on.

        Recall of a rule: the share of the records with a flaw that it removes whose texts are restored. Precision: the
        share of the records that it changed. Drop reasons are scored where the sample has records for them.
        """
        rules = {rule: self._score_rule(rule) for rule in self._rules if rule in FLAWS_OF_RULE}
        injected = {known.get("dropped") for known in self._ground_truth.values()}
        return rules | {each.name: self._score_filter(each.name) for each in FILTERS if each.name in injected}

    def _score_rule(self, rule: str) -> CleaningScore:
        told = [outcome for outcome in self._outcomes if outcome.restored is not None]
        flawed = [bool(outcome.restored) for outcome in told if outcome.flaws & FLAWS_OF_RULE[rule]]
        return score_decisions(flawed, [bool(outcome.restored) for outcome in told if rule in outcome.changed])

    def _score_filter(self, reason: str) -> CleaningScore:
        expected = [outcome.drop_reason == reason for outcome in self._outcomes if outcome.expected == reason]
        dropped = [outcome.expected == reason for outcome in self._outcomes if outcome.drop_reason == reason]
        return score_decisions(expected, dropped)


def compare_outcome(known: dict[str, Any], before: dict[str, str], after: dict[str, Any], changed: set[str]) -> Outcome:
    """What became of a record.

    Args:
        known: the ground truth about it: flaws, drop reason, clean texts where they differ from the raw ones.
        before: the record before cleaning.
        after: the record after cleaning, with its drop reason.
        changed: the rules that changed it.
    """
    expected = known.get("dropped")
    told = expected in (None, *(each.name for each in COMPARING_FILTERS))  # others are dropped with their texts as is
    restored = all(after[field] == known.get(field, before[field]) for field in ("title", "content")) if told else None
    return Outcome(set(known.get("flaws", [])), expected, changed, after["drop_reason"], restored)


def score_decisions(injected: Sequence[bool], decided: Sequence[bool]) -> CleaningScore:
    """How many flaws were injected, recall and precision.

    Args:
        injected: of each record with the flaw whether it came out right.
        decided: of each record that the rule or filter took for flawed whether it came out right.
    """
    return {"injected": len(injected), "recall": true_share(injected), "precision": true_share(decided)}


def true_share(right: Sequence[bool]) -> float | None:
    """The share of the true ones, None of nothing."""
    return round(sum(right) / len(right), 6) if right else None
