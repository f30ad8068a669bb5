"""Figures as people read them: as many digits as a score's unit needs, with a sign where they are differences.

Covers numbers alone; texts are escaped in safe_text.py.
"""

from src.scoring.scores import PERCENT, Score

ABSENT = "–"


def value(number: float | None, score: Score) -> str:
    """A score's value.

    Args:
        number: the value, None where there is none.
        score: whose it is.
    """
    return ABSENT if number is None else f"{number:.{digits(score)}f}"


def signed(number: float | None, score: Score) -> str:
    """A difference with its sign; of no difference, 0.

    Args:
        number: the difference, None where there is none.
        score: whose it is.
    """
    if number is None:
        return ABSENT
    shown = f"{number:+.{digits(score)}f}"
    return shown[1:] if not float(shown) else shown.replace("-", "−")


def digits(score: Score) -> int:
    """How many decimals a score is shown with."""
    return 2 if score.unit == PERCENT else 4


def p_value(number: float) -> str:
    """A p-value, the smallest ones as what they are below."""
    return "< 0.001" if number < 0.001 else f"{number:.3f}"
