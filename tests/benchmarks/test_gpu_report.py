"""The GPU check's tables: figures where there are some, the reason where there are none, and each goal."""

from typing import Any

import pytest

from benchmarks.gpu_report import largest_backend_difference, measure_goals, missing_reason, render_table

DEVICE = {"name": "a GPU", "matrix": "bfloat16", "matrix_tflops": 800.0, "versions": {"torch": "2.13.0"}}


def speed(records: float, **more: Any) -> dict[str, Any]:
    """A trainer's figures."""
    per_second = {"records_per_second": records, "tokens_per_second": 9e4, "trained_tokens_per_second": 6e4}
    return {"steps": 9, "padding_share": 0.01, "useful_tflops": 400.0, "peak_reserved_gb": 7.5} | per_second | more


def losses(*validation: float) -> dict[str, Any]:
    """A backend's curves."""
    return {"labels_right": True, "training_loss": [8.0, 7.0], "validation_loss": list(validation)}


RESULTS: dict[str, Any] = {
    "device": DEVICE,
    "agreement/transformers/4-bit": losses(8.0, 4.0),
    "agreement/unsloth/4-bit": losses(8.0, 4.1),
    "agreement/transformers/16-bit": losses(8.0, 4.0),
    "agreement/transformers/4-bit, packed": losses(8.0, 4.0) | {"packed_loss": 4.04, "single_loss": 4.0},
    "agreement/unsloth/16-bit": {"failed": "Traceback\nValueError: no such kernel"},
    "reload/transformers/4-bit": {"validation_loss": 4.0001},
    "speed/Llama-3.2-1B/ours": speed(242.0, tokens_per_second=4.5e4, useful_tflops=200.0),
    "speed/Llama-3.2-1B/ours all at once": speed(484.0),
    "speed/Llama-3.2-1B/ours in a fixed order": speed(200.0, tokens_per_second=4e4),
    "speed/Llama-3.2-1B/ours compiled": {"failed": "CUDA out of memory"},
    "speed/Llama-3.2-1B/notebook": speed(220.0),
    "speed/Llama-3.2-1B/plain": {"not_run": "the time was over"},
    "speed/Llama-3-8B/ours": speed(9.0, tokens_per_second=2e3),
    "speed/Llama-3-8B/ours packed": speed(60.0, tokens_per_second=12_345.0, peak_reserved_gb=60.0),
    "answering/4-bit": {"answers": 8, "answers_per_second": 2.5, "tokens_per_second": 640.0},
    "answering/4-bit, one by one": {"answers": 2, "answers_per_second": 0.2, "tokens_per_second": 51.0},
    "repeat/as it is": {"matrices": 28, "differing": 3, "first_differing": "a", "largest_difference": 0.00012},
    "repeat/in a fixed order": {"matrices": 28, "differing": 0, "first_differing": "", "largest_difference": 0.0},
    "repeat/in a fixed order, by unsloth": {"not_run": "Unsloth is not installed"},
    "profile/as it is": {"busy": 0.9, "kernels": [{"name": "a|b" + 99 * "x", "share": 0.25, "calls_per_step": 1e5}]},
    "profile/all at once": {"not_run": "the time was over"},
    "seconds": 500,
}


REASONS = {
    "Traceback\nValueError: no such kernel": "ValueError: no such kernel",
    "Traceback\ntorch.AcceleratorError: CUDA error: illegal address\nSearch for it.\n\nCompile with `DSA`.": (
        "torch.AcceleratorError: CUDA error: illegal address"
    ),
    "OSError: retried\nstep 9\nkilled by SIGKILL": "killed by SIGKILL",
    "step 9\nnot done after 120 s": "not done after 120 s",
    "train: no GPU": "train: no GPU",
}


@pytest.mark.parametrize(("output", "reason"), REASONS.items())
def test_the_reason_of_a_failure_is_found_in_its_output(output: str, reason: str) -> None:
    assert missing_reason({"failed": output}) == f"failed: {reason}"


