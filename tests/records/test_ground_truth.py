"""Cleaning scored on the synthetic sample: every rule and filter by the stage's scores, every single flaw by its own.

Runs what the stage runs, in one batch.
"""

import gzip
import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.params import Params
from src.records import ground_truth, raw
from src.records.clean_files import plan_duplicates
from src.records.cleaning import CleanedBatch, clean_batch
from src.records.filtering import kept_records
from src.records.ground_truth import FLAWS_OF_RULE, CleaningScorer
from src.records.parquet import parquet_writer
from src.records.raw_filters import find_raw_drop_reasons
from src.records.rules import RULES as TABLE
from src.records.rules import enabled_rules
from src.synthetic.raw_file import GROUND_TRUTH, RAW

RULES = tuple(rule for rule in TABLE if rule.switch != "ascii")
UNSCORED: frozenset[str] = frozenset()  # rules whose flaw the sample does not have, named on purpose
FILTERS = ("markup_title", "content_is_title", "duplicate", "near_duplicate")  # that the sample has records for
REASONS = {
    "no_json": "not JSON",
    "cut_off": "not JSON",
    "no_object": "not an object",
    "invalid_utf8": "invalid UTF-8",
    "wrong_type": "is no text",
    "missing_field": "is missing",
}
GOAL = 0.99


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    return json.loads(gzip.decompress(GROUND_TRUTH.read_bytes()))


@pytest.fixture(scope="module")
def read() -> list[raw.Parsed]:
    return list(raw.read_raw(RAW))


@pytest.fixture(scope="module")
def params(cleaning_params: Callable[..., Params]) -> Params:
    return cleaning_params(3, 40)


@pytest.fixture(scope="module")
def cleaned(read: list[raw.Parsed], params: Params) -> CleanedBatch:
    """All records of the sample, cleaned."""
    records = pl.concat(block.records for block in read)
    return clean_batch(records.filter(find_raw_drop_reasons(records, params).is_null()), params)


@pytest.fixture(scope="module")
def scores(
    cleaned: CleanedBatch, params: Params, known: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, ground_truth.CleaningScore]:
    kept, candidates = kept_records(cleaned.after), tmp_path_factory.mktemp("sample") / "candidates.parquet"
    with parquet_writer(candidates) as append:
        append(kept)
    scorer = CleaningScorer(known["records"], enabled_rules(params.clean))
    scorer.add(cleaned)
    scorer.add_duplicates(plan_duplicates(candidates, kept, params.clean)["drop_reason"])
    return scorer.scores()


@pytest.mark.parametrize("measure", ["recall", "precision"])
def test_every_scored_rule_and_filter_reaches_the_goal(
    measure: str, scores: dict[str, ground_truth.CleaningScore]
) -> None:
    assert list(scores) == [*(rule.name for rule in RULES if rule.name not in UNSCORED), *FILTERS]
    assert {name: score for name, score in scores.items() if not (score["injected"] or 0) >= 30} == {}
    assert {name: score for name, score in scores.items() if not (score[measure] or 0) >= GOAL} == {}


def test_every_single_flaw_is_removed(cleaned: CleanedBatch, known: dict[str, Any]) -> None:
    right: defaultdict[str, list[bool]] = defaultdict(list)
    for before, after in zip(cleaned.before.iter_rows(named=True), cleaned.after.iter_rows(named=True), strict=True):
        entry = known["records"].get(before["uid"], {})
        restored = ground_truth.compare_outcome(entry, before, after, set()).restored
        for flaw in entry.get("flaws", []) if restored is not None else []:
            right[flaw].append(bool(restored))
    assert right.keys() >= set().union(*FLAWS_OF_RULE.values())
    assert {flaw: np.mean(hits) for flaw, hits in right.items() if np.mean(hits) < GOAL} == {}


def test_records_without_a_flaw_are_kept_as_they_are(cleaned: CleanedBatch, known: dict[str, Any]) -> None:
    flawless = ~cleaned.before["uid"].is_in(list(known["records"]))
    assert flawless.sum() > 1000
    assert cleaned.after.filter(flawless).select("uid", "title", "content").equals(cleaned.before.filter(flawless))
    assert cleaned.after.filter(flawless)["drop_reason"].unique().to_list() == [None]


def test_malformed_lines_are_exactly_the_injected_ones(read: list[raw.Parsed], known: dict[str, Any]) -> None:
    rejected = {str(line["line"]): line["reason"] for block in read for line in block.rejected}
    injected = known["malformed"]
    assert rejected.keys() == injected.keys()
    assert [kind for line, kind in injected.items() if REASONS[kind] not in rejected[line]] == []


def test_scores_are_shares_of_what_was_injected_and_of_what_was_done(cleaning_params: Callable[..., Params]) -> None:
    known = {
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
    scorer = CleaningScorer(known, RULES)
    scorer.add(clean_batch(records, cleaning_params(1, 1)))
    scorer.add_duplicates(pl.Series([None, "near_duplicate", "near_duplicate", None, None]))
    found = scorer.scores()
    assert found["markup"] == {"injected": 2, "recall": 0.5, "precision": 0.333333}  # of the first three: 3 is told
    assert found["near_duplicate"] == {"injected": 1, "recall": 1.0, "precision": 0.5}
    assert found["markup_title"] == {"injected": 1, "recall": 0.0, "precision": None}
    assert "duplicate" not in found  # none was injected
    assert found["urls"] == {"injected": 0, "recall": None, "precision": None}
