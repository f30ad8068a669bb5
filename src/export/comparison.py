"""The exported forms beside one another, for a person who has to choose one: size, loss, agreement, speed, memory.

Covers the figures of a report, the rows of a plot and the lines of a table. Does not refuse a form: parity.py does.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from src.export.forms import BY_NAME, REFERENCE
from src.export.trial import MEGABYTE, Speed
from src.inference.reference_loss import ReferenceLoss
from src.scoring.intervals import RecordSums, paired_difference, ratio_of_sums


class Measured(NamedTuple):
    """What was measured of a form."""

    losses: list[ReferenceLoss]
    """Of the references of the check prompts."""
    agreement: float
    """The share of these prompts that it answers with exactly the adapter's tokens."""
    size: int
    """Bytes of its files."""
    speed: Speed | None = None
    """None of a form that does not run in llama.cpp."""


def compare_forms(measured: Mapping[str, Measured]) -> dict[str, dict[str, Any]]:
    """The figures of every form, with what its loss differs by from that of the 16-bit GGUF, in nats a token.

    Args:
        measured: by the form's name; the 16-bit GGUF is one of them.
    """
    reference, figures = loss_sums(measured[REFERENCE]), {}
    for name, form in measured.items():
        sums = loss_sums(form)
        difference = paired_difference(sums, reference)
        rounded = {
            "loss": sums.estimate,
            "loss_difference": difference.estimate,
            "loss_difference_low": difference.low,
            "loss_difference_high": difference.high,
        }
        figures[name] = {"bytes": form.size, "agreement": form.agreement} | {
            key: round(value, 6) + 0.0 for key, value in rounded.items()
        }
    return figures


def loss_sums(form: Measured) -> RecordSums:
    """A form's loss as sums over records."""
    return ratio_of_sums(*zip(*form.losses, strict=True))


def table_rows(figures: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What repeats of the comparison, a row for each form, for the plot.

    Args:
        figures: as `compare_forms` gives them.
    """
    return [
        {
            "form": name,
            "label": BY_NAME[name].label,
            "megabytes": round(found["bytes"] / MEGABYTE, 3),
            **{key: value for key, value in found.items() if key != "bytes"},
        }
        for name, found in figures.items()
    ]


def table_lines(figures: Mapping[str, Mapping[str, Any]], speeds: Mapping[str, Speed | None]) -> Iterator[str]:
    """The whole comparison as a table for the terminal.

    Args:
        figures: as `compare_forms` gives them.
        speeds: of the forms that run in llama.cpp, by name.
    """
    yield f"{'form':<14}{'size':>10}{'loss against 16 bits':>34}{'answers':>9}{'speed':>10}{'memory':>9}"
    for name, found in figures.items():
        low, high = (f"{found[f'loss_difference_{bound}']:+.4f}" for bound in ("low", "high"))
        loss = f"{found['loss_difference']:+.4f} ({low} to {high})"
        speed = speeds.get(name)
        ran = f"{speed.tokens_per_second:>6.0f} t/s{speed.memory_mb:>6.0f} MB" if speed else ""
        size = f"{found['bytes'] / MEGABYTE:,.1f} MB"
        yield f"{name:<14}{size:>10}{loss:>34}{found['agreement']:>9.0%}{ran}"
