"""Where a gain comes from: the headline scores in slices of the held-out records, and Simpson's paradox.

Covers the dimensions by which records are cut into slices, what reports/evaluate.json holds of each slice, and the rows
of the plot. To add a dimension, add its row to DIMENSIONS.

Slices have intervals and no p-values. They tell where a gain comes from, and not whether there is one: that the whole
tells, with more records. Some twenty slices in one family would leave each test little to find.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from src.scoring.fact_counts import add_counts
from src.scoring.generations import Generation
from src.scoring.intervals import (
    RecordSums,
    counted_records,
    estimate_with_interval,
    paired_difference,
    resample_together,
    select_records,
)
from src.scoring.nearest import nearest_neighbours
from src.scoring.report import RoundedScores, blank, difference_name, plot_label, round_scores
from src.scoring.scores import SCORES, Score, SystemAnswers
from src.scoring.systems import BASE, TUNED

# Records below which a slice gets no interval: bootstrap intervals of five held the truth in about 80% of simulated
# slices, of twenty and more in 90 to 94%, where 95% are wanted.
FEW = 20
NEAR = 0.5  # similarity of two titles, 0 to 1, from which on they are near: of the sample's, three in five have one
NO_TOPIC = "no topic"
LENGTHS = ("short", "middle", "long")
ALL = "all records"

Slices = dict[str, list[bool]]  # by name whether each record belongs to the slice; none of them empty
SumsBySystem = Mapping[str, RecordSums]


class RecordTraits(NamedTuple):
    """What slices are cut by, a value for each held-out record."""

    reference_lengths: Sequence[int]  # characters
    title_lengths: Sequence[int]  # characters
    topics: Sequence[str]
    similarities: Sequence[float]  # to the nearest training title, 0 to 1
    facts: Sequence[int]  # that the title states


@dataclass(frozen=True)
class Dimension:
    """A row of the table.

    Attributes:
        name: its key in reports/evaluate.json.
        cut: the slices of the records, in the order of the report.
    """

    name: str
    cut: Callable[[RecordTraits], Slices]


def record_traits(
    rows: Sequence[Generation], topics: Mapping[str, str], training_titles: Sequence[str], tuned: SystemAnswers
) -> RecordTraits:
    """The traits of the held-out records.

    Args:
        rows: any model's, in the records' order.
        topics: by uid.
        training_titles: those that may be near.
        tuned: answers to the records, with their facts.
    """
    titles = tuple(row.title for row in rows)
    return RecordTraits(
        reference_lengths=[len(row.reference) for row in rows],
        title_lengths=[len(title) for title in titles],
        topics=[topics.get(row.uid, NO_TOPIC) for row in rows],
        similarities=[found.similarity for found in nearest_neighbours(titles, tuple(training_titles))],
        facts=[add_counts(counts).in_title for counts in tuned.fact_counts or [{}] * len(rows)],
    )


def cut_quantiles(values: Sequence[int], names: Sequence[str], unit: str) -> Slices:
    """Slices of about as many records each, with their bounds, as in `short, up to 180 characters`.

    Args:
        values: one a record; equal values are in one slice.
        names: of the slices, from the lowest values up.
        unit: of the values.
    """
    different, counts = np.unique(values, return_counts=True)
    if len(different) == 1:
        return {ALL: [True] * len(values)}
    below = np.cumsum(counts)[:-1] / len(values)  # the share of the records up to each value but the highest
    upper = [int(different[np.abs(below - part / len(names)).argmin()]) for part in range(1, len(names))]
    between = [f"{low + 1} to {high}" for low, high in pairwise(upper)]
    bounds = [f"up to {upper[0]}", *between, f"{upper[-1] + 1} or more"]
    place = np.searchsorted(upper, values, side="left")
    labels = [f"{name}, {bound} {unit}" for name, bound in zip(names, bounds, strict=True)]
    return {label: (place == number).tolist() for number, label in enumerate(labels) if (place == number).any()}


def cut_topics(topics: Sequence[str]) -> Slices:
    """A slice for each topic, the largest first."""
    names = sorted(Counter(topics).items(), key=lambda counted: (-counted[1], counted[0]))
    return {name: [topic == name for topic in topics] for name, _ in names}


def cut_neighbours(similarities: Sequence[float]) -> Slices:
    """Records with a near neighbour in training, and those without."""
    near = [similarity >= NEAR for similarity in similarities]
    slices = {f"near, similarity {NEAR} or more": near, f"far, below {NEAR}": [not each for each in near]}
    return {name: chosen for name, chosen in slices.items() if any(chosen)}


DIMENSIONS = (
    Dimension("reference length", lambda traits: cut_quantiles(traits.reference_lengths, LENGTHS, "characters")),
    Dimension("title length", lambda traits: cut_quantiles(traits.title_lengths, LENGTHS, "characters")),
    Dimension("topic", lambda traits: cut_topics(traits.topics)),
    Dimension("nearest training title", lambda traits: cut_neighbours(traits.similarities)),
    Dimension("facts of the title", lambda traits: cut_quantiles(traits.facts, ("few", "many"), "facts")),
)


def cut_records(traits: RecordTraits) -> dict[str, Slices]:
    """The slices by dimension; a dimension of one slice says what the whole says, and is left out."""
    found = {dimension.name: dimension.cut(traits) for dimension in DIMENSIONS}
    return {name: slices for name, slices in found.items() if len(slices) > 1}


def slice_report(systems: Mapping[str, SystemAnswers], traits: RecordTraits) -> dict[str, Any]:
    """The part of reports/evaluate.json on slices.

    Args:
        systems: the answers of each by its name, base and tuned model among them, all to the same records.
        traits: of the records.

    Returns:
        `slices`, by dimension and slice what `describe_slice` gives, and `paradoxes`, see `find_paradoxes`.
    """
    dimensions, headlines = cut_records(traits), sums_by_score(systems, headline=True)
    described = {
        dimension: {name: describe_slice(headlines, chosen) for name, chosen in slices.items()}
        for dimension, slices in dimensions.items()
    }
    return {"slices": described, "paradoxes": list(find_paradoxes(sums_by_score(systems), dimensions))}


def sums_by_score(systems: Mapping[str, SystemAnswers], headline: bool = False) -> dict[str, dict[str, RecordSums]]:
    """What each score that has an interval is computed from, by score and system.

    Args:
        systems: the answers of each by its name; one that has no such score is left out.
        headline: whether to give the headline scores alone.
    """
    rows = [score for score in SCORES if score.sums and (score.headline or not headline)]
    return {
        score.name: {name: sums for name, answers in systems.items() if score.sums and (sums := score.sums(answers))}
        for score in rows
    }


def describe_slice(sums: Mapping[str, SumsBySystem], chosen: Sequence[bool]) -> dict[str, Any]:
    """What the report holds of a slice.

    Args:
        sums: of all records, by score and system.
        chosen: whether each record belongs to the slice.

    Returns:
        `records`, their number; `value`, by system and score, and `difference`, of tuned and base alone: estimates with
        the bounds of their intervals, which are None where fewer than FEW records count. What a system has nothing of
        in the slice is left out.
    """
    parts = {
        score: {name: part for name, each in by_system.items() if (part := select_records(each, chosen))}
        for score, by_system in sums.items()
    }
    resample_together([part for found in parts.values() for part in found.values() if counted_records(part) >= FEW])
    value: dict[str, dict[str, RoundedScores]] = {}
    difference: dict[str, RoundedScores] = {}
    for score, found in parts.items():
        for name, part in found.items():
            value.setdefault(name, {})[score] = with_interval(part)
        if TUNED in found and BASE in found:
            difference[score] = with_interval(found[TUNED], found[BASE])
    return {"records": sum(chosen), "value": value, "difference": {difference_name(BASE): difference}}


def with_interval(part: RecordSums, other: RecordSums | None = None) -> RoundedScores:
    """A slice's score, or its difference to another system's, with bounds where enough records count.

    Args:
        part: the slice's sums.
        other: those of the system that is subtracted, of the same slice.
    """
    estimate = part.estimate - (other.estimate if other else 0.0)
    if min(counted_records(each) for each in (part, other) if each) < FEW:
        return round_scores({"estimate": estimate, "low": None, "high": None})
    return round_scores((paired_difference(part, other) if other else estimate_with_interval(part))._asdict())


def find_paradoxes(sums: Mapping[str, SumsBySystem], dimensions: Mapping[str, Slices]) -> Iterator[dict[str, Any]]:
    """Where tuned minus another system has one sign overall, and in every slice of a dimension the other one.

    Cannot happen to a mean over records, of which both systems have as many in each slice; it can to a ratio whose
    wholes are the system's own, such as the share of the facts stated that are wrong.

    Args:
        sums: of all records, by score and system.
        dimensions: by name their slices.

    Yields:
        `score`, `difference`, `dimension`, `overall`, and in `slices` the difference by slice.
    """
    for score, by_system in sums.items():
        for other in [name for name in by_system if name != TUNED and TUNED in by_system]:
            pair = by_system[TUNED], by_system[other]
            overall = pair[0].estimate - pair[1].estimate
            for dimension, slices in dimensions.items():
                found = slice_differences(*pair, slices)
                if all(difference * overall < 0 for difference in found.values()):
                    place = {"score": score, "difference": difference_name(other), "dimension": dimension}
                    yield {**place, **round_scores({"overall": overall}), "slices": round_scores(found)}


def slice_differences(first: RecordSums, second: RecordSums, slices: Slices) -> dict[str, float]:
    """The difference of two systems in each slice; 0 where one of them has nothing in it.

    Args:
        first: one system's sums of all records.
        second: those of the system that is subtracted.
        slices: of the records.
    """
    found = {}
    for name, chosen in slices.items():
        one, other = select_records(first, chosen), select_records(second, chosen)
        found[name] = one.estimate - other.estimate if one and other else 0.0
    return found


def plotted_slices(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of plots/evaluate/slices.tsv: tuned minus base in the headline scores, all records first.

    Args:
        report: what reports/evaluate.json holds.

    Returns:
        Rows with `dimension`, `slice`, `records`, `score`, `estimate`, `low`, `high`, and the values of base and tuned;
        numbers are empty where there is none.
    """
    whole = {
        "records": report["records"],
        "value": {name: {key: {"estimate": value} for key, value in report[name].items()} for name in (BASE, TUNED)},
        "difference": {difference_name(BASE): report["difference"][difference_name(BASE)]},
    }
    dimensions = {ALL: {ALL: whole}} | report["slices"]
    return [
        {"dimension": dimension, "slice": name, **slice_row(score, found)}
        for score in SCORES
        if score.headline
        for dimension, slices in dimensions.items()
        for name, found in slices.items()
    ]


def slice_row(score: Score, found: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers of a row of the plot.

    Args:
        score: a row of SCORES.
        found: what `describe_slice` gives.
    """
    difference = found["difference"][difference_name(BASE)].get(score.name, {})
    values = {name: found["value"].get(name, {}).get(score.name, {}).get("estimate") for name in (BASE, TUNED)}
    numbers = {bound: difference.get(bound) for bound in ("estimate", "low", "high")} | values
    shown = {name: blank(number) for name, number in numbers.items()}
    return {"score": plot_label(score), "records": found["records"], **shown}


def describe_paradoxes(paradoxes: Sequence[Mapping[str, Any]]) -> str:
    """A sentence on each paradox, each after a semicolon; nothing where there is none.

    Args:
        paradoxes: what `find_paradoxes` gives.
    """
    return "".join(
        f"; Simpson's paradox: {found['difference']} in {found['score']} is {found['overall']:+.2f} overall, and has "
        f"the other sign in every slice by {found['dimension']}"
        for found in paradoxes
    )
