"""Two runs compared: the first stage where they part, told from those that were given something else."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.certificate.comparing import EQUAL, OTHER, PARTED, compare_runs, describe_comparison
from src.certificate.runs import Run, StageRun, in_order

AMD = {"deterministic": True, "processor": "AMD EPYC", "libraries": {"torch": "2.13.0"}}
INTEL = {"deterministic": True, "processor": "Intel Xeon", "libraries": {"torch": "2.12.0"}}
GPU = {"deterministic": False, "because": "some kernels of a GPU add in no fixed order", "gpu": "Tesla T4"}


def stage(inputs: Mapping[str, str], outputs: Mapping[str, str], **other: Any) -> StageRun:
    """A stage that ran on an AMD, with one parameter and one source file."""
    given_to = {
        "code": "c1",
        "parameters": {"train.lr": 0.1},
        "environment": AMD,
        "sources": {"src/a.py": "a1"},
    } | other
    return StageRun(inputs=dict(inputs), outputs=dict(outputs), **given_to)


STAGES = {
    "clean": stage({"data/raw.json": "r1"}, {"data/clean": "d1"}),
    "base": stage({"models/embedded": "e1"}, {"models/base": "b1"}),
    "train": stage({"data/clean/train.parquet": "d2", "models/base": "b1"}, {"models/adapter": "m1", "metrics": "x1"}),
    "generate@base": stage({"models/base": "b1"}, {"data/base.jsonl": "g1"}),
    "generate@tuned": stage({"models/base": "b1", "models/adapter": "m1"}, {"data/tuned.jsonl": "t1"}),
    "evaluate": stage({"data/base.jsonl": "g1", "data/tuned.jsonl": "t1"}, {"data/scores.json": "s1"}),
}
NAMES = list(STAGES)


def propagate(changes: Mapping[str, StageRun]) -> Run:
    """The run with some stages changed; every later stage reads what the changed ones wrote, and writes another."""
    stages: dict[str, StageRun] = {}
    for name in NAMES:
        one = changes.get(name, STAGES[name])
        written = {path: value for before in stages.values() for path, value in before.outputs.items()}
        inputs = {path: written.get(path, value) for path, value in one.inputs.items()}
        if "data/clean/train.parquet" in inputs and written["data/clean"] != "d1":
            inputs["data/clean/train.parquet"] = "another"
        follows = inputs != one.inputs
        outputs = {path: f"{value}'" if follows else value for path, value in one.outputs.items()}
        stages[name] = replace(one, inputs=inputs, outputs=outputs)
    return Run("new", stages)


def other_results(name: str, **other: Any) -> StageRun:
    """A stage that wrote something else."""
    return replace(STAGES[name], outputs=dict.fromkeys(STAGES[name].outputs, f"{name} new"), **other)


def told(changes: Mapping[str, StageRun]) -> tuple[int, list[str]]:
    """The exit status and the lines for the run with some stages changed."""
    comparison = compare_runs(Run("old", STAGES), propagate(changes))
    return comparison.status, list(describe_comparison(comparison))


def test_equal_runs_are_equal() -> None:
    assert told({}) == (EQUAL, ["old and new have the same results in all 6 stages."])


def test_the_first_stage_where_they_part_is_named_with_what_differs_around_it() -> None:
    assert told({"train": other_results("train", environment=INTEL)}) == (
        PARTED,
        [
            "old and new part in train: the same inputs, code and parameters gave other results.",
            "  other results: models/adapter, metrics",
            "  processor: AMD EPYC / Intel Xeon",
            "  libraries.torch: 2.13.0 / 2.12.0",
            "These only follow: generate@tuned, evaluate.",
        ],
    )


def test_a_variant_of_a_stage_parts_alone() -> None:
    status, lines = told({"generate@base": other_results("generate@base")})
    assert status == PARTED
    assert lines[0].startswith("old and new part in generate@base:")
    assert "  computed in equal environments, as far as they are recorded" in lines
    assert lines[-1] == "These only follow: evaluate."


@pytest.mark.parametrize(
    ("given_to", "cause"),
    [
        ({"parameters": {"train.lr": 0.2}}, "train.lr: 0.1 / 0.2"),
        ({"parameters": {}}, "train.lr: 0.1 / None"),
        ({"code": "c2", "sources": {"src/a.py": "a2", "src/b.py": "b1"}}, "src/a.py, src/b.py"),
        ({"code": "c2", "sources": {}}, "its code"),
    ],
    ids=["value", "gone", "files", "digest"],
)
def test_a_stage_that_was_given_something_else_did_not_part(given_to: dict[str, Any], cause: str) -> None:
    assert told({"train": other_results("train", **given_to)}) == (
        OTHER,
        [
            "old and new have other results, and were given something else, first in train.",
            f"train was given something else: {cause}.",
            "These only follow: generate@tuned, evaluate.",
        ],
    )


def test_data_that_no_stage_wrote_is_something_else() -> None:
    status, lines = told({"clean": other_results("clean", inputs={"data/raw.json": "r2"})})
    assert (status, lines[1]) == (OTHER, "clean was given something else: data/raw.json.")
    assert lines[-1] == "These only follow: train, generate@tuned, evaluate."


def test_the_same_results_of_something_else_are_equal() -> None:
    assert told({"clean": replace(STAGES["clean"], code="c2", sources={})}) == (
        EQUAL,
        [
            "old and new have the same results in all 6 stages.",
            "clean gave the same with something else: its code.",
        ],
    )


def test_parting_counts_more_than_a_parameter_elsewhere() -> None:
    changes = {"clean": other_results("clean", parameters={}), "generate@base": other_results("generate@base")}
    status, lines = told(changes)
    assert (status, lines[0].split(":")[0]) == (PARTED, "old and new part in generate@base")
    assert "clean was given something else: train.lr: 0.1 / None." in lines


def test_what_is_not_known_and_not_deterministic_is_said() -> None:
    _, lines = told({"train": other_results("train", environment=None)})
    assert "  where new computed it is not known" in lines
    _, lines = told({"train": other_results("train", environment=GPU)})
    assert "  not deterministic in new: some kernels of a GPU add in no fixed order" in lines
    assert "  gpu: None / Tesla T4" in lines


@pytest.mark.parametrize("swap", [False, True])
def test_a_stage_that_one_run_lacks_is_named(swap: bool) -> None:
    runs = [Run("old", STAGES), Run("new", {name: one for name, one in STAGES.items() if name != "evaluate"})]
    comparison = compare_runs(*(runs[::-1] if swap else runs))
    assert comparison.status == OTHER
    assert "evaluate: not in new." in list(describe_comparison(comparison))


def test_stages_come_after_those_whose_results_they_read() -> None:
    assert list(in_order(dict(reversed(STAGES.items())))).index("evaluate") == len(STAGES) - 1
    shuffled = {
        name: STAGES[name] for name in ("evaluate", "train", "generate@tuned", "clean", "base", "generate@base")
    }
    order = list(in_order(shuffled))
    assert order.index("clean") < order.index("train") < order.index("generate@tuned") < order.index("evaluate")


@given(parted=st.sets(st.sampled_from(NAMES)), changed=st.sets(st.sampled_from(NAMES)))
def test_the_first_parted_stage_is_one_that_was_given_the_same(parted: set[str], changed: set[str]) -> None:
    """Whatever parts and whatever is changed: each stage is of the one kind that its making says."""
    changes = {name: other_results(name) for name in parted}
    changes |= {name: other_results(name, code="c2", sources={}) for name in changed}
    new = propagate(changes)
    comparison = compare_runs(Run("old", STAGES), new)
    given_same = {name for name in NAMES if new.stages[name].inputs == STAGES[name].inputs}
    assert {one.stage for one in comparison.of_kind("changed")} == changed
    assert [one.stage for one in comparison.of_kind("parted")] == [
        name for name in NAMES if name in (parted - changed) & given_same
    ]
    assert (comparison.status == EQUAL) == (not parted | changed)


def test_comparing_in_the_other_direction_finds_the_same_stages() -> None:
    new = propagate({"train": other_results("train", environment=INTEL)})
    there, back = compare_runs(Run("old", STAGES), new), compare_runs(new, Run("old", STAGES))
    assert [one[:2] for one in there.differences] == [one[:2] for one in back.differences]
