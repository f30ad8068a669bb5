"""Slices: every record in one of each dimension, scores by hand, few records without an interval, Simpson's paradox."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.scoring.fact_counts import FactCounts, FoundFacts
from src.scoring.intervals import RecordSums, mean_of, ratio_of_sums
from src.scoring.report import score_report
from src.scoring.scores import SystemAnswers
from src.scoring.slices import (
    ALL,
    FEW,
    RecordTraits,
    cut_neighbours,
    cut_quantiles,
    cut_records,
    cut_topics,
    describe_paradoxes,
    find_paradoxes,
    plotted_slices,
    record_traits,
    slice_report,
)
from tests.scoring.rows import generation

LENGTHS = ("short", "middle", "long")


class OneFact:
    """A record whose title states one fact: that it is a lamp."""

    def count(self, answer: str) -> dict[str, FactCounts]:
        return {"kind": FactCounts(1, int("lamp" in answer), int("bag" in answer))}

    def find(self, answer: str) -> FoundFacts:
        return FoundFacts(frozenset({"lamp"} & {*answer.split()}), frozenset({"bag"} & {*answer.split()}))


def answers_of(answers: list[str]) -> SystemAnswers:
    return SystemAnswers(answers, ["a brass lamp"] * len(answers), [], facts=[OneFact()] * len(answers))


def traits(records: int, topics: list[str]) -> RecordTraits:
    """Records that differ in nothing but their topics."""
    same = [5] * records
    return RecordTraits(same, same, topics, [0.0] * records, same)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([6, 5, 4, 3, 2, 1], {"short, up to 2 g": 2, "middle, 3 to 4 g": 2, "long, 5 or more g": 2}),
        ([1, 1, 1, 1, 9], {"short, up to 1 g": 4, "long, 2 or more g": 1}),
        ([4] * 60 + [5] * 120 + [6] * 20, {"short, up to 4 g": 60, "middle, 5 to 5 g": 120, "long, 6 or more g": 20}),
        ([7, 7, 7], {ALL: 3}),
    ],
)
def test_quantiles_have_their_bounds_in_their_names(values: list[int], expected: dict[str, int]) -> None:
    assert {name: sum(chosen) for name, chosen in cut_quantiles(values, LENGTHS, "g").items()} == expected


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40))
def test_every_value_is_in_one_slice_and_equal_ones_are_together(values: list[int]) -> None:
    slices = cut_quantiles(values, LENGTHS, "g")
    assert [sum(belongs) for belongs in zip(*slices.values(), strict=True)] == [1] * len(values)
    parts = [[value for value, chosen in zip(values, each, strict=True) if chosen] for each in slices.values()]
    assert all(max(lower) < min(upper) for lower, upper in pairwise(parts))


def test_the_largest_topic_comes_first() -> None:
    assert list(cut_topics(["b", "a", "c", "c"])) == ["c", "a", "b"]


def test_near_is_at_the_threshold_or_above() -> None:
    assert list(cut_neighbours([0.5, 0.49, 0.9]).values()) == [[True, False, True], [False, True, False]]


def test_what_cuts_nothing_off_is_left_out() -> None:
    assert cut_records(traits(3, ["a", "b", "a"])) == {"topic": {"a": [True, False, True], "b": [False, True, False]}}


def test_traits_are_read_from_the_records() -> None:
    answered = [generation(uid="E1"), generation(uid="E2", title="Teapot")]
    titles = [row.title for row in answered]
    found = record_traits(answered, {answered[0].uid: "1: lamps"}, [titles[0]], answers_of(["x"] * 2))
    assert (found.reference_lengths, found.title_lengths) == ([16, 16], [6, 6])
    assert found.topics == ["1: lamps", "no topic"]
    assert found.similarities == pytest.approx([1.0, 0.0])
    assert found.facts == [1, 1]


def report_by_topic(base: list[str], tuned: list[str], topics: list[str]) -> dict[str, Any]:
    systems = {"base": answers_of(base), "tuned": answers_of(tuned), "other": answers_of(base)}
    return score_report(systems) | slice_report(systems, traits(len(base), topics))


def test_a_slice_has_its_own_values_and_differences() -> None:
    topics = ["a"] * FEW + ["b"] * (FEW + 5)
    found = report_by_topic([""] * len(topics), ["lamp"] * FEW + ["bag"] * (FEW + 5), topics)
    lamps, bags = found["slices"]["topic"]["a"], found["slices"]["topic"]["b"]
    assert list(found["slices"]["topic"]) == ["b", "a"]
    assert (lamps["records"], bags["records"]) == (FEW, FEW + 5)
    assert lamps["value"]["tuned"]["facts_stated"] == {"estimate": 100.0, "low": 100.0, "high": 100.0}
    assert bags["value"]["tuned"]["facts_stated"]["estimate"] == 0.0
    assert lamps["value"]["other"] == lamps["value"]["base"]
    assert list(lamps["difference"]) == ["tuned_minus_base"]
    assert lamps["difference"]["tuned_minus_base"]["facts_stated"]["estimate"] == 100.0
    assert "facts_wrong" not in lamps["value"]["base"]  # it states none
    assert "facts_wrong" not in lamps["difference"]["tuned_minus_base"]
    json.dumps(found, allow_nan=False)


def test_few_records_have_a_value_and_no_interval() -> None:
    topics = ["many"] * FEW + ["few"] * (FEW - 1)
    found = report_by_topic(["bag"] * len(topics), ["lamp"] * len(topics), topics)["slices"]["topic"]
    expected = {"estimate": 100.0, "low": None, "high": None}
    assert found["few"]["value"]["tuned"]["facts_stated"] == expected
    assert found["few"]["difference"]["tuned_minus_base"]["facts_stated"] == expected
    assert found["many"]["difference"]["tuned_minus_base"]["facts_stated"]["low"] == 100.0


def test_few_records_are_those_that_count() -> None:
    """Of many records a system may state a fact in a few: its share of wrong ones is then one of few."""
    topics = ["a"] * 2 * FEW + ["b"]
    found = report_by_topic(["bag"] + [""] * 2 * FEW, ["lamp"] * len(topics), topics)["slices"]["topic"]["a"]
    assert found["value"]["base"]["facts_wrong"] == {"estimate": 100.0, "low": None, "high": None}
    assert found["value"]["tuned"]["facts_wrong"]["low"] == 0.0
    assert found["difference"]["tuned_minus_base"]["facts_wrong"]["low"] is None


# Of two treatments of kidney stones (Charig et al. 1986): the cured and the treated, small stones and large ones.
SURGERY = ratio_of_sums([81, 192], [87, 263])
PUNCTURE = ratio_of_sums([234, 55], [270, 80])
STONES = {"stones": {"small": [True, False], "large": [False, True]}}


def test_simpsons_paradox_is_found() -> None:
    [found] = find_paradoxes({"facts_wrong": {"base": PUNCTURE, "tuned": SURGERY}}, STONES)
    assert (found["score"], found["difference"], found["dimension"]) == ("facts_wrong", "tuned_minus_base", "stones")
    assert found["overall"] == pytest.approx(273 / 350 - 289 / 350, abs=1e-6)
    assert found["slices"]["small"] == pytest.approx(81 / 87 - 234 / 270, abs=1e-6)
    assert found["slices"]["large"] == pytest.approx(192 / 263 - 55 / 80, abs=1e-6)
    assert describe_paradoxes([found]) == (
        "; Simpson's paradox: tuned_minus_base in facts_wrong is -0.05 overall, and has the other sign in every slice "
        "by stones"
    )


@pytest.mark.parametrize(
    ("tuned", "other"),
    [
        (PUNCTURE, PUNCTURE),
        (SURGERY, mean_of([1.0, 0.9])),  # below in both slices, as overall
        (SURGERY, ratio_of_sums([289, 0], [350, 0])),  # one slice has nothing to compare
    ],
)
def test_what_is_no_paradox_is_not_called_one(tuned: RecordSums, other: RecordSums) -> None:
    assert list(find_paradoxes({"facts_wrong": {"other": other, "tuned": tuned}}, STONES)) == []


def test_the_plot_begins_with_all_records() -> None:
    topics = ["a"] * FEW + ["b"] * 3
    found = report_by_topic(["bag"] * len(topics), ["lamp"] * len(topics), topics)
    shown = [row for row in plotted_slices(found) if row["score"].startswith("facts of the title")]
    assert [(row["dimension"], row["slice"], row["records"]) for row in shown] == [
        (ALL, ALL, FEW + 3),
        ("topic", "a", FEW),
        ("topic", "b", 3),
    ]
    assert [row["estimate"] for row in shown] == [100.0] * 3
    assert [row["low"] for row in shown] == [100.0, 100.0, ""]
    assert [(row["base"], row["tuned"]) for row in shown] == [(0.0, 100.0)] * 3
