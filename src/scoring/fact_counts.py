"""How many of its title's facts an answer states, how many that it states are wrong, and the two scores of that.

Covers the counts and what follows from them: scores, their intervals, and the rows of the plot by attribute. A fact is
a value of an attribute, such as Moss Green of colour. Which facts a title and an answer state is found in
known_facts.py, where the truth is known, and in title_facts.py, where it is not.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import NamedTuple, Protocol

from src.scoring.intervals import RecordSums, estimate_with_interval, ratio_of_sums

ALL_FACTS = "all facts"  # the plot's row of all attributes together
REFERENCE = "reference"  # the plot's name of the references, beside the systems
DIGITS = 2  # of a percentage in the plot


class FactCounts(NamedTuple):
    """The facts of one attribute, or of all of them, in one answer."""

    in_title: int
    stated: int  # of those in the title
    wrong: int  # further values in the answer


class FoundFacts(NamedTuple):
    """The facts that one answer states: those of the title, and those that are wrong; in small letters."""

    stated: frozenset[str]
    wrong: frozenset[str]


CountsByAttribute = Mapping[str, FactCounts]
FactSums = Callable[[Sequence[FactCounts]], RecordSums | None]


class RecordFacts(Protocol):
    """The facts of one held-out record, by which any answer to its title is judged."""

    def count(self, answer: str) -> CountsByAttribute:
        """Counts an answer's facts, by attribute."""

    def find(self, answer: str) -> FoundFacts:
        """Finds the facts that are counted."""


def count_facts(facts: Sequence[RecordFacts], texts: Sequence[str]) -> list[CountsByAttribute]:
    """Counts the facts of every answer, by attribute.

    Args:
        facts: of each record.
        texts: as many answers or references.
    """
    return [record.count(text) for record, text in zip(facts, texts, strict=True)]


def add_counts(counts: CountsByAttribute) -> FactCounts:
    """The counts of all attributes together."""
    return FactCounts(*map(sum, zip(*counts.values(), strict=True))) if counts else FactCounts(0, 0, 0)


def stated_sums(counts: Sequence[FactCounts]) -> RecordSums | None:
    """What the percentage of the titles' facts that are stated is a ratio of; None where no title has a fact."""
    return percentage([each.stated for each in counts], [each.in_title for each in counts])


def wrong_sums(counts: Sequence[FactCounts]) -> RecordSums | None:
    """What the percentage of the stated facts that are wrong is a ratio of; None where no fact is stated."""
    return percentage([each.wrong for each in counts], [each.stated + each.wrong for each in counts])


def percentage(parts: Sequence[int], wholes: Sequence[int]) -> RecordSums | None:
    """A percentage of sums over records.

    Args:
        parts: what is counted, one number a record.
        wholes: what it is counted among.

    Returns:
        None where all records together have nothing to count among.
    """
    return ratio_of_sums([100.0 * part for part in parts], wholes) if any(wholes) else None


MEASURES: dict[str, FactSums] = {"stated": stated_sums, "wrong": wrong_sums}


def fact_rows(systems: Mapping[str, Sequence[CountsByAttribute]]) -> list[dict[str, object]]:
    """The rows of the table facts.tsv: each percentage, by attribute and system, with its 95% interval.

    Args:
        systems: by name, what was counted in the answer to each record.

    Returns:
        All attributes together first, then each in the order in which they come. A percentage of nothing is left out,
        but for that of all attributes, whose numbers are then empty: a plot needs a row.
    """
    counted = {system: [{ALL_FACTS: add_counts(each), **each} for each in counts] for system, counts in systems.items()}
    attributes = dict.fromkeys(attribute for counts in counted.values() for each in counts for attribute in each)
    rows = (
        {"measure": measure, "attribute": attribute, "system": system}
        | percentage_columns(MEASURES[measure]([each[attribute] for each in counted[system] if attribute in each]))
        for attribute, system, measure in product(attributes, counted, MEASURES)
    )
    return [row for row in rows if row["facts"] or row["attribute"] == ALL_FACTS]


def percentage_columns(sums: RecordSums | None) -> dict[str, object]:
    """The numbers of a row: the percentage, the bounds of its interval, and of how many facts; empty for None."""
    if sums is None:
        return {"percent": "", "low": "", "high": "", "facts": 0}
    found = estimate_with_interval(sums)
    percent, low, high = (round(number, DIGITS) for number in found)
    return {"percent": percent, "low": low, "high": high, "facts": round(sums.terms[1].sum())}
