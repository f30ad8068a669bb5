"""Loss curves from what services tell, in whatever order and form."""

import base64
from typing import Any

from src.hosted.curves import as_number, make_curves, read_results

CSV = b"step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n1,2.5,0.4,,\n2,2.0,0.5,2.25,0.5\n"


def test_steps_are_put_in_order_and_passes_counted() -> None:
    told: list[dict[str, Any]] = [
        {"step": 4, "train_loss": 1.0, "total_steps": 4},
        {"step": 2, "train_loss": 1.5, "valid_loss": 1.75, "total_steps": 4},
        {"note": "no step"},
        {"step": 4, "valid_loss": 1.25, "train_mean_token_accuracy": 0.9},
    ]
    curves = make_curves(told, epochs=2)
    assert (curves.steps, curves.epochs) == (4, 2.0)
    assert curves.training == [{"step": 2, "epoch": 1.0, "loss": 1.5}, {"step": 4, "epoch": 2.0, "loss": 1.0}]
    assert curves.validation == [{"step": 2, "epoch": 1.0, "loss": 1.75}, {"step": 4, "epoch": 2.0, "loss": 1.25}]


def test_the_loss_over_all_validation_records_goes_before_that_over_a_batch() -> None:
    told = [{"step": 1, "valid_loss": 9.0}, {"step": 2, "valid_loss": 9.0, "full_valid_loss": 2.0}]
    assert make_curves(told, 1).validation == [{"step": 2, "epoch": 1.0, "loss": 2.0}]


def test_what_is_no_loss_is_passed_over() -> None:
    assert [as_number(value) for value in (None, "", "x", "nan", float("inf"), -1, "-1.0", [1])] == [None] * 8
    assert [as_number(value) for value in (0, "2.5", 3)] == [0.0, 2.5, 3.0]
    assert make_curves([], 1).training == []


def test_results_are_read_whether_wrapped_in_base64_or_not() -> None:
    for content in (CSV, b"\xef\xbb\xbf" + CSV, base64.b64encode(CSV)):
        curves = make_curves(read_results(content), 1)
        assert [point["loss"] for point in curves.training] == [2.5, 2.0]
        assert curves.validation == [{"step": 2, "epoch": 1.0, "loss": 2.25}]


def test_a_later_round_counts_on() -> None:
    first = make_curves([{"step": 1, "train_loss": 2.0}, {"step": 2, "train_loss": 1.5, "valid_loss": 1.5}], 1)
    both = first.then(make_curves([{"step": 2, "train_loss": 1.0, "valid_loss": 1.25}], 3))
    assert (both.steps, both.epochs) == (4, 4.0)
    assert both.training[-1] == {"step": 4, "epoch": 4.0, "loss": 1.0}
    assert [point["step"] for point in both.validation] == [2, 4]
