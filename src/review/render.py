"""A review as Markdown, always short enough for a comment: first answers are left out, then rows of long tables.

Covers the limits and what the template needs; the words are in review.md.jinja.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from src.review.comparison import ScoreLine
from src.review.figures import p_value, signed, value
from src.review.results import Results
from src.review.review import Review
from src.review.safe_text import code_lines, code_span
from src.review.verdict import WORDS
from src.scoring.comparisons import Difference
from src.scoring.significance import Verdict

TEMPLATE = "review.md.jinja"
BLANK_LINES = re.compile(r"\n{3,}")
MOST_BYTES = 64_000  # GitHub takes 65,536 characters in a comment


class Limits(NamedTuple):
    """How much of each a review shows."""

    answers: int
    answer_chars: int
    rows: int
    value_chars: int


LIMITS = (
    Limits(10, 1200, 60, 160),
    Limits(10, 400, 60, 160),
    Limits(3, 400, 60, 160),
    Limits(0, 0, 30, 80),
    Limits(0, 0, 8, 30),
    Limits(0, 0, 0, 30),
)


def render_review(review: Review, picture: str | None, run_url: str | None = None) -> str:
    """The review in Markdown, less than MOST_BYTES in UTF-8.

    Args:
        review: what to tell.
        picture: the file of the loss curves, None where there is none.
        run_url: where the picture can be found, if the text is read away from it.
    """
    texts = (render_within(review, limits, picture, run_url) for limits in LIMITS)
    return next((text for text in texts if len(text.encode()) < MOST_BYTES), "")


def render_within(review: Review, limits: Limits, picture: str | None, run_url: str | None) -> str:
    """The review in Markdown with so much of each.

    Args:
        review: what to tell.
        limits: how much to show.
        picture: the file of the loss curves, None where there is none.
        run_url: where the picture can be found, if the text is read away from it.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown: every text goes through one of these filters instead
    )
    environment.filters |= {
        "code": lambda text: code_span(str(text), limits.value_chars),
        "codes": lambda texts: join_codes(texts, limits),
        "lines": lambda text: code_lines(text, limits.answer_chars),
    }
    words = {"verdict": WORDS[review.verdict.kind], "score_cells": score_cells, "loss_cells": loss_cells}
    text = environment.get_template(TEMPLATE).render(
        review=review, limits=limits, picture=picture, run_url=run_url, full=LIMITS[0], **words
    )
    return BLANK_LINES.sub("\n\n", text)


def join_codes(texts: Sequence[str], limits: Limits) -> str:
    """Names in a cell of a table, of many the first.

    Args:
        texts: the names.
        limits: how many to show.
    """
    shown = [code_span(text, limits.value_chars) for text in texts[:8]]
    return ", ".join(shown) + (f" and {len(texts) - 8} more" if len(texts) > 8 else "")


def score_cells(line: ScoreLine) -> str:
    """A score's row of the table: verdict, values, difference, interval, p-value, and what could be seen."""
    score, found = line.score, line.difference
    values = [value(line.old, score), value(line.new, score), signed(line.change, score)]
    if found is None:
        return table_row([score.label, "no interval", *values, "–", "–", "–"])
    interval = f"{signed(found.interval.low, score)} to {signed(found.interval.high, score)}"
    tested = [interval, p_value(found.corrected_p_value), value(found.detectable, score)]
    return table_row([score.label, verdict_words(line, found), *values, *tested])


def verdict_words(line: ScoreLine, difference: Difference) -> str:
    """What a difference says, with its direction, and whether it matters.

    Args:
        line: the score's.
        difference: its own.
    """
    words = str(difference.verdict)
    if difference.verdict is not Verdict.REAL:
        return words
    if line.negligible:
        return f"{words}, less than matters"
    if line.within_seeds:
        return f"{words}, but no more than another seed makes"
    if not line.direction:
        return words
    return f"**{words}: {'better' if line.direction > 0 else 'worse'}**"


def table_row(cells: Sequence[str]) -> str:
    """A row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def loss_cells(name: str, results: Results) -> str:
    """A revision's row of the table of validation losses: first, lowest and last.

    Args:
        name: how the table calls it.
        results: the revision's.
    """
    losses: list[Any] = [loss for _, loss in results.curve("validation")]
    shown = [losses[0], min(losses), losses[-1]] if losses else []
    return table_row([name, *(f"{loss:.4f}" for loss in shown)] if shown else [name, "–", "–", "–"])