def test_goals_are_computed_from_the_parts() -> None:
    values = {goal.name: goal.value for goal in measure_goals(RESULTS)}
    assert round(values["Llama-3.2-1B to the published 24.2 records/s"] or 0, 1) == 20.0
    assert values["Llama-3.2-1B to Unsloth's notebook"] == 2.2
    assert values["Llama-3.2-1B to plain trl"] is None
    assert values["Llama-3.2-1B's utilisation"] == 0.5
    assert values["Llama-3-8B's memory by its recipe"] == 7.5
    assert values["Llama-3-8B, tokens/s"] == 12_345.0
    assert values["answers in batches to one by one"] == 12.5
    assert values["matrices that differ of two trainings in a fixed order"] == 0
    assert values["a fixed order's price in time"] == 1.21
    assert round(values["largest difference of losses, packed to single"] or 0, 6) == 0.01


def test_backends_differ_by_their_largest_difference() -> None:
    assert round(largest_backend_difference(RESULTS) or 0, 6) == 0.025
    assert largest_backend_difference({"device": DEVICE}) is None


def test_the_table_names_figures_and_reasons() -> None:
    text = render_table(RESULTS)
    assert "| ours all at once | 484.0 | 90,000 | 60,000 | 1% | 400 | 50% | 7.5 GB |" in text
    assert "| ours compiled | failed: CUDA out of memory | | | | | | |" in text
    assert "| as it is | 3 of 28 | 0.00012 |" in text and "| in a fixed order | 0 of 28 | 0 |" in text
    assert "| in a fixed order, by unsloth | Unsloth is not installed | |" in text
    assert "| matrices that differ of two trainings in a fixed order | 0 | 0 |" in text
    assert "| what takes the time, as it is: 90% | share | calls a step |" in text
    assert f"| `a b{57 * 'x'}` | 25.0% | 100,000 |" in text
    assert "What takes the time, all at once: the time was over." in text
    assert "| trl, peft and bitsandbytes | the time was over | | | | | | |" in text
    assert "| unsloth, 16-bit | failed: ValueError: no such kernel | | | | |" in text
    assert "| transformers, 4-bit | yes | 8.000 to 7.0000 | 8.000 to 4.0000 | 4.0001 | – |" in text
    assert "| transformers, 4-bit, packed | yes | 8.000 to 7.0000 | 8.000 to 4.0000 | – | +1.00% |" in text
    assert "| Llama-3.2-1B to plain trl | not measured | at least 2.5 × |" in text


def test_without_the_rate_of_the_device_the_rest_is_shown() -> None:
    text = render_table(RESULTS | {"device": {"failed": "Traceback\ntorch.OutOfMemoryError: CUDA out of memory"}})
    assert text.startswith("The device's own rate is not known")
    assert "(failed: torch.OutOfMemoryError: CUDA out of memory)" in text.splitlines()[0]
    assert "| ours all at once | 484.0 | 90,000 | 60,000 | 1% | 400 | – | 7.5 GB |" in text
    assert "| Llama-3.2-1B's utilisation | not measured | at least 40% |" in text


def test_what_did_not_run_has_no_table() -> None:
    table = render_table({"device": DEVICE, "answering/4-bit": RESULTS["answering/4-bit"]})
    heads = [paragraph.splitlines()[0] for paragraph in table.split("\n\n")[1:]]
    assert heads == ["| the base answers | answers/s | tokens/s |", "| goal | measured | wanted |"]


def test_wrong_labels_are_shouted() -> None:
    wrong = RESULTS | {"agreement/transformers/4-bit": losses(8.0, 4.0) | {"labels_right": False}}
    assert "| transformers, 4-bit | NO |" in render_table(wrong)


def test_every_row_of_a_table_has_its_columns() -> None:
    for block in render_table(RESULTS).split("\n\n")[1:]:
        rows = block.splitlines()
        assert {row.count("|") for row in rows} == {rows[0].count("|")}
