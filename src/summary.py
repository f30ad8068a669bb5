"""Sums up a run in the terminal: losses and facts before and after training, three answers, and where to look next.

Covers what `make repro` prints last, from the committed metrics and examples. Computes nothing, so that it takes a
moment.

    python -m src.summary
"""

import shutil
import sys
from collections.abc import Iterator
from itertools import groupby, islice, zip_longest
from operator import itemgetter
from pathlib import Path
from textwrap import fill, wrap
from typing import Any

from src.errors import UserError
from src.files import read_json, read_tsv
from src.git_advice import git_advice

TRAIN, EVALUATE = Path("reports/train.json"), Path("reports/evaluate.json")
EXAMPLES = Path("plots/evaluate/examples.tsv")
SHOWN, ANSWER_LINES = 3, 2  # titles, and lines of each answer
WIDEST = 140  # columns; in longer lines one loses one's place
INDENT, GAP = "  ", " | "  # in front of two answers, and between them
NEXT = (
    'Next: make ask TITLE="Tumblewright Bamboo Desk Lamp, Olive, 45 cm high" asks the model; '
    "plots/evaluate/report.html shows its scores and all answers in a browser, models/MODEL_CARD.md sums it up; "
    "dvc plots show draws the curves."
)


def summary_lines(width: int) -> Iterator[str]:
    """The lines of the summary.

    Args:
        width: columns of the terminal.
    """
    train, scores = read_json(TRAIN), read_json(EVALUATE)
    yield loss_line(train)
    yield from facts_line(scores)
    yield from example_lines(read_tsv(EXAMPLES), width)
    yield fill(NEXT, width)


def loss_line(train: dict[str, Any]) -> str:
    """The validation loss before and after training; a service tells it from the first steps on, or not at all."""
    before, after = train["validation_loss_first"], train["validation_loss_kept"]
    if after is None:
        return "Validation loss: the service told none."
    began = "when first told" if "fine_tuned_model" in train else "before training"
    return f"Validation loss: {before:.3f} {began}, {after:.3f} after, in nats a token."


def facts_line(scores: dict[str, Any]) -> Iterator[str]:
    """The facts of the titles that base and tuned model state, where facts were scored.

    Args:
        scores: what evaluate wrote.
    """
    systems = scores["base"], scores["tuned"]
    stated, wrong = ([system.get(score) for system in systems] for score in ("facts_stated", "facts_wrong"))
    if None not in (*stated, *wrong):
        yield (
            f"Facts of the titles: {stated[0]:.0f}% stated before, {stated[1]:.0f}% after; of the facts that the "
            f"answers state {wrong[0]:.0f}% wrong before, {wrong[1]:.0f}% after."
        )


def example_lines(rows: list[dict[str, str]], width: int) -> Iterator[str]:
    """The first titles, each above the beginnings of both answers, side by side.

    Args:
        rows: of the examples, ordered by record.
        width: columns of the terminal.
    """
    yield side_by_side("base model", "tuned model", width)
    for _, record in islice(groupby(rows, itemgetter("record")), SHOWN):
        texts = {row["source"]: row["text"] for row in record}
        yield fill(texts["title"], width, max_lines=1, placeholder=" …")
        yield side_by_side(texts["base"], texts["tuned"], width)


def side_by_side(left: str, right: str, width: int) -> str:
    """Two texts in columns of equal width, shortened to ANSWER_LINES.

    Args:
        left: the first.
        right: the second.
        width: columns of both together.
    """
    column = (width - len(INDENT) - len(GAP)) // 2
    lines = (wrap(text, column, max_lines=ANSWER_LINES, placeholder=" …") for text in (left, right))
    return "\n".join(f"{INDENT}{one:{column}}{GAP}{other}".rstrip() for one, other in zip_longest(*lines, fillvalue=""))


def main() -> None:
    """Prints the summary as wide as the terminal."""
    width = min(shutil.get_terminal_size((100, 24)).columns, WIDEST)
    try:
        advice = (fill(line, width) for line in git_advice())
        print("", *summary_lines(width), *advice, sep="\n")
    except FileNotFoundError as error:
        sys.exit(f"summary: {error.filename} is missing: run `make repro`, which writes it.")
    except UserError as error:
        sys.exit(f"summary: {error}")


if __name__ == "__main__":
    main()
