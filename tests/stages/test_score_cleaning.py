"""score_cleaning: the sample's scores by any parameters and for any raw data; what it leaves behind."""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from src.files import read_json
from src.params import Params, plain_values, read_yaml
from src.records.filters import FILTERS
from src.records.ground_truth import FLAWS_OF_RULE, CleaningScore
from src.stages import score_cleaning
from src.synthetic import raw_file

ROOT = Path(__file__).parents[2]
SCORED_FILTERS = ("markup_title", "content_is_title", "duplicate", "near_duplicate")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ROOT / "data/sample", tmp_path / "data/sample")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def run(data: dict[str, Any] | None = None, **clean: Any) -> dict[str, dict[str, float | None]]:
    """The scores by the parameters of params.yaml, some of them changed; only those that may be declared are there."""
    values = plain_values(read_yaml(ROOT / "params.yaml"))
    types = Params.model_fields
    lengths = {key: values["data"][key] for key in ("min_title_chars", "min_content_chars")} | (data or {})
    sections = {"data": lengths, "clean": values["clean"] | clean}
    parts: Any = {name: types[name].annotation.model_construct(**keys) for name, keys in sections.items()}  # type: ignore[union-attr]
    score_cleaning.main(Params.model_construct(**parts))
    return read_json(score_cleaning.REPORT)


def test_every_rule_and_filter_that_the_sample_has_flaws_for_is_scored(folder: Path) -> None:
    scores = run()
    assert list(scores) == [*FLAWS_OF_RULE, *SCORED_FILTERS]
    assert set(SCORED_FILTERS) < {each.name for each in FILTERS}
    for score in scores.values():
        assert list(score) == ["injected", "recall", "precision"]
        assert (score["injected"] or 0) >= 30
        assert (score["recall"] or 0) >= 0.99 and (score["precision"] or 0) >= 0.99
    assert sorted(os.listdir(folder)) == ["data", "metrics"]  # the temporary folder is gone
    assert sorted(os.listdir("data")) == ["reports", "sample"]


def test_the_metrics_are_the_lowest_recall_and_precision() -> None:
    scores = run()
    for measure in ("recall", "precision"):
        lowest = min(share for score in scores.values() if (share := score[measure]) is not None)
        assert read_json(score_cleaning.METRICS)[f"lowest_{measure}"] == lowest < 1


def test_the_closing_line_names_what_is_lowest() -> None:
    scores: dict[str, CleaningScore] = {
        "urls": {"injected": 3, "recall": 0.5, "precision": None},
        "emails": {"injected": 3, "recall": 0.9, "precision": 0.8},
        "glued": {"injected": 0, "recall": None, "precision": None},
    }
    assert score_cleaning.lowest_scores(scores) == {"recall": (0.5, "urls"), "precision": (0.8, "emails")}
    assert score_cleaning.lowest_scores({"glued": scores["glued"]}) == {}


def test_a_rule_that_is_off_is_not_scored_and_its_flaws_cost_the_others_recall() -> None:
    scores = run(markup=False)
    assert "markup" not in scores
    assert (scores["glued"]["recall"] or 0) < 1


def test_filters_follow_their_parameters() -> None:
    scores = run(duplicates="exact", markup_titles=False)
    assert (scores["duplicate"]["recall"], scores["near_duplicate"]["recall"]) == (1.0, 0.0)
    assert scores["markup_title"]["recall"] == 0.0


def test_transliteration_and_the_choice_of_a_language_are_left_out() -> None:
    usual = run()
    assert run(ascii=True, language="de") == usual


def test_parameters_that_leave_nothing_of_the_sample_do_not_stop_the_pipeline() -> None:
    scores = run(data={"min_content_chars": 10**6})
    assert scores["near_duplicate"] == {"injected": 0, "recall": None, "precision": None}


def test_paths_are_those_of_the_sample_that_is_made() -> None:
    assert (score_cleaning.SAMPLE, score_cleaning.GROUND_TRUTH) == (raw_file.RAW, raw_file.GROUND_TRUTH)
