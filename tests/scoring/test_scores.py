"""The tables of scores and systems, and the static plot that has to name their rows."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from src.scoring import report
from src.scoring.fact_counts import MEASURES, REFERENCE
from src.scoring.report import score_report
from src.scoring.scores import SCORES, Score, SystemAnswers
from src.scoring.systems import SYSTEMS, TUNED

PLOTS = Path(__file__).parents[2] / ".dvc/plots"


def sorts(value: Any) -> list[list[str]]:
    """The orders that a plot gives, from the top down."""
    if isinstance(value, list):
        return [order for below in value for order in sorts(below)]
    if not isinstance(value, dict):
        return []
    own = [value["sort"]] if value.get("sort") else []
    return own + [order for below in value.values() for order in sorts(below)]


def system_words(plot: str) -> dict[str, str]:
    """What a plot calls the systems that it has words for."""
    text = (PLOTS / f"{plot}.json").read_text(encoding="utf-8").replace(r"\\'", "’")
    systems = [system.name for system in SYSTEMS]
    return {name: words for name, words in re.findall(r"(\w+): '([^']+)'", text) if name in systems}


@pytest.mark.parametrize("names", [[score.name for score in SCORES], [system.name for system in SYSTEMS]])
def test_every_row_has_a_name_of_its_own(names: list[str]) -> None:
    assert len(set(names)) == len(names)


def test_the_plot_of_scores_orders_and_names_the_systems_as_the_table_does() -> None:
    text, systems = (PLOTS / "scores.json").read_text(encoding="utf-8"), [system.name for system in SYSTEMS]
    assert sorts(json.loads(text)) == [systems]
    assert all(f"{system}: '" in text for system in systems)


def test_the_plot_of_facts_orders_and_names_measures_and_systems() -> None:
    text = (PLOTS / "facts.json").read_text(encoding="utf-8")
    systems = [system.name for system in SYSTEMS if system.headline]
    assert sorts(json.loads(text)) == [systems, systems]
    assert list(MEASURES) == ["stated", "wrong"]  # in this order, since sorted facets of a grid mix up their cells
    assert all(f"{system}: '" in text for system in systems)  # in the legend
    assert f"datum.system == '{REFERENCE}'" in text


@pytest.mark.parametrize("plot", ["differences", "examples", "facts"])
def test_every_plot_has_the_words_of_the_plot_of_scores_for_a_system(plot: str) -> None:
    words, expected = system_words(plot), system_words("scores")
    assert words == {name: expected[name] for name in words}
    assert len(words) > 2


@pytest.mark.parametrize("plot", ["differences", "examples", "facts", "scores"])
def test_a_plot_shows_a_system_without_words_by_its_name(plot: str) -> None:
    lookups = re.findall(r"base: '[^}]*}(\[[^]]+]( \|\| datum)?)", (PLOTS / f"{plot}.json").read_text(encoding="utf-8"))
    assert lookups and all(fallback for _, fallback in lookups)


def test_what_is_shown_has_a_value() -> None:
    assert all(score.compute for score in SCORES if score.plotted or score.in_tables)
    assert all(score.sums for score in SCORES if score.plotted or score.headline)


def test_what_can_be_tested_tells_which_difference_matters() -> None:
    assert all((score.matters > 0) == bool(score.sums) for score in SCORES)


def test_sums_are_computed_once_a_system() -> None:
    system = SystemAnswers(["A lamp.", ""], ["A lamp.", "A bag."], [])
    assert all(score.sums(system) is score.sums(system) for score in SCORES if score.sums)


def test_what_others_are_compared_with_is_a_model() -> None:
    assert [system.name for system in SYSTEMS if system.name == TUNED and not system.baseline] == [TUNED]


def test_a_new_row_is_a_new_score(monkeypatch: pytest.MonkeyPatch) -> None:
    shouting = Score(
        name="shouting",
        label="answers in capitals",
        unit="share, 0 to 1",
        better="lower",
        compute=lambda system: sum(map(str.isupper, system.answers)) / len(system.answers),
    )
    monkeypatch.setattr(report, "SCORES", (*SCORES, shouting))
    scores = score_report({TUNED: SystemAnswers(["A LAMP.", "A lamp."], ["A lamp.", "A lamp."], [])})
    assert scores[TUNED]["shouting"] == 0.5
    assert scores["difference"] == {}


def test_every_score_tells_what_it_means() -> None:
    assert [score.name for score in SCORES if not re.fullmatch(r"[A-Z].{20,110}\.", score.meaning)] == []
