"""Cleaning scored against what was planted into the embedded sample: recall and precision of every rule and drop.

Covers the embedded sample alone, of which the truth is known: a file says of each flawed record its flaws, and its
clean texts or why it has to be dropped. A record that it does not name is clean as it is. Does not cover
transliteration.
"""

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from src.records.cleaning import CleanedBatch
from src.records.rules import Rule

SAMPLE, TRUTH = Path("data/sample/trn.json.gz"), Path("data/sample/truth.json.gz")
FLAWS_OF_RULE = {  # the flaws that each rule mends
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
DROPS = ("markup_title", "content_is_title", "duplicate", "near_duplicate")
Score = dict[str, float | None]


@dataclass
class Outcome:
    """What a record has and needs (`flaws`, `wanted`) beside what became of it (`changed` by which rules, `verdict`).

    `restored` says whether its texts are the true ones, None where those are not told.
    """

    flaws: set[str]
    wanted: str
    changed: set[str]
    verdict: str
    restored: bool | None


class GroundTruth:
    """The truth about the embedded sample, and what became of the records added."""

    def __init__(self, records: dict[str, dict[str, Any]], rules: Sequence[Rule]) -> None:
        self._records = records
        self._rules = [rule.name for rule in rules]
        self._outcomes: list[Outcome] = []

    def add(self, cleaned: CleanedBatch) -> None:
        """Notes what became of a batch."""
        records = zip(cleaned.before.iter_rows(named=True), cleaned.after.iter_rows(named=True), strict=True)
        for place, (before, after) in enumerate(records):
            changed = {rule for rule in self._rules if cleaned.titles[rule][place] or cleaned.contents[rule][place]}
            self._outcomes.append(compare_outcome(self._records.get(before["uid"], {}), before, after, changed))

    def judge(self, verdicts: Iterable[str]) -> None:
        """Takes the final verdicts of the records that were kept so far, in order."""
        kept = [outcome for outcome in self._outcomes if outcome.verdict == "kept"]
        for outcome, verdict in zip(kept, verdicts, strict=True):
            outcome.verdict = verdict

    def scores(self) -> dict[str, Score]:
        """Recall and precision by rule and by reason of a drop, None where there is no record to score on.

        Recall of a rule: the share of the records with a flaw that it mends whose texts are restored. Precision: the
        share of the records that it changed.
        """
        rules = {rule: self._score_rule(rule) for rule in self._rules if rule in FLAWS_OF_RULE}
        return rules | {reason: self._score_drop(reason) for reason in DROPS}

    def _score_rule(self, rule: str) -> Score:
        told = [outcome for outcome in self._outcomes if outcome.restored is not None]
        planted = [outcome.restored for outcome in told if outcome.flaws & FLAWS_OF_RULE[rule]]
        return score_decisions(planted, [outcome.restored for outcome in told if rule in outcome.changed])

    def _score_drop(self, reason: str) -> Score:
        planted = [outcome.verdict == reason for outcome in self._outcomes if outcome.wanted == reason]
        return score_decisions(
            planted, [outcome.wanted == reason for outcome in self._outcomes if outcome.verdict == reason]
        )


def load_ground_truth(raw: str, rules: Sequence[Rule]) -> GroundTruth | None:
    """The truth about the raw file, None where it is not the embedded sample or the rules transliterate."""
    if Path(raw) != SAMPLE or any(rule.name == "ascii" for rule in rules):
        return None
    return GroundTruth(json.loads(gzip.decompress(TRUTH.read_bytes()))["records"], rules)


def compare_outcome(known: dict[str, Any], before: dict[str, str], after: dict[str, str], changed: set[str]) -> Outcome:
    """What became of a record, by what is known of it and its texts before and after."""
    wanted = known.get("dropped", "kept")
    told = wanted in ("kept", "duplicate", "near_duplicate")
    restored = all(after[field] == known.get(field, before[field]) for field in ("title", "content")) if told else None
    return Outcome(set(known.get("flaws", [])), wanted, changed, after["verdict"], restored)


def score_decisions(planted: Sequence[bool | None], acted: Sequence[bool | None]) -> Score:
    """How many were planted, and the share of them, and of those acted on, that came out right."""
    return {"planted": len(planted), "recall": true_share(planted), "precision": true_share(acted)}


def true_share(right: Sequence[bool | None]) -> float | None:
    """The share of the true ones, None of nothing."""
    return round(sum(map(bool, right)) / len(right), 6) if right else None
