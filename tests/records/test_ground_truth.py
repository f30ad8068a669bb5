"""Cleaning scored against the embedded sample: every rule and drop by the stage's scores, every single flaw by its own.

Runs what the stage runs, in one batch.
"""

import gzip
import json
from collections import defaultdict
from functools import cache
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.records import ground_truth, raw
from src.records.cleaning import CleanedBatch, FilterSettings, clean_batch
from src.records.deduplication import mark_duplicates
from src.records.ground_truth import DROPS, FLAWS_OF_RULE, TRUTH, GroundTruth
from src.records.near_duplicates import NearDuplicateFinder
from src.records.rules import ASCII_RULES, RULES

REASONS = {
    "no_json": "not JSON",
    "cut_off": "not JSON",
    "no_object": "not an object",
    "invalid_utf8": "invalid UTF-8",
    "wrong_type": "is no text",
    "missing_field": "is missing",
}
GOAL = 0.99


@cache
def known() -> dict[str, Any]:
    return json.loads(gzip.decompress(TRUTH.read_bytes()))


@cache
def read() -> list[raw.Parsed]:
    return list(raw.read_raw(ground_truth.SAMPLE))


@cache
def cleaned() -> tuple[CleanedBatch, pl.Series]:
    """All records of the sample, cleaned, and the final verdicts of those kept so far."""
    records = (
        raw.mark_drop_reasons(pl.concat(block.records for block in read()), 3, 40)
        .filter(verdict="kept")
        .drop("verdict")
    )
    made = clean_batch(records, RULES, FilterSettings(3, 40, True, True, None))
    kept, near = made.after.filter(verdict="kept"), NearDuplicateFinder(0.8)
    near.add(near.signatures(kept["content"]))
    clusters = near.clusters(lambda: [kept["content"]])
    return made, mark_duplicates(kept, clusters, "near")["verdict"]


def scores() -> dict[str, ground_truth.Score]:
    made, verdicts = cleaned()
    scored = ground_truth.load_ground_truth(str(ground_truth.SAMPLE), RULES)
    assert scored
    scored.add(made)
    scored.judge(verdicts)
    return scored.scores()


@pytest.mark.parametrize("measure", ["recall", "precision"])
def test_every_rule_and_every_drop_reaches_the_goal(measure: str) -> None:
    found = scores()
    assert list(found) == [*(rule.name for rule in RULES), *DROPS]
    assert {name: score for name, score in found.items() if not (score["planted"] or 0) >= 30} == {}
    assert {name: score for name, score in found.items() if not (score[measure] or 0) >= GOAL} == {}


def test_every_single_flaw_is_mended() -> None:
    made, _ = cleaned()
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for before, after in zip(made.before.iter_rows(named=True), made.after.iter_rows(named=True), strict=True):
        entry = known()["records"].get(before["uid"], {})
        restored = ground_truth.compare_outcome(entry, before, after, set()).restored
        for flaw in entry.get("flaws", []) if restored is not None else []:
            right[flaw].append(bool(restored))
    assert right.keys() >= set().union(*FLAWS_OF_RULE.values())
    assert {flaw: np.mean(hits) for flaw, hits in right.items() if np.mean(hits) < GOAL} == {}


def test_records_without_a_flaw_are_kept_as_they_are() -> None:
    made, _ = cleaned()
    flawless = ~made.before["uid"].is_in(list(known()["records"]))
    assert flawless.sum() > 1000
    assert made.after.filter(flawless).select("uid", "title", "content").equals(made.before.filter(flawless))
    assert made.after.filter(flawless)["verdict"].unique().to_list() == ["kept"]


def test_malformed_lines_are_exactly_the_planted_ones() -> None:
    rejected = {str(line["line"]): line["reason"] for block in read() for line in block.rejected}
    planted = known()["malformed"]
    assert rejected.keys() == planted.keys()
    assert [kind for line, kind in planted.items() if REASONS[kind] not in rejected[line]] == []


def test_other_data_and_transliterated_texts_have_no_truth() -> None:
    assert ground_truth.load_ground_truth("data/raw/trn.json.gz", RULES) is None
    assert ground_truth.load_ground_truth(str(ground_truth.SAMPLE), ASCII_RULES) is None
    assert ground_truth.load_ground_truth(f"./{ground_truth.SAMPLE}", RULES) is not None


def test_scores_are_shares_of_what_was_planted_and_of_what_was_done() -> None:
    planted = {
        "1": {"flaws": ["tags"], "content": "owls live in barns"},
        "2": {"flaws": ["tags"], "content": "bats live in caves"},
        "3": {"flaws": ["near_content"], "dropped": "near_duplicate"},
        "4": {"flaws": ["markup_title"], "dropped": "markup_title"},
    }
    contents = [
        "owls <b>live</b> in barns",
        "bats <b>live</b> in CAVES",
        "<i>rats</i> live in towns",
        "<b>cats</b>",
        "x",
    ]
    records = pl.DataFrame({"uid": list("12345"), "title": ["An owl"] * 5, "content": contents})
    scored = GroundTruth(planted, RULES)
    scored.add(clean_batch(records, RULES, FilterSettings(1, 1, True, True, None)))
    scored.judge(["kept", "near_duplicate", "near_duplicate", "kept", "kept"])
    found = scored.scores()
    assert found["markup"] == {"planted": 2, "recall": 0.5, "precision": 0.333333}  # of the first three: 3 is told
    assert found["near_duplicate"] == {"planted": 1, "recall": 1.0, "precision": 0.5}
    assert found["markup_title"] == {"planted": 1, "recall": 0.0, "precision": None}
    assert found["urls"] == {"planted": 0, "recall": None, "precision": None}
